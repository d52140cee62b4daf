"""Methods of several stages, each on its part of the examples.

Between two stages `next_stage` makes the policy the new reference.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Mapping

import jax
import numpy as np

from nashalign import checks
from nashalign.algorithms.method import Method
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.table import TABLE, configure
from nashalign.types import Examples

# `(examples) -> [B] bool`, which of them a stage learns from.
Part = Callable[[Examples], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A row with its settings, and the part of the examples that it learns from."""

    row: Row
    method: Method
    part: Part


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A sequence of stages; see `next_stage` for what happens between two.

    Attributes:
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      stages: in order.
      departures: what the paper does that the recipe does not, or what is not known of
        it, one line each; those of its rows come on top.
    """

    title: str
    paper: str
    stages: tuple[Stage, ...]
    departures: tuple[str, ...] = ()


_MIXED_PO = (
    "the threshold between easy and difficult pairs is ours: the paper's is not public",
    "pairs that the reward contradicts by more than the threshold are left out; what "
    "the paper does with them is not public",
    "the share of updates of each stage, and the settings of both, are ours",
    "the optimizer begins anew with the second stage; the paper's is not known here",
)


def mixed_po(
    *,
    threshold: float = 1.0,
    dpo: Mapping[str, float] = types.MappingProxyType({}),
    ppo: Mapping[str, float] = types.MappingProxyType({}),
) -> Recipe:
    """Mixed preference optimisation: DPO on easy pairs, then PPO on difficult ones.

    PPO is held to the policy that DPO has made. A pair is easy if its winner's reward
    is more than `threshold` above the loser's, difficult if the rewards are no further
    apart, and left out if the label contradicts them by more. The split is ours: the
    paper's threshold and its treatment of contradictions are not public. Gou and Nguyen
    2024 (arXiv:2403.19443).

    Args:
      threshold: in units of the reward, >= 0 and infinity for PPO alone, or minus
        infinity for DPO alone.
      dpo: settings of the row `dpo`.
      ppo: settings of the row `ppo`.

    Returns:
      Two stages.

    Raises:
      TypeError: the threshold or another setting is no number.
      ValueError: one is out of its range.
    """
    if not (checks.numeric(threshold, "threshold") >= 0 or threshold == -math.inf):
        raise ValueError(
            f"threshold must be at least 0, or minus infinity, not {threshold}"
        )
    return Recipe(
        title="mixed PO",
        paper="Gou and Nguyen 2024, arXiv:2403.19443",
        stages=(
            Stage(
                TABLE["dpo"],
                configure("dpo", **dpo),
                lambda e: reward_gap(e) > threshold,
            ),
            Stage(
                TABLE["ppo"],
                configure("ppo", **ppo),
                lambda e: np.abs(reward_gap(e)) <= threshold,
            ),
        ),
        departures=_MIXED_PO,
    )


RECIPES: dict[str, Callable[..., Recipe]] = {"mixed_po": mixed_po}


def reward_gap(examples: Examples) -> np.ndarray:
    """The winner's reward less the loser's, `[B]`; negative where rewards disagree.

    Where a pair has no label, or a tied one, the higher reward has won.
    """
    gap = np.asarray(examples.rewards[:, 0] - examples.rewards[:, 1])
    if examples.preference is None:
        return np.abs(gap)
    label = np.asarray(examples.preference[:, 0, 1])
    return np.where(label == 0.5, np.abs(gap), np.where(label > 0.5, gap, -gap))


def take(examples: Examples, part: np.ndarray | slice) -> Examples:
    """The examples at indices, in a slice, or where a mask is true."""
    return jax.tree.map(lambda x: x[part], examples)
