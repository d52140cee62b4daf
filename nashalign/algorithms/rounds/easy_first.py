"""Mixed preference optimisation's rounds: easy pairs, then difficult ones."""

import dataclasses

import numpy as np

from nashalign.algorithms.method import Method
from nashalign.algorithms.rounds.round import (
    PREFERENCE,
    RESPONSES,
    REWARD,
    Context,
    Round,
    divide,
    take,
)
from nashalign.types import Examples


@dataclasses.dataclass(frozen=True)
class EasyFirst:
    """Another method on easy pairs, then the row's own on difficult ones.

    The second is a stage that is held to the policy that the first has made. A pair is
    easy if its winner's reward is more than the setting `threshold` above the loser's,
    difficult if the rewards are no further apart, and left out if the label contradicts
    them by more. Gou and Nguyen 2024 (arXiv:2403.19443).

    Attributes:
      method: what learns from easy pairs.
      tau: the row's setting that is that method's `tau`.
    """

    method: Method
    tau: str

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return "DPO on easy pairs, then a stage on the prompts of difficult ones"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns the two rounds; in a run of one update there is the second alone."""
        settings, last = method.settings, divide(num_steps, 2)[-1]
        threshold = float(settings["threshold"])
        easy = Round(
            method=self.method.with_settings({"tau": settings[self.tau]}),
            num_steps=num_steps - last,
            make=_Part(threshold, easy=True),
            needs=frozenset({PREFERENCE, REWARD, RESPONSES}),
        )
        difficult = Round(
            method=method,
            num_steps=last,
            make=_Part(threshold, easy=False),
            begins_stage=True,
            needs=frozenset({REWARD, RESPONSES}),
        )
        return (easy, difficult) if last < num_steps else (difficult,)


@dataclasses.dataclass(frozen=True)
class _Part:
    """The easy pairs of the data set, or the difficult ones."""

    threshold: float
    easy: bool

    def __call__(self, context: Context, before: Examples | None) -> Examples:
        del before
        pairs = context.first(2)
        gap = reward_gap(pairs)
        easy, difficult = gap > self.threshold, np.abs(gap) <= self.threshold
        return take(pairs, easy if self.easy else difficult)


def reward_gap(examples: Examples) -> np.ndarray:
    """Returns the winner's reward less the loser's, `[B]`.

    It is negative where rewards disagree with the label. Where a pair has no label, or
    a tied one, the higher reward has won.

    Raises:
      ValueError: the examples have no rewards.
    """
    if examples.rewards is None:
        raise ValueError("pairs are told apart by their rewards, and have none")
    gap = np.asarray(examples.rewards[:, 0] - examples.rewards[:, 1])
    if examples.preference is None:
        return np.abs(gap)
    label = np.asarray(examples.preference[:, 0, 1])
    return np.where(label == 0.5, np.abs(gap), np.where(label > 0.5, gap, -gap))
