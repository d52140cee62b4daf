"""Texts of any task: tokenizers, prompts and responses, resumable batches."""

from nashalign.data.batching import batches as batches
from nashalign.data.batching import prompt_batches as prompt_batches
from nashalign.data.padding import decode_responses as decode_responses
from nashalign.data.padding import encode_responses as encode_responses
from nashalign.data.padding import pad_prompts as pad_prompts
from nashalign.data.padding import pad_responses as pad_responses
from nashalign.data.prompts import PromptIds as PromptIds
from nashalign.data.prompts import drop as drop
from nashalign.data.prompts import keep_beginning as keep_beginning
from nashalign.data.prompts import keep_end as keep_end
from nashalign.data.prompts import prompt_ids as prompt_ids
from nashalign.data.prompts import text_read as text_read
from nashalign.data.records import SPLITS as SPLITS
from nashalign.data.records import Record as Record
from nashalign.data.records import prompt_hash as prompt_hash
from nashalign.data.records import read_records as read_records
from nashalign.data.records import split_records as split_records
from nashalign.data.tokenizer import Tokenizer as Tokenizer
from nashalign.data.tokenizer import load_tokenizer as load_tokenizer
from nashalign.data.tokenizer import train_tokenizer as train_tokenizer
