r"""Texts that end a response, as a machine that reads its tokens one by one.

Whether a stop text is complete depends on the tokens so far alone: it is a stopping
rule, and the probability of a response that it ends is that of its tokens up to the one
that completes it. With `s` the longest end of what was written that begins a stop text
(Aho and Corasick 1975), a token with bytes `b` leads to

.. math:: s' = \delta^*(s, b)

which is worked out here for every state and token, so that a step of a decoding loop is
one look into a table.
"""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import tokenizers

from nashalign import checks

_SPACE = "\u2581"
# Decoders under which a token's text is its own, but for the first one's space.
_PIECES = {"ByteFallback", "Fuse", "Metaspace", "Replace", "Strip"}
_SPACES = (
    {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
)


@dataclasses.dataclass(frozen=True, eq=False)
class Stops:
    """Texts that end a response; equal where the texts and the tokens are.

    Attributes:
      texts: none is empty.
      table: `[S + 1, V]` the state after each token in each state. Responses begin in
        state 0; in the last one a text is complete, and stays so.
    """

    texts: tuple[str, ...]
    table: np.ndarray

    def __eq__(self, other: object) -> bool:
        """Whether both end every response at the same token."""
        if not isinstance(other, Stops) or self.texts != other.texts:
            return self is other
        return self is other or np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        """Of the texts, and of how many tokens there are."""
        return hash((self.texts, self.table.shape))

    def end(self, tokens: Sequence[int]) -> int | None:
        """Returns how many tokens there are up to the one that completes a stop text.

        Args:
          tokens: of a response, from its start.

        Returns:
          None where none does.
        """
        state = 0
        for place, token in enumerate(tokens):
            state = self.table[state, token]
            if state == len(self.table) - 1:
                return place + 1
        return None

    def before(self, text: str) -> str:
        """Returns a text up to the first stop text that is in it."""
        ends = (text.find(own) for own in self.texts if own in text)
        return text[: min(ends, default=len(text))]


def stops(
    backend: tokenizers.Tokenizer, texts: Sequence[str], *, vocabulary: int
) -> Stops:
    """Returns texts that end a response, for the tokens of a tokenizer.

    Args:
      backend: the tokenizer.
      texts: at least one, none of them empty.
      vocabulary: `V`, of the model; a token that the tokenizer lacks has no text, as
        special ones have none.

    Raises:
      ValueError: a text is empty, or what a token spells depends on its neighbours.
    """
    checks.whole(vocabulary, "vocabulary")
    if not texts or "" in texts:
        raise ValueError(f"stop texts are {tuple(texts)}; none may be empty.")
    step = _transitions([text.encode("utf-8", "surrogatepass") for text in texts])
    spelt = _spelt(backend, vocabulary)
    lengths = np.array([len(own) for own in spelt])
    starts = np.cumsum(lengths) - lengths
    written = np.frombuffer(b"".join(spelt), np.uint8)
    table = np.repeat(np.arange(len(step), dtype=step.dtype)[:, None], vocabulary, 1)
    for place in range(lengths.max()):
        [own] = np.nonzero(lengths > place)
        table[:, own] = step[table[:, own], written[starts[own] + place]]
    table.flags.writeable = False
    return Stops(texts=tuple(texts), table=table)


def _transitions(texts: list[bytes]) -> np.ndarray:
    """The state `[S + 1, 256]` after each byte; a state is the beginning of a text."""
    found = {text[:size] for text in texts for size in range(len(text))}
    states = {own: place for place, own in enumerate(sorted(found, key=len))}
    table = np.full((len(states) + 1, 256), len(states), np.min_scalar_type(len(found)))
    for own, place in states.items():
        for byte in range(256):
            text = own + bytes([byte])
            if not text.endswith(tuple(texts)):
                ends = (text[cut:] for cut in range(len(text) + 1))
                table[place, byte] = next(states[end] for end in ends if end in states)
    return table


def _spelt(backend: tokenizers.Tokenizer, vocabulary: int) -> list[bytes]:
    """The bytes that each token spells."""
    kinds = _decoders(backend)
    added = backend.get_added_tokens_decoder()
    special = {token for token, own in added.items() if own.special}
    names = [
        None if token in special else backend.id_to_token(token)
        for token in range(vocabulary)
    ]
    if kinds == {"ByteLevel"}:
        characters = _byte_characters()
        return [_by_characters(name or "", characters) for name in names]
    if kinds and kinds <= _PIECES:
        fallback = "ByteFallback" in kinds
        return [_by_piece(name or "", fallback) for name in names]
    raise ValueError(
        f"the decoder of tokenizer.json is {' and '.join(sorted(kinds)) or 'missing'}, "
        "under which what a token spells is not known by itself: stop texts end no "
        "response of this model."
    )


def _decoders(backend: tokenizers.Tokenizer) -> set[str]:
    """The kinds of the steps from tokens to text."""
    if backend.decoder is None:
        return set()
    stored = json.loads(backend.decoder.__getstate__())
    steps = stored["decoders"] if stored["type"] == "Sequence" else [stored]
    return {
        f"{step['type']} of {step.get('pattern', step['content'])}"
        if step["type"] in ("Replace", "Strip") and step not in _SPACES
        else step["type"]
        for step in steps
    }


def _byte_characters() -> dict[str, int]:
    """What stands for each byte in byte-level vocabularies.

    Bytes that print stand for themselves; the others, in order, for what follows 255.
    """
    alone = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in alone]
    found = {chr(byte): byte for byte in alone}
    return found | {chr(256 + place): byte for place, byte in enumerate(others)}


def _by_characters(name: str, characters: dict[str, int]) -> bytes:
    """A byte-level token; one that is not wholly in its alphabet is text."""
    if all(own in characters for own in name):
        return bytes(characters[own] for own in name)
    return name.encode()


def _by_piece(name: str, fallback: bool) -> bytes:
    """A token of a vocabulary in which a bar stands for a space."""
    is_byte = fallback and len(name) == 6 and name[:3] == "<0x" and name[-1] == ">"
    if is_byte:
        return bytes.fromhex(name[3:5])
    return name.replace(_SPACE, " ").encode()
