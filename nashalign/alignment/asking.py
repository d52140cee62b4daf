"""Asks an annotator about many responses, a batch at a time, wherever it lives.

One on the device is compiled once; one on the host is asked as it is.
"""

import functools
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import scipy.special

from nashalign import compiling, preferences, terminal
from nashalign.alignment import task as tasks
from nashalign.types import Prompts, Responses

# Whom a run may ask, by what they answer: `"preference"` and `"reward"`.
Annotators = Mapping[str, preferences.Annotator | None]

_PAIRS_AT_ONCE = 336
"""Comparisons in one call of a model; more would take too much memory."""


def compare(
    annotator: preferences.PreferenceAnnotator,
    prompts: Prompts,
    y: Responses,
    z: Responses,
    *,
    size: int = 64,
    name: str = "",
) -> np.ndarray:
    """Returns P(y beats z) of comparisons, `[B, M]` in [0, 1].

    Args:
      annotator: whom to ask.
      prompts: `B` prompts.
      y: `[B, M, T]`.
      z: `[B, M, T]`.
      size: prompts in one call.
      name: of the progress bar; none is shown without one.
    """
    ask = _asked(annotator, _prefer)
    return _in_batches(ask, (prompts, y, z), size, name)


def compare_all(
    annotator: preferences.PreferenceAnnotator,
    prompts: Prompts,
    responses: Responses,
    pairs: Sequence[tuple[int, int]] | None = None,
    *,
    name: str = "",
) -> np.ndarray:
    """Returns the preferences among the responses to each prompt, `[B, N, N]`.

    Each pair is asked about once, the first response against the second.

    Args:
      annotator: whom to ask.
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      pairs: `(i, j)` those that are asked about; all by default.
      name: of the progress bar; none is shown without one.

    Returns:
      P(row beats column), 1/2 on the diagonal; NaN where nobody was asked.
    """
    number = responses.tokens.shape[1]
    every = itertools.combinations(range(number), 2)
    chosen = tuple(every if pairs is None else pairs)
    first, second = np.asarray(chosen).T
    size = max(1, _PAIRS_AT_ONCE // len(chosen))
    ask = _asked(annotator, _prefer_pairs, chosen)
    answers = _in_batches(ask, (prompts, responses), size, name)
    found = np.full((len(answers), number, number), np.nan)
    found[:, range(number), range(number)] = 0.5
    found[:, first, second], found[:, second, first] = answers, 1 - answers
    return found


def compare_pairs(
    annotator: preferences.Annotator,
    prompts: Prompts,
    responses: Responses,
    *,
    size: int = 64,
) -> np.ndarray:
    """Returns P(the first response beats the second), `[B]`, whatever it answers.

    Args:
      annotator: whom to ask; where it has rewards alone, their differences are
        log-odds.
      prompts: `B` prompts.
      responses: `[B, 2, T]`.
      size: prompts in one call, where preferences are asked for.

    Raises:
      TypeError: it answers neither question.
    """
    if preferences.can_answer(annotator, "prefer"):
        y, z = (jax.tree.map(lambda x, at=at: x[:, at], responses) for at in ([0], [1]))
        return compare(annotator, prompts, y, z, size=size)[:, 0]
    if preferences.can_answer(annotator, "score"):
        rewards = score(annotator, prompts, responses)
        return scipy.special.expit(rewards[:, 0] - rewards[:, 1])
    raise TypeError(f"{type(annotator).__name__} says nothing of two responses")


def score(
    annotator: preferences.RewardAnnotator,
    prompts: Prompts,
    responses: Responses,
    *,
    name: str = "",
) -> np.ndarray:
    """Returns rewards `[B, N]` of responses `[B, N, T]`.

    Args:
      annotator: whom to ask.
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      name: of the progress bar; none is shown without one.
    """
    ask = _asked(annotator, _score)
    return _in_batches(ask, (prompts, responses), 64, name)


def _prefer(annotator, prompts, y, z):
    """P(y beats z), `[B, M]`."""
    return annotator.prefer(None, prompts, y, z)


def _prefer_pairs(pairs, annotator, prompts, responses):
    """P(y beats z) of pairs, `[B, len(pairs)]`."""
    return preferences.preferred_among(annotator, None, prompts, responses, pairs)


def _score(annotator, prompts, responses):
    """Rewards `[B, N]`."""
    return annotator.score(None, prompts, responses)


def _asked(
    annotator: preferences.Annotator, function: Callable, *settings: Hashable
) -> Callable:
    """How an annotator is asked: by a compiled program, or on the host as it is."""
    if preferences.on_host(annotator):
        return functools.partial(function, *settings, annotator)
    return functools.partial(_compiled(function, *settings), annotator)


# Programs of pairs that are asked about no more would fill the memory.
@functools.lru_cache(16)
def _compiled(function: Callable, *settings: Hashable) -> Callable:
    """The program of a function that is given settings first."""
    return jax.jit(
        functools.partial(function, *settings),
        compiler_options=compiling.compiler_options(),
    )


def _in_batches(ask: Callable, texts: Any, size: int, name: str) -> np.ndarray:
    """Answers to all texts, of which each call sees as many."""
    number = len(texts[0].ids)
    answers = []
    with terminal.progress_bar(name, number) as advance:
        for rows in tasks.chunks(np.arange(number), size):
            answers.append(np.asarray(ask(*tasks.rows_of(texts, rows))))
            advance(len(set(rows)), "")
    return np.concatenate(answers)[:number]
