"""Byte-level BPE tokenizers: trained here, or loaded from a Hugging Face folder."""

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Iterable, Sequence

import tokenizers

from nashalign import conventions
from nashalign.data import stops as stops_lib
from nashalign.data import templates

SPECIAL_TOKENS = {"pad": "<|pad|>", "bos": "<|begin|>", "eos": "<|end|>"}
# What a text is held behind to see how it goes on; the first that it does not melt
# into is taken.
_BEFORE = ("\n", "a", ")")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Text to token ids and back, without special tokens.

    Attributes:
      backend: the `tokenizers.Tokenizer` that does the work.
      pad_id: id of the padding token; the first end token's where there is none.
      eos_id: ids of all tokens that end a response.
      bos_id: id of the token that is put before a prompt, or None where none is.
      size: one more than the largest id: the embeddings that a model needs.
      behind_id: id of the token that is put behind a prompt, or None where none is.
      chat: how the model was taught conversations; None where it was taught none.
      stops: texts that end a response as an end token does; None where none do.
    """

    backend: tokenizers.Tokenizer
    pad_id: int
    eos_id: tuple[int, ...]
    bos_id: int | None
    size: int
    behind_id: int | None = None
    chat: templates.ChatTemplate | None = None
    stops: stops_lib.Stops | None = None

    @property
    def closing_id(self) -> int:
        """The end token that is put behind a text that has none of its own."""
        return self.eos_id[0]

    def encode(self, texts: Sequence[str], *, markup: bool = False) -> list[list[int]]:
        """Returns the ids of each text.

        Args:
          texts: each from its start.
          markup: whether special tokens spelt in the texts become their ids; else
            they count as text, whoever wrote it.
        """
        backend = self._markup_backend if markup else self.backend
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def continuations(
        self, texts: Sequence[str], *, markup: bool = False
    ) -> list[list[int]]:
        """Returns the ids of each text as it stands behind another text.

        Some tokenizers put a marker at the start of whatever they are given, as if a
        space stood there, so that pieces encoded one by one and joined are not the
        text.

        Args:
          texts: what goes on.
          markup: as in `encode`.
        """
        found: dict[int, list[int]] = {}
        for before in _BEFORE:
            left = [index for index in range(len(texts)) if index not in found]
            (start,) = self.encode([before], markup=markup)
            whole = self.encode([before + texts[i] for i in left], markup=markup)
            for index, ids in zip(left, whole, strict=True):
                if ids[: len(start)] == start:
                    found[index] = ids[len(start) :]
        left = [index for index in range(len(texts)) if index not in found]
        alone = self.encode([texts[index] for index in left], markup=markup)
        found |= dict(zip(left, alone, strict=True))
        return [found[index] for index in range(len(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of the ids before the first end token or stop text."""
        ids = [int(token) for token in ids]
        ends = (place for place, token in enumerate(ids) if token in self.eos_id)
        text = self.backend.decode(ids[: next(ends, None)], skip_special_tokens=True)
        return text if self.stops is None else self.stops.before(text)

    def stopping(self, texts: Sequence[str], *, vocabulary: int) -> "Tokenizer":
        """Returns a tokenizer of whose responses texts are the end.

        A response has the tokens up to the one that completes a text; what it says is
        what stands before that text.

        Args:
          texts: without any, responses end with an end token alone.
          vocabulary: of the model.

        Raises:
          ValueError: a text is empty, or tokens spell no text of their own.
        """
        if not texts:
            return dataclasses.replace(self, stops=None)
        found = stops_lib.stops(self.backend, texts, vocabulary=vocabulary)
        return dataclasses.replace(self, stops=found)

    def beginning(self, text: str, num_tokens: int) -> str:
        """Returns the beginning of a text that its first tokens spell.

        Args:
          text: from its start; special tokens in it count as text.
          num_tokens: how many; a character that a later token ends is left out.
        """
        offsets = self.backend.encode(text, add_special_tokens=False).offsets
        if num_tokens >= len(offsets):
            return text
        ends = [end for _, end in offsets[:num_tokens]]
        # Offsets of a token that is a part of a character are the whole character's.
        return text[: min(max(ends, default=0), offsets[num_tokens][0])]

    def spelt(self, texts: Sequence[str]) -> list[str]:
        """Returns the special tokens that are spelt in some of the texts."""
        found = {name for text in texts for name in self._special_names.findall(text)}
        return sorted(found)

    def broken(self, text: str, mark: str) -> str:
        """Returns a text in which a mark keeps what it spells from special tokens."""
        return self._special_names.sub(
            lambda found: found[0][0] + mark + found[0][1:], text.replace(mark, "")
        )

    def pieces(self, text: str, mark: str) -> list[int]:
        """Returns the ids of markup, of which marked parts are text.

        Args:
          text: of whose special tokens those that a mark has `broken` are none.
          mark: what is taken out.
        """
        found: list[int] = []
        end = 0
        for special in [*self._special_names.finditer(text), None]:
            piece = text[end : special.start() if special else None].replace(mark, "")
            if piece:
                encode = self.continuations if found else self.encode
                found += encode([piece])[0]
            if special:
                found += self.encode([special[0]], markup=True)[0]
                end = special.end()
        return found

    @functools.cached_property
    def _special_names(self):
        """What matches the names of special tokens, and nothing where there is none."""
        added = self.backend.get_added_tokens_decoder().values()
        names = sorted((str(t.content) for t in added if t.special), key=len)
        return re.compile("|".join(map(re.escape, reversed(names))) or r"(?!)")

    @functools.cached_property
    def _markup_backend(self):
        """A copy of the backend that reads special tokens in a text."""
        backend = tokenizers.Tokenizer.from_str(self.backend.to_str())
        backend.encode_special_tokens = False
        return backend


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
        "add_bos_token": True,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return load_tokenizer(folder)


def load_tokenizer(folder: pathlib.Path | str) -> Tokenizer:
    """Loads the tokenizer of a Hugging Face folder, and how its texts begin and end.

    Truncation, padding and templates stored in the file are switched off: prompts and
    responses are put together by `nashalign.data` alone, as the folder says: with a
    token in front or behind where it puts one there, and with every end token that it
    or the model's files beside it name.

    Args:
      folder: with `tokenizer.json` and `tokenizer_config.json`, which names the
        special tokens, as strings or as dictionaries with a `content`.

    Returns:
      The tokenizer.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if a file is unreadable, if no end token is named, or if a named token
        is not in the vocabulary.
    """
    folder = pathlib.Path(folder)
    backend, settings = conventions.read_tokenizer(folder)
    backend.no_truncation()
    backend.no_padding()
    ends = conventions.end_ids(backend, settings, folder)
    if not ends:
        raise ValueError(
            f"{folder / conventions.SETTINGS} names no eos_token, without which no "
            "response ends; add the token that the model was trained to end with."
        )
    pad = conventions.special_id(backend, settings, "pad", folder)
    begin = conventions.begin_id(backend, settings, folder)
    behind = conventions.behind_id(backend, settings, folder)
    backend.encode_special_tokens = True
    return Tokenizer(
        backend=backend,
        pad_id=ends[0] if pad is None else pad,
        eos_id=ends,
        bos_id=begin,
        behind_id=behind,
        size=conventions.num_ids(backend),
        chat=templates.chat_template(settings, folder),
    )
