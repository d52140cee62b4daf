"""Regressions of rows: log-ratios that are to equal a multiple of rewards or win rates.

`(method, groups) -> [B, G]`, as in `pairs.py`. Their minimum is a mirror-descent
step from the anchor, whose step `eta` or inverse `tau` is what the target is scaled by.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.algorithms import readings
from nashalign.algorithms.columns import formula
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives.composed import Tau, inverse_eta
from nashalign.types import Array, Groups


def reward_regression(method: Method, groups: Groups) -> Array:
    """Squared distance of the margin from eta times the difference of rewards."""
    rewards = readings.rewards(groups)
    gap = rewards[..., 0] - rewards[..., 1]
    return jnp.square(readings.margin(method, groups) - method.settings["eta"] * gap)


def win_rate_gap(groups: Groups) -> Array:
    """Difference of the two members' win rates over the opponents, `[B, G]`."""
    wins = jnp.mean(readings.wins_over_opponents(groups), -1)
    return wins[..., 0] - wins[..., 1]


@dataclasses.dataclass(frozen=True)
class GapRegression:
    """Squared distance of the margin from the difference of win rates over tau."""

    tau: Tau

    @property
    def formula(self) -> str:
        """With what tau is."""
        return f"win rate gap regression ({formula(self.tau)})"

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        target = win_rate_gap(groups) / self.tau(method.settings)
        return jnp.square(readings.margin(method, groups) - target)


def gap_regression(tau: Tau) -> GapRegression:
    """Squared distance of the margin from the difference of win rates over tau."""
    return GapRegression(tau)


def win_rate_gap_entropy(method: Method, groups: Groups) -> Array:
    """Cross-entropy of the margin over eta to the difference of win rates.

    Both go through a logistic function.
    """
    label = jax.nn.sigmoid(win_rate_gap(groups))
    return losses.dpo(
        readings.margin(method, groups), label, tau=inverse_eta(method.settings)
    )


def optimistic_regression(method: Method, groups: Groups) -> Array:
    """Squared distance of the margin from an optimistic step.

    Twice the difference of win rates over the first opponent, less that over the
    second, which the policy before has written.
    """
    wins = readings.wins_over_opponents(groups)
    gaps = wins[..., 0, :] - wins[..., 1, :]
    target = method.settings["eta"] * (2 * gaps[..., 0] - gaps[..., 1])
    return jnp.square(readings.margin(method, groups) - target)


def win_rate_regression(method: Method, groups: Groups) -> Array:
    """Squared distance of log-ratios from eta (win rate - 1/2), over the K members.

    A member's win rate is over all members, itself included, with which it ties.
    """
    wins = readings.wins_over_members(groups)
    target = method.settings["eta"] * (jnp.mean(wins, -1) - 0.5)
    return jnp.mean(jnp.square(readings.log_ratios(method, groups) - target), -1)


def squared_log_ratio(method: Method, groups: Groups) -> Array:
    """Mean squared log-ratio of the members from the reference.

    On the policy's own responses its slope is twice that of the reverse divergence,
    KL(policy || reference).
    """
    del method
    return jnp.mean(jnp.square(_from_reference(groups)), -1)


def inverse_ratio(method: Method, groups: Groups) -> Array:
    """Mean ratio of the reference's to the policy's probability of the members.

    On the policy's own responses its slope is that of the forward divergence,
    KL(reference || policy). A ratio over exp(10) is not trained on, as in RSPO's code.
    """
    del method
    bounded = jnp.minimum(-_from_reference(groups), _LARGEST_LOG)
    return jnp.mean(jnp.exp(bounded), -1)


_LARGEST_LOG = 10.0


def _from_reference(groups):
    """The members' log-ratios from the reference, `[B, G, K]` nats."""
    ratios = jnp.sum(groups.log_probs - groups.reference_log_probs, -1)
    return readings.take(ratios, groups.members)
