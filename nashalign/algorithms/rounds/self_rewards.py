"""DICE's rounds: a penalty for length is found before each of them."""

import dataclasses
import functools

import jax
import numpy as np

from nashalign import preferences
from nashalign.algorithms import readings
from nashalign.algorithms.method import Method
from nashalign.algorithms.rollouts import rollout
from nashalign.algorithms.rounds.round import Context, Round, divide, take
from nashalign.algorithms.state import Setup, State
from nashalign.types import Array, Examples

PENALTIES = np.linspace(0, 1, 1001)
"""The grid on which DICE's code looks for a penalty."""


@dataclasses.dataclass(frozen=True)
class SelfRewarded:
    """A stage of another method, and rounds whose rewards are what it has learnt.

    Each of them is a stage of its own, and begins with the penalty that its own
    responses ask for (`length_corrected`). Chen et al. 2024 (arXiv:2406.09760).

    Attributes:
      method: the first stage's; its `tau` is the row's.
      number: of rounds after it.
      num_prompts: whose responses give the penalty.
    """

    method: Method
    number: int = 2
    num_prompts: int = 128

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return f"DPO, then {self.number} stages, each with its penalty for length"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns stages of equal length, as far as they can be."""
        begin, *others = divide(num_steps, 1 + self.number)
        before = self.method.with_settings({"tau": method.settings["tau"]})
        settle = functools.partial(self.settle, method)
        return (
            Round(method=before, num_steps=begin),
            *(
                Round(method=method, num_steps=own, settle=settle, begins_stage=True)
                for own in others
            ),
        )

    def settle(self, method: Method, context: Context) -> Method:
        """Returns the method with the penalty of the first prompts' responses."""
        seen = take(context.first(method.num_given), slice(self.num_prompts))
        return length_corrected(method, context.setup, context.state, seen)


def length_corrected(
    method: Method,
    setup: Setup,
    state: State,
    examples: Examples,
    grid: Array = PENALTIES,
) -> Method:
    """Returns the method with the penalty that its own responses ask for.

    Before a round, the iterate writes to some prompts; the penalty a token is found
    (`preferences.length_penalty`) by which the best of its responses are no longer than
    the worst. Chen et al. 2024 (arXiv:2406.09760).

    Args:
      method: the row `dice`.
      setup: model family and decoding.
      state: whose iterate writes; its `previous` policy is what rewards are measured
        from, so that there are none before the policy has learnt something.
      examples: `B` prompts with a pair each.
      grid: `[A]` penalties to be tried, in nats of log-ratio a token.

    Returns:
      The method with its setting `penalty`.
    """
    free = dataclasses.replace(method, settings={**method.settings, "penalty": 0.0})
    # No step has this number: what a step draws is learnt from, and not drawn twice.
    key = jax.random.fold_in(state.key, 2**32 - 1)
    searching = dataclasses.replace(state, key=key)
    groups = rollout(free, setup, searching, examples)
    rewards = readings.all_rewards(free.label(free, groups))
    own = slice(len(free.authors) - free.num_data)
    found = preferences.length_penalty(
        rewards[:, own],
        groups.responses.mask.sum(-1)[:, own],
        grid,
        where=~groups.responses.truncated[:, own],
    )
    settings = {**method.settings, "penalty": float(found)}
    return dataclasses.replace(method, settings=settings)
