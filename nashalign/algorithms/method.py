"""A method as data: one row of the table, and the terms rows are made of.

A row says who writes a prompt's responses, which of them the policy is trained on and
which are opponents, whether the annotator compares or scores, what margins are measured
from, the loss of a group, and when frozen policies move. The update (`update.py`) is
shared; a new paper is a new row.

Besides the trained `policy`, a row may name frozen policies: the `reference`; the
`iterate`, which is the policy as it was at the last refresh; the `average`, a running
mean of the policy's parameters. It names them by their weights in a geometric mixture.
"""

import dataclasses
from collections.abc import Callable, Mapping

import chex
import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.types import Groups, pytree

# Name of a policy -> its weight, from a method's settings.
Weights = Callable[[Mapping[str, chex.Numeric]], dict[str, chex.Numeric]]
# `(settings, step, frozen, policy) -> frozen`, a leaf of parameters after a step.
Refresh = Callable[
    [Mapping[str, chex.Numeric], chex.Array, chex.Array, chex.Array], chex.Array
]


def policy(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The trained policy alone."""
    del settings
    return {"policy": 1.0}


def reference(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The reference alone."""
    del settings
    return {"reference": 1.0}


def iterate(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The policy at the last refresh, alone."""
    del settings
    return {"iterate": 1.0}


def average(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The running mean of the policy's parameters, alone."""
    del settings
    return {"average": 1.0}


def mixture(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The token-level geometric mixture, with weight `mix` on the reference."""
    return {"policy": 1 - settings["mix"], "reference": settings["mix"]}


def proximal(settings: Mapping[str, chex.Numeric]) -> dict[str, chex.Numeric]:
    """The anchor of a mirror-descent step: reference eta tau, iterate 1 - eta tau."""
    weight = settings["eta"] * settings["tau"]
    return {"iterate": 1 - weight, "reference": weight}


def every_period(settings, step, frozen, policy):
    """Moves a frozen policy to the trained one every `period` steps."""
    return jnp.where(step % settings["period"] == 0, policy, frozen)


def every_stage(settings, step, frozen, policy):
    """Moves a frozen policy to the trained one every `num_inner` periods."""
    length = settings["period"] * settings["num_inner"]
    return jnp.where(step % length == 0, policy, frozen)


def decaying(settings, step, frozen, policy):
    """Moves a frozen policy by a share 1 - `decay` towards the trained one."""
    del step
    return frozen + (1 - settings["decay"]) * (policy - frozen)


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One way of aligning a policy; a row of `TABLE`.

    Settings are leaves of the pytree, so that one compiled update serves every value of
    them.

    Attributes:
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      authors: who writes each response of a prompt, in order.
      num_members: how many of them, the first, the loss trains on; the rest are
        opponents of a member.
      annotation: what the loss reads: `"preference"` or `"reward"`.
      loss: `(method, log_probs [B, N, T], groups) -> [B, G]`, one number per group.
      divides_by_tau: whether tau must be > 0 rather than >= 0.
      settings: what the paper leaves to choose, name -> value (`RULES` in `table`).
      anchor: what margins are measured from.
      refresh: when each frozen policy that is not the first policy forever moves.
    """

    title: str = dataclasses.field(metadata={"static": True})
    paper: str = dataclasses.field(metadata={"static": True})
    authors: tuple[Weights, ...] = dataclasses.field(metadata={"static": True})
    num_members: int = dataclasses.field(metadata={"static": True})
    annotation: str = dataclasses.field(metadata={"static": True})
    loss: Callable[..., chex.Array] = dataclasses.field(metadata={"static": True})
    divides_by_tau: bool = dataclasses.field(metadata={"static": True})
    settings: dict[str, chex.Numeric]
    anchor: Weights = dataclasses.field(default=reference, metadata={"static": True})
    refresh: tuple[tuple[str, Refresh], ...] = dataclasses.field(
        default=(), metadata={"static": True}
    )

    @property
    def tau(self) -> chex.Numeric:
        """Strength of the regularisation towards the reference; 0 without one."""
        return self.settings.get("tau", 0.0)

    @property
    def mix(self) -> chex.Numeric:
        """Weight on the reference in the mixture; 0 without one."""
        return self.settings.get("mix", 0.0)

    @property
    def mixes(self) -> bool:
        """Whether some response is written by the mixture."""
        return mixture in self.authors

    @property
    def writers(self) -> tuple[str, ...]:
        """Names of the policies that some author looks at, sorted."""
        return tuple(sorted({n for a in self.authors for n in a(self.settings)}))

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen policies, the reference always among them, sorted."""
        names = {"reference", *self.writers, *self.anchor(self.settings)}
        return tuple(sorted(names - {"policy"}))


def log_ratios(method: Method, log_probs: chex.Array, groups: Groups) -> chex.Array:
    """Log-ratios `[B, N]` of whole responses from the anchor, nats: sums over T."""
    anchor = method.anchor(method.settings)
    return jnp.sum(
        log_probs - sum(w * groups.frozen_log_probs[n] for n, w in anchor.items()), -1
    )


def own_tau(settings: Mapping[str, chex.Numeric]) -> chex.Numeric:
    """The tau of a pair loss is that of the method."""
    return settings["tau"]


def inverse_eta(settings: Mapping[str, chex.Numeric]) -> chex.Numeric:
    """The tau of a pair loss is the inverse of a mirror-descent step."""
    return 1 / settings["eta"]


def contrastive(
    pair_loss: Callable[..., chex.Array],
    tau: Callable[[Mapping[str, chex.Numeric]], chex.Numeric] = own_tau,
) -> Callable[..., chex.Array]:
    """The loss of a comparison from a loss of its margin and preference."""

    def loss(method, log_probs, groups):
        margin = _margin(method, log_probs, groups)
        y, z = groups.members[..., :1], groups.members[..., 1:]
        preferred = _take_pairs(groups.preference, y, z)[..., 0, 0]
        return pair_loss(margin, preferred, tau=tau(method.settings))

    return loss


def regression(method: Method, log_probs: chex.Array, groups: Groups) -> chex.Array:
    """Squared distance of the margin from eta times the difference of rewards."""
    rewards = _take(groups.rewards, groups.members)
    gap = rewards[..., 0] - rewards[..., 1]
    margin = _margin(method, log_probs, groups)
    return jnp.square(margin - method.settings["eta"] * gap)


def to_win_rates(method: Method, log_probs: chex.Array, groups: Groups) -> chex.Array:
    """Squared distance of log-ratios from eta (win rate - 1/2), over the K members.

    A member's win rate is over all members, itself included, with which it ties.
    """
    wins = _take_pairs(groups.preference, groups.members, groups.members)
    target = method.settings["eta"] * (jnp.mean(wins, -1) - 0.5)
    ratios = _take(log_ratios(method, log_probs, groups), groups.members)
    return jnp.mean(jnp.square(ratios - target), -1)


def against_opponents(method: Method, log_probs: chex.Array, groups: Groups):
    """Policy gradient of a member's win rate against its group's opponents.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = _take_pairs(groups.preference, groups.members, groups.opponents)
    return _policy_gradient(method, log_probs, groups, jnp.mean(wins, -1) - 0.5)


def against_the_rest(method: Method, log_probs: chex.Array, groups: Groups):
    """Policy gradient of each member's win rate against the other members.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = _take_pairs(groups.preference, groups.members, groups.members)
    others = jnp.sum(wins, -1) - 0.5
    advantage = others / (wins.shape[-1] - 1) - 0.5
    return _policy_gradient(method, log_probs, groups, advantage)


def against_others(method: Method, log_probs: chex.Array, groups: Groups):
    """Policy gradient of the members' rewards, each less the mean of the others'.

    The baseline is independent of the response it is taken from, so the gradient stays
    unbiased.
    """
    rewards = _take(groups.rewards, groups.members)
    others = jnp.sum(rewards, -1, keepdims=True) - rewards
    advantage = rewards - others / (rewards.shape[-1] - 1)
    return _policy_gradient(method, log_probs, groups, advantage)


def _margin(method, log_probs, groups):
    """Difference of the two members' log-ratios from the anchor, `[B, G]`."""
    ratios = _take(log_ratios(method, log_probs, groups), groups.members)
    return ratios[..., 0] - ratios[..., 1]


def _policy_gradient(method, log_probs, groups, advantage):
    """The members' score-function losses, averaged over the group's `K` members."""
    per_member = losses.policy_gradient(
        _take(log_probs, groups.members),
        _take(groups.reference_log_probs, groups.members),
        _take(groups.responses.mask, groups.members),
        advantage,
        tau=method.tau,
    )
    return jnp.mean(per_member, -1)


def _take(table, indices):
    """Rows `[B, G, K, ...]` of a table `[B, N, ...]` at indices `[B, G, K]`."""
    return jax.vmap(lambda rows, picked: rows[picked])(table, indices)


def _take_pairs(preference, rows, columns):
    """Entries `[B, G, K, M]` of a table of pairs `[B, N, N]`."""

    def pick(matrix, rows, columns):
        return matrix[rows[:, :, None], columns[:, None, :]]

    return jax.vmap(pick)(preference, rows, columns)
