"""Byte-level BPE tokenizers: trained here, or loaded from a Hugging Face folder."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence

import tokenizers

SPECIAL_TOKENS = {"pad": "<|pad|>", "bos": "<|begin|>", "eos": "<|end|>"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Text to token ids and back, without special tokens.

    Attributes:
      backend: the `tokenizers.Tokenizer` that does the work.
      pad_id: id of the padding token; the end token's where there is none.
      eos_id: id of the token that ends a response.
      bos_id: id of the token that begins a prompt, or None where there is none.
      size: number of ids, special ones included.
    """

    backend: tokenizers.Tokenizer
    pad_id: int
    eos_id: int
    bos_id: int | None
    size: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text; special tokens spelt in it count as text."""
        encodings = self.backend.encode_batch_fast(
            list(texts), add_special_tokens=False
        )
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of the ids before the first end token."""
        ids = [int(token) for token in ids]
        if self.eos_id in ids:
            ids = ids[: ids.index(self.eos_id)]
        return self.backend.decode(ids, skip_special_tokens=True)


def train_tokenizer(
    texts: Iterable[str], folder: pathlib.Path, *, vocabulary: int
) -> Tokenizer:
    """Trains a byte-level BPE tokenizer and writes it as a Hugging Face folder.

    The merges are those of byte pair encoding (Sennrich, Haddow and Birch, 2016) on
    bytes (Radford and others, 2019), so that every text has ids and none is unknown.

    Args:
      texts: the training texts.
      folder: where `tokenizer.json` and `tokenizer_config.json` are written.
      vocabulary: number of ids: three special tokens, 256 bytes, and merges.

    Returns:
      The tokenizer, as `load_tokenizer` reads it from the folder.
    """
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    config = {f"{role}_token": token for role, token in SPECIAL_TOKENS.items()}
    config |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return load_tokenizer(folder)


def load_tokenizer(folder: pathlib.Path | str) -> Tokenizer:
    """Loads `tokenizer.json` and `tokenizer_config.json` of a Hugging Face folder.

    Truncation, padding and templates stored in the file are switched off: prompts and
    responses are put together by `nashalign.data` alone.

    Args:
      folder: a folder with both files. The special tokens are named in the second,
        as strings or as dictionaries with a `content`.

    Returns:
      The tokenizer.

    Raises:
      ValueError: if a file is missing or unreadable, if no end token is named, or if a
        named token is not in the vocabulary.
    """
    folder = pathlib.Path(folder)
    model = _read(folder / "tokenizer.json")
    settings = _read(folder / "tokenizer_config.json")
    try:
        backend = tokenizers.Tokenizer.from_str(model)
        config = json.loads(settings)
    except Exception as error:  # The tokenizers library raises bare exceptions.
        raise ValueError(f"The tokenizer in {folder} is unreadable: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(
            f"{folder / 'tokenizer_config.json'} holds a {type(config).__name__}, not "
            "the names of the special tokens."
        )
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    ids = {
        role: _special_id(backend, config.get(f"{role}_token"), role, folder)
        for role in SPECIAL_TOKENS
    }
    if ids["eos"] is None:
        raise ValueError(
            f"{folder / 'tokenizer_config.json'} names no eos_token, without which no "
            "response ends; add the token that the model was trained to end with."
        )
    return Tokenizer(
        backend=backend,
        pad_id=ids["eos"] if ids["pad"] is None else ids["pad"],
        eos_id=ids["eos"],
        bos_id=ids["bos"],
        size=backend.get_vocab_size(with_added_tokens=True),
    )


def _read(path: pathlib.Path) -> str:
    """Returns a file's text, or says which file is missing."""
    if not path.is_file():
        raise ValueError(
            f"{path.parent} has no {path.name}; a checkpoint folder needs config.json, "
            "model.safetensors, tokenizer.json and tokenizer_config.json."
        )
    return path.read_text("utf-8")


def _special_id(
    backend: tokenizers.Tokenizer,
    token: str | dict | None,
    role: str,
    folder: pathlib.Path,
) -> int | None:
    """Returns the id of a special token named in either style, None if unnamed."""
    text = token.get("content") if isinstance(token, dict) else token
    if text is None:
        return None
    found = backend.token_to_id(text)
    if found is None:
        raise ValueError(
            f"{folder / 'tokenizer_config.json'} names {text!r} as its {role}_token, "
            "but tokenizer.json has no such token."
        )
    return found
