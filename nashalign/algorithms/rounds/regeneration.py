"""OPTune's rounds: the prompts with the lowest rewards are answered again."""

import dataclasses
import math

import jax
import numpy as np

from nashalign.algorithms.authors import policy
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import policy_gradients
from nashalign.algorithms.rollouts import rollout
from nashalign.algorithms.rounds.round import Context, Round, Score, divide
from nashalign.algorithms.state import Setup, State
from nashalign.types import Examples

# Of a method that only writes, nothing but its members is read.
_WRITER = Method(
    members=draw(policy, 2), annotation="none", loss=policy_gradients.against_others
)


@dataclasses.dataclass(frozen=True)
class Regenerated:
    """Rounds between which the worst prompts are answered again (`regenerate`).

    The first learns from the data set's pairs. Chen et al. 2024 (arXiv:2406.07657).

    Attributes:
      number: of rounds.
      share: of the prompts that are answered again, in (0, 1].
    """

    number: int = 3
    share: float = 0.5

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return f"{self.number}, before each the worst {self.share:.0%} answered again"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns rounds of equal length, as far as they can be."""
        return tuple(
            Round(
                method=method,
                num_steps=own,
                make=self.again if number else _without_labels,
            )
            for number, own in enumerate(divide(num_steps, self.number))
        )

    def again(self, context: Context, before: Examples | None) -> Examples:
        """Returns what a round has learnt from, the worst of it written again."""
        before = before or _without_labels(context, None)
        return regenerate(
            context.setup, context.score, context.state, before, share=self.share
        )


def _without_labels(context: Context, before: Examples | None) -> Examples:
    """The data set's pairs with their rewards, which are all that is read."""
    del before
    return dataclasses.replace(context.first(2), preference=None)


def regenerate(
    setup: Setup,
    score: Score,
    state: State,
    examples: Examples,
    *,
    share: float,
) -> Examples:
    """Returns examples whose prompts with the lowest rewards are answered again.

    A prompt's rank is the mean reward of its stored pair; equal ones keep their order.
    The policy writes a new pair to the ceil(share * B) lowest prompts, the others keep
    theirs. Then the row `optune` learns from all. Chen et al. 2024 (arXiv:2406.07657).

    Args:
      setup: model family and decoding.
      score: gives the new pairs their rewards, `[B, 2]`.
      state: whose policy writes.
      examples: `B` stored pairs with their rewards.
      share: of the prompts that are answered again, in (0, 1].

    Returns:
      The examples, with new responses and rewards at the lowest prompts.

    Raises:
      ValueError: the share is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is the share of prompts, in (0, 1], not {share}")
    means = np.asarray(examples.rewards).mean(-1)
    number = math.ceil(share * len(means))
    lowest = np.sort(np.argsort(means, kind="stable")[:number])
    prompts = jax.tree.map(lambda x: x[lowest], examples.prompts)
    responses = rollout(_WRITER, setup, state, prompts).responses
    new = {"responses": responses, "rewards": score(prompts, responses)}

    def put(old, fresh):
        old = np.array(old)
        old[lowest] = np.asarray(fresh)
        return old

    old = {"responses": examples.responses, "rewards": examples.rewards}
    again = jax.tree.map(put, old, new)
    # What the data set says of its own responses is not true of these.
    return dataclasses.replace(examples, preference=None, frozen_log_probs={}, **again)
