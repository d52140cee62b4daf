"""What losses read off a group: log-ratios, margins, preferences, win rates, rewards.

Shapes: `N` responses in a prompt's table, `G` groups, `K` members, `M` opponents.
"""

import jax
import jax.numpy as jnp

from nashalign import checks, policies
from nashalign.algorithms.columns import Settings
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups


def take(table: Array, indices: Array) -> Array:
    """Rows `[B, G, K, ...]` of a table `[B, N, ...]` at indices `[B, G, K]`."""
    return jax.vmap(lambda rows, picked: rows[picked])(table, indices)


def take_pairs(table: Array, rows: Array, columns: Array) -> Array:
    """Entries `[B, G, K, M]` of a table of pairs `[B, N, N]`."""

    def pick(matrix, rows, columns):
        return matrix[rows[:, :, None], columns[:, None, :]]

    return jax.vmap(pick)(table, rows, columns)


def own_log_probs(groups: Groups) -> Array:
    """The table's log-probabilities `[B, N, T]` under the policy in training."""
    return checks.present(groups.log_probs, "groups.log_probs")


def preference(groups: Groups) -> Array:
    """P(row beats column) `[B, N, N]` in the table, which somebody has compared."""
    return checks.present(groups.preference, "groups.preference")


def all_rewards(groups: Groups) -> Array:
    """The table's rewards `[B, N]`, which somebody has given."""
    return checks.present(groups.rewards, "groups.rewards")


def anchor_log_probs(anchor: Settings, groups: Groups) -> Array:
    """Weighted sum `[B, N, T]` of the named policies' log-probabilities, detached."""
    return sum(
        (policies.log_power(groups.frozen_log_probs[n], w) for n, w in anchor.items()),
        jnp.zeros_like(own_log_probs(groups)),
    )


def log_ratios(method: Method, groups: Groups) -> Array:
    """The members' log-ratios from the anchor, `[B, G, K]`, by the row's ratio.

    That is nats, summed over T, unless the row says otherwise (`ratios`).
    """
    anchor = anchor_log_probs(method.anchor(method.settings), groups)
    found = method.ratio(own_log_probs(groups) - anchor, groups.responses.mask)
    return take(found, groups.members)


def log_likelihoods(groups: Groups) -> Array:
    """The members' log-probabilities under the policy in training, `[B, G, K]` nats."""
    return take(jnp.sum(own_log_probs(groups), -1), groups.members)


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
    return take_pairs(preference(groups), y, z)[..., 0, 0]


def rewards(groups: Groups) -> Array:
    """The members' rewards, `[B, G, K]`."""
    return take(all_rewards(groups), groups.members)


def wins_over_opponents(groups: Groups) -> Array:
    """P(member beats opponent), `[B, G, K, M]`."""
    return take_pairs(preference(groups), groups.members, groups.opponents)


def wins_over_members(groups: Groups) -> Array:
    """P(member beats member), `[B, G, K, K]`; 1/2 on the diagonal."""
    return take_pairs(preference(groups), groups.members, groups.members)
