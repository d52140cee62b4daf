"""Texts to padded arrays: prompts, responses, and batches by random access."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from nashalign import checks, types
from nashalign.data import tokenizer as tokenizer_lib

T = TypeVar("T")

Fit = Callable[[list[int], int], list[int] | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptIds:
    """Prompts as token ids, and what it took to fit them.

    Attributes:
      tokens: the ids of each prompt that was kept.
      ids: `[num_prompts]` int32, where each stood among the texts given.
      cut: number of prompts that were too long and were shortened.
      dropped: number of prompts that were too long and were left out.
    """

    tokens: list[list[int]]
    ids: np.ndarray
    cut: int
    dropped: int


def keep_beginning(tokens: list[int], budget: int) -> list[int]:
    """Fits tokens into a budget by cutting on the right."""
    return tokens[:budget]


def keep_end(tokens: list[int], budget: int) -> list[int]:
    """Fits tokens into a budget by cutting on the left."""
    return tokens[max(0, len(tokens) - budget) :]


def drop(tokens: list[int], budget: int) -> None:
    """Fits tokens into a budget by dropping the prompt."""
    del tokens, budget


def prompt_ids(
    tokenizer: tokenizer_lib.Tokenizer,
    texts: Sequence[str],
    *,
    length: int,
    suffix: str = "",
    fit: Fit = keep_beginning,
    markup: bool = False,
) -> PromptIds:
    """Returns prompts: the begin token, a text, and the suffix that asks for more.

    Text and suffix are tokenized as one, as the model's own tokenizer does. Where the
    text is too long, its tokens are cut, and those of the suffix follow as they stand
    behind any text.

    Args:
      tokenizer: the tokenizer; without a begin token, prompts have none.
      texts: one for each prompt; only they are ever cut: the suffix is always whole.
      length: the most tokens a prompt may have, begin token and suffix included.
      suffix: what follows each text and precedes the response; nothing by default.
      fit: what to do with a text that is too long: `keep_beginning`, `keep_end` or
        `drop`. The result counts how many it met.
      markup: whether the texts are written in the markup of the model, as its chat
        template renders them: special tokens that they spell become their ids, and no
        begin token is put in front. Only for texts whose every part is trusted to
        hold no markup of its own.

    Returns:
      The prompts kept and the counts.

    Raises:
      ValueError: if begin token and suffix alone do not fit, or a prompt has no token
        at all.
    """
    begin, end = _frame(tokenizer, length, suffix, markup)
    budget = length - len(begin) - len(end)
    if tokenizer.has_chat_template and not markup:
        _warn_of_markup(tokenizer, texts)
    whole = tokenizer.encode([text + suffix for text in texts], markup=markup)
    if not begin and [] in whole:
        raise ValueError(
            f"text {whole.index([])} is empty, and nothing is put before or behind it: "
            "there is no token to answer to; leave it out or give a suffix."
        )
    long = [i for i, tokens in enumerate(whole) if len(tokens) > length - len(begin)]
    alone = tokenizer.encode([texts[index] for index in long], markup=markup)
    fitted: list[list[int] | None] = list(whole)
    for index, tokens in zip(long, alone, strict=True):
        kept = tokens if len(tokens) <= budget else fit(tokens, budget)
        fitted[index] = None if kept is None else kept + end
    ids = [index for index, tokens in enumerate(fitted) if tokens is not None]
    dropped = len(whole) - len(ids)
    return PromptIds(
        tokens=[begin + fitted[index] for index in ids],
        ids=np.asarray(ids, np.int32),
        cut=len(long) - dropped,
        dropped=dropped,
    )


def text_read(
    tokenizer: tokenizer_lib.Tokenizer,
    text: str,
    *,
    length: int,
    suffix: str = "",
) -> str:
    """Returns the beginning of a text that its prompt holds, cut on the right.

    Args:
      tokenizer: the tokenizer.
      text: as it was given to `prompt_ids`.
      length: the most tokens a prompt may have, as for `prompt_ids`.
      suffix: what follows the text.

    Returns:
      All of the text where it fits.

    Raises:
      ValueError: if begin token and suffix alone do not fit.
    """
    begin, end = _frame(tokenizer, length, suffix)
    (whole,) = tokenizer.encode([text + suffix])
    if len(begin) + len(whole) <= length:
        return text
    return tokenizer.beginning(text, length - len(begin) - len(end))


def _frame(tokenizer, length, suffix, markup=False) -> tuple[list[int], list[int]]:
    """The tokens before and after a text, which leave room for some of it."""
    begin = [] if markup or tokenizer.bos_id is None else [tokenizer.bos_id]
    (end,) = tokenizer.continuations([suffix], markup=markup)
    if length <= len(begin) + len(end):
        raise ValueError(
            f"A prompt of {length} tokens has no room for text beside the "
            f"{len(begin) + len(end)} of its frame; allow more."
        )
    return begin, end


def _warn_of_markup(tokenizer, texts):
    """Says that special tokens are spelt in texts that were not said to be markup."""
    spelt = tokenizer.spelt(texts)
    if spelt:
        warnings.warn(
            f"Prompts spell {', '.join(spelt)}, which is read as text; where they are "
            "in the markup of the model, say prompt_ids(..., markup=True).",
            stacklevel=3,
        )


def pad_prompts(
    tokens: Sequence[Sequence[int]],
    ids: Sequence[int],
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


def encode_responses(
    tokenizer: tokenizer_lib.Tokenizer,
    texts: Sequence[Sequence[str]],
    *,
    length: int,
) -> types.Responses:
    """Returns texts as responses: their tokens and the end token, padded on the right.

    A response goes on where its prompt has ended, and is tokenized so.

    Args:
      tokenizer: the tokenizer, whose `closing_id` ends the texts.
      texts: for each of `B` prompts, the same number `N` of texts.
      length: number of columns; a text whose end token lies beyond them is cut there
        and marked as truncated.

    Returns:
      The responses, `[B, N, length]`.
    """
    encoded = tokenizer.continuations([text for row in texts for text in row])
    ended = iter([*ids, tokenizer.closing_id] for ids in encoded)
    return pad_responses(
        [[next(ended) for _ in row] for row in texts],
        length=length,
        pad_id=tokenizer.pad_id,
    )


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


def _require_ids(tokens, name: str) -> None:
    """Requires token or example ids: whole numbers that are not negative."""
    whole = isinstance(tokens, Sequence | np.ndarray) and not isinstance(tokens, str)
    if not whole or not all(isinstance(own, int | np.integer) for own in tokens):
        raise TypeError(f"{name} holds {tokens!r:.60}, which is no list of ids")
    if len(tokens) and min(tokens) < 0:
        raise ValueError(f"{name} holds {min(tokens)}; an id is never negative")


def batches(
    examples: Sequence[T], *, batch_size: int, seed: int
) -> Callable[[int], list[T]]:
    """Returns `batch(step)`, a pure function of the step: nothing to save or restore.

    Every epoch is a new shuffle, cut into whole batches: within one, no example comes
    twice, and the fewer than `batch_size` left over sit it out.

    Args:
      examples: anything that is indexed, such as a TFDS data source.
      batch_size: examples in a batch.
      seed: of the shuffles.

    Returns:
      The function from a step, counted from zero without limit, to its examples.

    Raises:
      ValueError: if there are fewer than two examples, or fewer than a batch.
    """
    if len(examples) < 2:
        raise ValueError(
            f"The data set has {len(examples)} examples; training needs at least two."
        )
    if not 1 <= batch_size <= len(examples):
        raise ValueError(
            f"A batch of {batch_size} cannot be drawn from {len(examples)} examples; "
            f"choose 1 to {len(examples)}."
        )
    # Not every machine that pads prompts has grain; only training draws batches.
    import grain

    dataset = grain.MapDataset.source(examples).seed(seed).shuffle()
    dataset = dataset.batch(batch_size, drop_remainder=True, batch_fn=list).repeat()
    return lambda step: dataset[step]


def prompt_batches(
    prompts: PromptIds, *, batch_size: int, length: int, pad_id: int, seed: int
) -> Callable[[int], types.Prompts]:
    """Returns `batch(step)` over encoded prompts, as `batches` over examples.

    Args:
      prompts: what `prompt_ids` returned.
      batch_size: prompts in a batch.
      length: number of columns; see `pad_prompts`.
      pad_id: what fills the columns without a token.
      seed: of the shuffles.

    Returns:
      The function from a step to its prompts `[batch_size, length]`; their ids are
      those of `prompts`.
    """
    draw = batches(range(len(prompts.tokens)), batch_size=batch_size, seed=seed)

    def batch(step: int) -> types.Prompts:
        """Returns the prompts of a step."""
        rows = draw(step)
        return pad_prompts(
            [prompts.tokens[row] for row in rows],
            prompts.ids[rows],
            length=length,
            pad_id=pad_id,
        )

    return batch
