"""Texts of any task: tokenizers, prompts and responses, resumable batches."""

from nashalign.data.batching import (
    batches,
    bucket_lengths,
    bucket_shapes,
    pipeline,
    prompt_batches,
)
from nashalign.data.chat import chat_ids, ending_as_taught
from nashalign.data.datasets import Dataset, build_dataset, read_dataset
from nashalign.data.formats import FORMATS, Format, find_format
from nashalign.data.padding import (
    Decodes,
    decode_responses,
    encode_responses,
    pad_prompts,
    pad_responses,
    trim_examples,
    trim_prompts,
)
from nashalign.data.prompts import (
    PromptIds,
    drop,
    keep_beginning,
    keep_end,
    prompt_ids,
    text_read,
)
from nashalign.data.reading import (
    Malformed,
    Reading,
    files,
    fingerprint,
    read,
    read_records,
    title,
)
from nashalign.data.records import SPLITS, Record, prompt_hash, split_records
from nashalign.data.stops import Stops
from nashalign.data.templates import ChatTemplate, Message, render
from nashalign.data.tokenizer import Tokenizer, load_tokenizer, train_tokenizer

__all__ = [
    "FORMATS",
    "SPLITS",
    "ChatTemplate",
    "Dataset",
    "Decodes",
    "Format",
    "Malformed",
    "Message",
    "PromptIds",
    "Reading",
    "Record",
    "Stops",
    "Tokenizer",
    "batches",
    "bucket_lengths",
    "bucket_shapes",
    "build_dataset",
    "chat_ids",
    "decode_responses",
    "drop",
    "ending_as_taught",
    "encode_responses",
    "files",
    "find_format",
    "fingerprint",
    "keep_beginning",
    "keep_end",
    "load_tokenizer",
    "pad_prompts",
    "pad_responses",
    "pipeline",
    "prompt_batches",
    "prompt_hash",
    "prompt_ids",
    "read",
    "read_dataset",
    "read_records",
    "render",
    "split_records",
    "text_read",
    "title",
    "train_tokenizer",
    "trim_examples",
    "trim_prompts",
]
