"""What losses read off a group: log-ratios, margins, preferences, win rates, rewards.

Shapes: `N` responses in a prompt's table, `G` groups, `K` members, `M` opponents.
"""

import jax
import jax.numpy as jnp

from nashalign import policies
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups


def take(table: Array, indices: Array) -> Array:
    """Rows `[B, G, K, ...]` of a table `[B, N, ...]` at indices `[B, G, K]`."""
    return jax.vmap(lambda rows, picked: rows[picked])(table, indices)


def take_pairs(preference: Array, rows: Array, columns: Array) -> Array:
    """Entries `[B, G, K, M]` of a table of pairs `[B, N, N]`."""

    def pick(matrix, rows, columns):
        return matrix[rows[:, :, None], columns[:, None, :]]

    return jax.vmap(pick)(preference, rows, columns)


def anchor_log_probs(anchor, groups: Groups) -> Array:
    """Weighted sum `[B, N, T]` of the named policies' log-probabilities, detached."""
    return sum(
        (policies.log_power(groups.frozen_log_probs[n], w) for n, w in anchor.items()),
        jnp.zeros_like(groups.log_probs),
    )


def log_ratios(method: Method, groups: Groups) -> Array:
    """The members' log-ratios from the anchor, `[B, G, K]`, by the row's ratio.

    That is nats, summed over T, unless the row says otherwise (`ratios`).
    """
    anchor = anchor_log_probs(method.anchor(method.settings), groups)
    found = method.ratio(groups.log_probs - anchor, groups.responses.mask)
    return take(found, groups.members)


def log_likelihoods(groups: Groups) -> Array:
    """The members' log-probabilities under the policy in training, `[B, G, K]` nats."""
    return take(jnp.sum(groups.log_probs, -1), groups.members)


def lengths(groups: Groups) -> Array:
    """How many tokens the members have, EOS included, `[B, G, K]`."""
    return take(jnp.sum(groups.responses.mask, -1), groups.members)


def margin(method: Method, groups: Groups) -> Array:
    """Difference of the first two members' log-ratios from the anchor, `[B, G]`."""
    ratios = log_ratios(method, groups)
    return ratios[..., 0] - ratios[..., 1]


def preferred(groups: Groups) -> Array:
    """P(first member beats second), `[B, G]`."""
    y, z = groups.members[..., :1], groups.members[..., 1:2]
    return take_pairs(groups.preference, y, z)[..., 0, 0]


def rewards(groups: Groups) -> Array:
    """The members' rewards, `[B, G, K]`."""
    return take(groups.rewards, groups.members)


def wins_over_opponents(groups: Groups) -> Array:
    """P(member beats opponent), `[B, G, K, M]`."""
    return take_pairs(groups.preference, groups.members, groups.opponents)


def wins_over_members(groups: Groups) -> Array:
    """P(member beats member), `[B, G, K, K]`; 1/2 on the diagonal."""
    return take_pairs(groups.preference, groups.members, groups.members)
