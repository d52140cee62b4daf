"""Rounds: stretches of a run, and what is made between them.

A row whose paper answers prompts again, searches, hears another dimension or begins a
stage says so by its column `rounds`; whoever runs it hands every round its `Context`.
What a round learns from is made when the one before is over.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import numpy as np

from nashalign import preferences
from nashalign.algorithms.method import Method
from nashalign.algorithms.state import Setup, State
from nashalign.types import Examples, Prompts, Responses

# `(pairs) -> pairs`, labelled as one dimension of preference does.
Dimension = Callable[[Examples], Examples]

PREFERENCE, REWARD = "preference", "reward"
RESPONSES, DIMENSIONS, TEXTS = "responses", "dimensions", "texts"


# `(prompts, responses [B, N, T]) -> [B, N]`, rewards.
Score = Callable[[Prompts, Responses], np.ndarray]
# `(question, prompts, responses [B, N, T]) -> [B, N, A]`, probabilities of its answers.
Answer = Callable[[preferences.llm.Template, Prompts, Responses], np.ndarray]


def _nobody_scores(prompts: Prompts, responses: Responses) -> np.ndarray:
    """Where a run has nobody who gives rewards."""
    raise ValueError("the round reads rewards, and nobody gives any")


def _nobody_answers(
    question: preferences.llm.Template, prompts: Prompts, responses: Responses
) -> np.ndarray:
    """Where a run has no task in whose texts the policy could be asked."""
    raise ValueError("the round asks the policy itself, and there is no task")


def _no_prompts(begin: int, end: int) -> Prompts:
    """Where a run has no task."""
    raise ValueError("the round draws prompts of a task, and there is none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What a round may look at before it begins.

    Attributes:
      setup: model family, optimizer and decoding.
      state: where the run stands.
      given: all responses of the data set, with what was said of them; None where the
        run has none.
      dimensions: of preference, each of which labels pairs; none for most data sets.
      score: `(prompts, responses [B, N, T]) -> [B, N]`, rewards on the scale of the
        data set's; an error where nobody gives rewards.
      answer: `(question, prompts, responses [B, N, T]) -> [B, N, A]`, how probable the
        policy, as it stands, finds each answer to a question about each response; an
        error where there is no task.
      draw_prompts: `(begin, end) -> prompts`, so many of the task's, in one order that
        is shuffled and repeats itself; an error where there is no task.
    """

    setup: Setup
    state: State
    given: Examples | None = None
    dimensions: Sequence[Dimension] = ()
    score: Score = _nobody_scores
    answer: Answer = _nobody_answers
    draw_prompts: Callable[[int, int], Prompts] = _no_prompts

    def first(self, number: int) -> Examples:
        """Returns the first responses of the data set to each prompt.

        Args:
          number: how many.

        Raises:
          ValueError: there is no data set.
        """
        if self.given is None:
            raise ValueError("the round learns from a data set, and there is none")
        return first(self.given, number)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """A stretch of a run.

    Attributes:
      method: what is run.
      num_steps: updates in it, at least 1.
      make: `(context, examples) -> examples`, what the round learns from, or whose
        prompts it is shown, of what the one before has learnt from; None where that
        stays.
      settle: `(context) -> method`, the method with what has to be found first; None
        where it is known.
      begins_stage: whether the policy becomes the reference, and the optimizer begins
        again, as in `next_stage`; the first round begins one in any case.
      question: what the policy itself is asked about a response; None where nothing.
      needs: what the run must have for it, of `"preference"` and `"reward"` (somebody
        who answers), `"responses"` (a data set), `"dimensions"` (of preference, in it)
        and `"texts"` (in which the policy can be asked the question); where it is
        empty, what the method asks and reads.
    """

    method: Method
    num_steps: int
    make: Callable[[Context, Examples | None], Examples] | None = None
    settle: Callable[[Context], Method] | None = None
    begins_stage: bool = False
    question: preferences.llm.Template | None = None
    needs: frozenset[str] = frozenset()

    def __post_init__(self):
        """Fills in what the method needs."""
        if not self.needs:
            object.__setattr__(self, "needs", needs(self.method))


class Rounds(Protocol):
    """The column `rounds` of a row; a frozen value says what it is by its formula."""

    def __call__(self, method: Method, num_steps: int, /) -> Sequence[Round]:
        """Returns the rounds of a run of so many updates."""
        ...


def needs(method: Method) -> frozenset[str]:
    """Returns what a run of a method must have; see `Round`."""
    found = set()
    if method.annotation == REWARD or method.conditioning is not None:
        found.add(REWARD)
    elif method.annotation == PREFERENCE:
        found.add(PREFERENCE)
    if method.num_data:
        found.add(RESPONSES)
    return frozenset(found)


def divide(num_steps: int, number: int) -> list[int]:
    """Returns the lengths of so many rounds, equal as far as they can be.

    A run of fewer updates than rounds has a round an update.
    """
    number = min(number, num_steps)
    ends = [round(num_steps * n / number) for n in range(number + 1)]
    return [last - first for first, last in zip(ends, ends[1:], strict=False)]


def first(examples: Examples, number: int) -> Examples:
    """Returns the examples with their first responses alone."""
    preference, rewards = examples.preference, examples.rewards
    return dataclasses.replace(
        examples,
        responses=jax.tree.map(lambda x: x[:, :number], examples.responses),
        preference=None if preference is None else preference[:, :number, :number],
        rewards=None if rewards is None else rewards[:, :number],
        frozen_log_probs={
            name: found[:, :number] for name, found in examples.frozen_log_probs.items()
        },
    )


def take(examples: Examples, part: np.ndarray | slice) -> Examples:
    """Returns the examples at indices, in a slice, or where a mask is true."""
    return jax.tree.map(lambda x: x[part], examples)
