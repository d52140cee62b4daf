"""Prompts and comparisons: docstrings, tokenizers, padded and resumable batches."""

from nashalign.data import harvest as harvest
from nashalign.data import sources as sources
from nashalign.data.harvest import Harvest as Harvest
from nashalign.data.harvest import Pair as Pair
from nashalign.data.harvest import decoded as decoded
from nashalign.data.harvest import functions_of as functions_of
from nashalign.data.harvest import pairs_of as pairs_of
from nashalign.data.harvest import split_of as split_of
from nashalign.data.prompts import SUFFIX as SUFFIX
from nashalign.data.prompts import PromptIds as PromptIds
from nashalign.data.prompts import batches as batches
from nashalign.data.prompts import code_read as code_read
from nashalign.data.prompts import drop as drop
from nashalign.data.prompts import encode_responses as encode_responses
from nashalign.data.prompts import keep_beginning as keep_beginning
from nashalign.data.prompts import keep_end as keep_end
from nashalign.data.prompts import pad_prompts as pad_prompts
from nashalign.data.prompts import pad_responses as pad_responses
from nashalign.data.prompts import prompt_batches as prompt_batches
from nashalign.data.prompts import prompt_ids as prompt_ids
from nashalign.data.sources import Source as Source
from nashalign.data.sources import dependencies as dependencies
from nashalign.data.sources import installed as installed
from nashalign.data.sources import standard_library as standard_library
from nashalign.data.tokenizer import Tokenizer as Tokenizer
from nashalign.data.tokenizer import load_tokenizer as load_tokenizer
from nashalign.data.tokenizer import train_tokenizer as train_tokenizer


def __getattr__(name: str):
    """Imports what needs TensorFlow Datasets when it is first asked for."""
    if name in ("Corpus", "Docstrings", "docstrings"):
        from nashalign.data import builder

        return getattr(builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
