"""Texts to prompts: their tokens, and what it takes to fit them into a length."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from nashalign.data import tokenizer as tokenizer_lib

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

    Where the folder of the tokenizer ends texts with a token, it stands behind all.
    Text and suffix are tokenized as one, as the model's own tokenizer does. Where the
    text is too long, its tokens are cut, and those of the suffix follow as they stand
    behind any text.

    Args:
      tokenizer: the tokenizer; without a begin token, prompts have none, nor one behind
        them without that.
      texts: one for each prompt; only they are ever cut: the suffix is always whole.
      length: the most tokens a prompt may have, all of them counted.
      suffix: what follows each text and precedes the response; nothing by default.
      fit: what to do with a text that is too long: `keep_beginning`, `keep_end` or
        `drop`. The result counts how many it met.
      markup: whether the texts are written in the markup of the model, as its chat
        template renders them: special tokens that they spell become their ids, and no
        token is put in front or behind. Only for texts whose every part is trusted to
        hold no markup of its own.

    Returns:
      The prompts kept and the counts.

    Raises:
      ValueError: if begin token and suffix alone do not fit, or a prompt has no token
        at all.
    """
    begin, end, behind = _frame(tokenizer, length, suffix, markup)
    room = length - len(begin) - len(behind)
    if tokenizer.chat is not None and not markup:
        _warn_of_markup(tokenizer, texts)
    whole = tokenizer.encode([text + suffix for text in texts], markup=markup)
    if not begin and not behind and [] in whole:
        raise ValueError(
            f"text {whole.index([])} is empty, and nothing is put before or behind it: "
            "there is no token to answer to; leave it out or give a suffix."
        )
    long = [i for i, tokens in enumerate(whole) if len(tokens) > room]
    alone = tokenizer.encode([texts[index] for index in long], markup=markup)
    fitted: dict[int, list[int] | None] = dict(enumerate(whole))
    for index, tokens in zip(long, alone, strict=True):
        budget = room - len(end)
        kept = tokens if len(tokens) <= budget else fit(tokens, budget)
        fitted[index] = None if kept is None else kept + end
    found = {index: own for index, own in fitted.items() if own is not None}
    dropped = len(whole) - len(found)
    return PromptIds(
        tokens=[begin + own + behind for own in found.values()],
        ids=np.asarray(list(found), np.int32),
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
    begin, end, behind = _frame(tokenizer, length, suffix)
    room = length - len(begin) - len(behind)
    (whole,) = tokenizer.encode([text + suffix])
    if len(whole) <= room:
        return text
    return tokenizer.beginning(text, room - len(end))


def _frame(tokenizer, length, suffix, markup=False):
    """The tokens before a text, of the suffix, and behind it, with room for some text.

    Markup has its own.
    """
    ids = (None, None) if markup else (tokenizer.bos_id, tokenizer.behind_id)
    begin, behind = ([] if own is None else [own] for own in ids)
    (end,) = tokenizer.continuations([suffix], markup=markup)
    size = len(begin) + len(end) + len(behind)
    if length <= size:
        raise ValueError(
            f"A prompt of {length} tokens has no room for text beside the {size} of "
            "its frame; allow more."
        )
    return begin, end, behind


def _warn_of_markup(tokenizer, texts):
    """Says that special tokens are spelt in texts that were not said to be markup."""
    spelt = tokenizer.spelt(texts)
    if spelt:
        warnings.warn(
            f"Prompts spell {', '.join(spelt)}, which is read as text; where they are "
            "in the markup of the model, say prompt_ids(..., markup=True).",
            stacklevel=3,
        )
