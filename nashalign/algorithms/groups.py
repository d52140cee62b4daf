"""What losses read off a group: log-ratios, margins, preferences, win rates, rewards.

Shapes: `N` responses in a prompt's table, `G` groups, `K` members, `M` opponents.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign import policies
from nashalign.algorithms.method import Method
from nashalign.types import Groups


def take(table: chex.Array, indices: chex.Array) -> chex.Array:
    """Rows `[B, G, K, ...]` of a table `[B, N, ...]` at indices `[B, G, K]`."""
    return jax.vmap(lambda rows, picked: rows[picked])(table, indices)


def take_pairs(
    preference: chex.Array, rows: chex.Array, columns: chex.Array
) -> chex.Array:
    """Entries `[B, G, K, M]` of a table of pairs `[B, N, N]`."""

    def pick(matrix, rows, columns):
        return matrix[rows[:, :, None], columns[:, None, :]]

    return jax.vmap(pick)(preference, rows, columns)


def anchor_log_probs(anchor, groups: Groups) -> chex.Array:
    """Weighted sum `[B, N, T]` of the named policies' log-probabilities, detached."""
    return sum(
        (policies.log_power(groups.frozen_log_probs[n], w) for n, w in anchor.items()),
        jnp.zeros_like(groups.log_probs),
    )


def log_ratios(method: Method, groups: Groups) -> chex.Array:
    """The members' log-ratios from the anchor, `[B, G, K]`, by the row's ratio.

    That is nats, summed over T, unless the row says otherwise (`ratios`).
    """
    anchor = anchor_log_probs(method.anchor(method.settings), groups)
    found = method.ratio(groups.log_probs - anchor, groups.responses.mask)
    return take(found, groups.members)


def log_likelihoods(groups: Groups) -> chex.Array:
    """The members' log-probabilities under the policy in training, `[B, G, K]` nats."""
    return take(jnp.sum(groups.log_probs, -1), groups.members)


def lengths(groups: Groups) -> chex.Array:
    """How many tokens the members have, EOS included, `[B, G, K]`."""
    return take(jnp.sum(groups.responses.mask, -1), groups.members)


def margin(method: Method, groups: Groups) -> chex.Array:
    """Difference of the first two members' log-ratios from the anchor, `[B, G]`."""
    ratios = log_ratios(method, groups)
    return ratios[..., 0] - ratios[..., 1]


def preferred(groups: Groups) -> chex.Array:
    """P(first member beats second), `[B, G]`."""
    y, z = groups.members[..., :1], groups.members[..., 1:2]
    return take_pairs(groups.preference, y, z)[..., 0, 0]


def rewards(groups: Groups) -> chex.Array:
    """The members' rewards, `[B, G, K]`."""
    return take(groups.rewards, groups.members)


def wins_over_opponents(groups: Groups) -> chex.Array:
    """P(member beats opponent), `[B, G, K, M]`."""
    return take_pairs(groups.preference, groups.members, groups.opponents)


def wins_over_members(groups: Groups) -> chex.Array:
    """P(member beats member), `[B, G, K, K]`; 1/2 on the diagonal."""
    return take_pairs(groups.preference, groups.members, groups.members)
