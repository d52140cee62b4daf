"""Tokens to padded arrays: prompts on the left, responses on the right."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from nashalign import checks, types
from nashalign.data import tokenizer as tokenizer_lib


def pad_prompts(
    tokens: Sequence[Sequence[int]],
    ids: types.Indices,
    *,
    length: int,
    pad_id: int,
) -> types.Prompts:
    """Returns prompts as arrays, padded on the left to one length.

    Args:
      tokens: the token ids of each prompt, at least one.
      ids: the example id of each.
      length: number of columns.
      pad_id: what fills the columns without a token.

    Returns:
      The prompts, `[B, length]`.

    Raises:
      ValueError: if a prompt is empty or longer than `length`, or there is not an id
        for each.
      TypeError: if a prompt is no list of token ids.
    """
    checks.whole(length, "length")
    for row in tokens:
        _require_ids(row, "tokens")
    _require_ids(ids, "ids")
    if len(ids) != len(tokens):
        raise ValueError(f"there are {len(ids)} ids for {len(tokens)} prompts")
    lengths = [len(row) for row in tokens]
    if not lengths or min(lengths) < 1 or max(lengths) > length:
        raise ValueError(
            f"Prompts have {min(lengths, default=0)} to {max(lengths, default=0)} "
            f"tokens, and length is {length}: they must have 1 to {length}. Cut them "
            "with `prompt_ids`."
        )
    array = np.full((len(tokens), length), pad_id, np.int32)
    for row, values in zip(array, tokens, strict=True):
        row[length - len(values) :] = values
    mask = np.arange(length) >= length - np.asarray(lengths)[:, None]
    return types.Prompts(tokens=array, mask=mask, ids=np.asarray(ids, np.int32))


def trim_prompts(prompts: types.Prompts, lengths: Sequence[int]) -> types.Prompts:
    """Returns prompts padded to the shortest length that holds all of them.

    Args:
      prompts: `[B, L]`, padded on the left.
      lengths: to choose from, the shortest first; none that is too short is taken.

    Returns:
      The prompts, `[B, length]`; as they came where no length is long enough.
    """
    needed = int(np.asarray(prompts.mask).sum(-1).max())
    columns = prompts.tokens.shape[-1]
    length = next((own for own in lengths if needed <= own <= columns), columns)
    return types.Prompts(
        tokens=prompts.tokens[:, columns - length :],
        mask=prompts.mask[:, columns - length :],
        ids=prompts.ids,
    )


def trim_examples(
    examples: types.Examples, shapes: Sequence[Sequence[int]]
) -> types.Examples:
    """Returns examples padded to the first shape that holds all of them.

    Args:
      examples: `[B, L]` prompts and `[B, N, T]` responses.
      shapes: lengths of prompts and of responses to choose from, the shortest first;
        none that is too short is taken.

    Returns:
      The examples; as they came where no shape is large enough.
    """
    both = (examples.prompts, examples.responses)
    needed = [int(np.asarray(own.mask).sum(-1).max()) for own in both]
    columns = tuple(own.tokens.shape[-1] for own in both)

    def holds(shape):
        return all(map(lambda n, own, most: n <= own <= most, needed, shape, columns))

    prompt, response = next(filter(holds, shapes), columns)
    return dataclasses.replace(
        examples,
        prompts=trim_prompts(examples.prompts, [prompt]),
        responses=dataclasses.replace(
            examples.responses,
            tokens=examples.responses.tokens[..., :response],
            mask=examples.responses.mask[..., :response],
        ),
        frozen_log_probs={
            name: own[..., :response] for name, own in examples.frozen_log_probs.items()
        },
    )


def encode_responses(
    tokenizer: tokenizer_lib.Tokenizer,
    texts: Sequence[Sequence[str]],
    *,
    length: int,
) -> types.Responses:
    """Returns texts as responses: their tokens and the end token, padded on the right.

    A response goes on where its prompt has ended, and is tokenized so. One in which a
    stop text is complete ends there, without the end token.

    Args:
      tokenizer: the tokenizer, whose `closing_id` or `stops` end the texts.
      texts: for each of `B` prompts, the same number `N` of texts.
      length: number of columns; a text whose end token lies beyond them is cut there
        and marked as truncated.

    Returns:
      The responses, `[B, N, length]`.
    """
    encoded = tokenizer.continuations([text for row in texts for text in row])
    ended = iter(_ended(tokenizer, ids) for ids in encoded)
    return pad_responses(
        [[next(ended) for _ in row] for row in texts],
        length=length,
        pad_id=tokenizer.pad_id,
    )


def _ended(tokenizer: tokenizer_lib.Tokenizer, ids: list[int]) -> list[int]:
    """A text's tokens, up to the end of the response that they are."""
    end = None if tokenizer.stops is None else tokenizer.stops.end(ids)
    return [*ids, tokenizer.closing_id] if end is None else ids[:end]


class Decodes(Protocol):
    """Turns tokens into text."""

    def decode(self, ids: Sequence[int], /) -> str:
        """Returns the text of tokens, up to the end of sequence."""
        ...


def decode_responses(tokenizer: Decodes, responses: types.Responses) -> list[list[str]]:
    """Returns responses as text, `[B][N]`.

    Args:
      tokenizer: whatever has `decode(ids) -> str`, which stops at the end of sequence.
      responses: `[B, N, T]`.
    """
    tokens, mask = np.asarray(responses.tokens), np.asarray(responses.mask)
    return [
        [tokenizer.decode(row[own].tolist()) for row, own in zip(*rows, strict=True)]
        for rows in zip(tokens, mask, strict=True)
    ]


def pad_responses(
    strings: Sequence[Sequence[Sequence[int]]], *, length: int, pad_id: int
) -> types.Responses:
    """Returns token strings as responses, padded on the right.

    Args:
      strings: for each of `B` prompts, the same number `N` of them, each with its end
        token if it has ended.
      length: number of columns; a longer string is cut there.
      pad_id: what fills the space after the end.

    Returns:
      The responses, `[B, N, length]`; `truncated` where a string was cut.

    Raises:
      ValueError: if there are no strings, or not the same number for each prompt.
      TypeError: if one is no list of token ids.
    """
    checks.whole(length, "length")
    for row in strings:
        if isinstance(row, str) or not hasattr(row, "__len__"):
            raise TypeError(f"strings holds {row!r:.60}, not token strings of a prompt")
        for string in row:
            _require_ids(string, "strings")
    if not len(strings) or len({len(row) for row in strings}) > 1:
        numbers = sorted({len(row) for row in strings})
        raise ValueError(
            f"strings has {numbers or 'no'} token strings for a prompt; every prompt "
            "must have the same number, at least one"
        )
    shape = (len(strings), len(strings[0]), length)
    tokens = np.full(shape, pad_id, np.int32)
    lengths = np.array([[len(string) for string in row] for row in strings])
    for padded, row in zip(tokens, strings, strict=True):
        for columns, string in zip(padded, row, strict=True):
            columns[: len(string)] = string[:length]
    return types.Responses(
        tokens=tokens,
        mask=np.arange(length) < lengths[..., None],
        truncated=lengths > length,
    )


def _require_ids(tokens: types.Indices, name: str) -> None:
    """Requires token or example ids: whole numbers that are not negative."""
    if (
        isinstance(tokens, str)
        or not isinstance(tokens, Sequence | np.ndarray)
        or not all(isinstance(own, int | np.integer) for own in tokens)
    ):
        raise TypeError(f"{name} holds {tokens!r:.60}, which is no list of ids")
    if len(tokens) and min(tokens) < 0:
        raise ValueError(f"{name} holds {min(tokens)}; an id is never negative")
