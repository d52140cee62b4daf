"""A method as data: one row of the table, and the terms rows are made of.

A row says who writes a prompt's responses, which of them the policy is trained on and
which are opponents, whether the annotator compares or scores, and the loss of a group.
The update (`update.py`) is shared; a new paper is a new row.
"""

import dataclasses
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.types import Groups, pytree

Author = Callable[[float], float | chex.Array]


def policy(mix: chex.Numeric) -> float:
    """The trained policy writes: no weight on the reference, whatever the mix."""
    del mix
    return 0.0


def mixture(mix: chex.Numeric) -> chex.Numeric:
    """The token-level geometric mixture writes, with weight `mix` on the reference."""
    return mix


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One way of aligning a policy; a row of `TABLE`.

    `tau` and `mix` are leaves of the pytree, so that one compiled update serves every
    value of them.

    Attributes:
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      authors: who writes each response of a prompt, in order.
      num_members: how many of them, the first, the loss trains on; the rest are
        opponents of a member.
      annotation: what the loss reads: `"preference"` or `"reward"`.
      loss: `(method, log_probs [B, N, T], groups) -> [B, G]`, one number per group.
      tau: strength of the regularisation towards the reference; > 0 where it divides.
      mix: weight on the reference in the mixture, in [0, 1].
      divides_by_tau: whether tau must be > 0 rather than >= 0.
    """

    title: str = dataclasses.field(metadata={"static": True})
    paper: str = dataclasses.field(metadata={"static": True})
    authors: tuple[Author, ...] = dataclasses.field(metadata={"static": True})
    num_members: int = dataclasses.field(metadata={"static": True})
    annotation: str = dataclasses.field(metadata={"static": True})
    loss: Callable[..., chex.Array] = dataclasses.field(metadata={"static": True})
    divides_by_tau: bool = dataclasses.field(metadata={"static": True})
    tau: chex.Numeric
    mix: chex.Numeric = 0.0

    @property
    def mixes(self) -> bool:
        """Whether some response is written by the mixture."""
        return mixture in self.authors


def log_ratios(log_probs: chex.Array, groups: Groups) -> chex.Array:
    """Log-ratios `[B, N]` of whole responses from the reference, nats: sums over T."""
    return jnp.sum(log_probs - groups.reference_log_probs, -1)


def contrastive(pair_loss: Callable[..., chex.Array]) -> Callable[..., chex.Array]:
    """The loss of a comparison from a loss of its margin and preference."""

    def loss(method, log_probs, groups):
        ratios = _take(log_ratios(log_probs, groups), groups.members)
        y, z = groups.members[..., :1], groups.members[..., 1:]
        preferred = _take_pairs(groups.preference, y, z)[..., 0, 0]
        margin = ratios[..., 0] - ratios[..., 1]
        return pair_loss(margin, preferred, tau=method.tau)

    return loss


def against_opponents(method: Method, log_probs: chex.Array, groups: Groups):
    """Policy gradient of a member's win rate against its group's opponents.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = _take_pairs(groups.preference, groups.members, groups.opponents)
    return _policy_gradient(method, log_probs, groups, jnp.mean(wins, -1) - 0.5)


def against_others(method: Method, log_probs: chex.Array, groups: Groups):
    """Policy gradient of the members' rewards, each less the mean of the others'.

    The baseline is independent of the response it is taken from, so the gradient stays
    unbiased.
    """
    rewards = _take(groups.rewards, groups.members)
    others = jnp.sum(rewards, -1, keepdims=True) - rewards
    advantage = rewards - others / (rewards.shape[-1] - 1)
    return _policy_gradient(method, log_probs, groups, advantage)


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
