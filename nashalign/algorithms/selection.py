"""How answers are read (label), which responses are kept (select), how they weigh.

Each is a pure function of a row and its groups. A selection sees rewards where the row
asks for them, or else win rates over the other members; among equals the first is
taken. The members that were chosen from are still there, as the first opponents.
"""

import dataclasses
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from nashalign.algorithms import groups as grouped
from nashalign.types import Groups


def verdict(method, groups: Groups) -> Groups:
    """Label: the more probable winner has won; a tie is 1/2."""
    del method
    hard = _sign(groups.preference - 0.5)
    return dataclasses.replace(groups, preference=hard)


def ranking(method, groups: Groups) -> Groups:
    """Label: the higher reward has won; a tie is 1/2."""
    del method
    gaps = groups.rewards[:, :, None] - groups.rewards[:, None, :]
    return dataclasses.replace(groups, preference=_sign(gaps))


def own_rewards(method, groups: Groups) -> Groups:
    """Label: implicit rewards, less `penalty` a token.

    The reward is the log-ratio of the iterate from the previous one: what the last
    round has learnt.
    """
    log_probs = groups.frozen_log_probs
    implicit = jnp.sum(log_probs["iterate"] - log_probs["previous"], -1)
    length = jnp.sum(groups.responses.mask, -1)
    rewards = implicit - method.settings["penalty"] * length
    return dataclasses.replace(groups, rewards=rewards)


def scores(method, groups: Groups) -> chex.Array:
    """What members are chosen by, `[B, G, K]`: rewards, or else mean win rates.

    Those are over the other members and the opponents.
    """
    if groups.rewards is not None:
        return grouped.rewards(groups)
    everyone = jnp.concatenate([groups.members, groups.opponents], -1)
    wins = grouped.take_pairs(groups.preference, groups.members, everyone)
    return (jnp.sum(wins, -1) - 0.5) / (wins.shape[-1] - 1)


def best(method, groups: Groups) -> Groups:
    """Select: the best member alone."""
    return _keep_members(groups, [jnp.argmax(scores(method, groups), -1)])


def best_and_worst(method, groups: Groups) -> Groups:
    """Select: the best member, then the worst; of equals one is both."""
    found = scores(method, groups)
    return _keep_members(groups, [jnp.argmax(found, -1), jnp.argmin(found, -1)])


def finished_best_and_worst(method, groups: Groups) -> Groups:
    """Select: the best and the worst of the members that were not cut.

    Where fewer than two are left, both are one response, and teach nothing.
    """
    cut = jnp.take_along_axis(groups.responses.truncated[:, None], groups.members, -1)
    found = scores(method, groups)
    best = jnp.argmax(jnp.where(cut, -jnp.inf, found), -1)
    worst = jnp.argmin(jnp.where(cut, jnp.inf, found), -1)
    return _keep_members(groups, [best, worst])


def clear_best_and_worst(method, groups: Groups) -> Groups:
    """Select: the best and the worst member, where they are `margin` apart."""
    found = scores(method, groups)
    kept = jnp.max(found, -1) - jnp.min(found, -1) >= method.settings["margin"]
    return dataclasses.replace(best_and_worst(method, groups), kept=kept)


def reward_gap(method, groups: Groups) -> chex.Array:
    """Weight: the logistic function of `sharpness` times the gap of the rewards."""
    rewards = grouped.rewards(groups)
    gap = jnp.abs(rewards[..., 0] - rewards[..., 1])
    return jax.nn.sigmoid(method.settings["sharpness"] * gap)


def exponential(method, groups: Groups) -> chex.Array:
    """Weight: exp(reward / tau), over the largest of the batch.

    At most one: of common reward models, exp(reward / tau) is beyond float32. To add a
    number to all rewards changes nothing.
    """
    distance = grouped.rewards(groups)[..., 0] - groups.statistics["largest"]
    return jnp.exp(distance / method.tau)


def largest_reward(method, groups: Groups, reduce) -> chex.Array:
    """The largest reward in a batch, found by sums over devices alone.

    It lies between the mean and the mean plus all distances from it, and whether any
    group is above a place between is a sum. Thirty halvings are a billionth of that.
    """
    del method
    found = grouped.rewards(groups)[..., 0]
    there = groups.probability > 0
    total, count = reduce((jnp.sum(jnp.where(there, found, 0.0)), jnp.sum(there)))
    mean = total / count
    spread = reduce(jnp.sum(jnp.where(there, jnp.abs(found - mean), 0.0)))

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        above = reduce(jnp.sum(there & (found > middle))) > 0
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    return jax.lax.fori_loop(0, 30, halve, (mean, mean + spread))[1]


def likelihood_power(method, groups: Groups) -> chex.Array:
    """Weight: the pair's likelihood to the power `power`, over its mean in the batch.

    The mean is the geometric one, so that what a batch weighs does not depend on how
    long its responses are.
    """
    mean = groups.statistics["mean_log_weight"]
    return jnp.exp(_log_weight(method, groups) - mean)


def mean_log_weight(method, groups: Groups, reduce) -> chex.Array:
    """The mean of `power` times the log-likelihood over the pairs of a batch."""
    total = jnp.sum(groups.probability * _log_weight(method, groups))
    total, count = reduce((total, jnp.sum(groups.probability)))
    return total / count


def _log_weight(method, groups):
    """`power` times the pair's log-likelihood, `[B, G]`."""
    return method.settings["power"] * grouped.log_likelihoods(groups).sum(-1)


def replayed(
    select: Callable[..., Groups], num_replayed: int = 2
) -> Callable[..., Groups]:
    """Select: what `select` finds among all members but the last, and those as well.

    The last members are the replayed pair of the data set; they stay behind the
    selected ones.
    """

    def with_replay(method, groups):
        old = groups.members[..., -num_replayed:]
        new = dataclasses.replace(groups, members=groups.members[..., :-num_replayed])
        new = select(method, new)
        members = jnp.concatenate([new.members, old], -1)
        return dataclasses.replace(new, members=members)

    return with_replay


def _sign(gaps):
    """One where positive, zero where negative, 1/2 at zero."""
    return jnp.where(gaps > 0, 1.0, jnp.where(gaps < 0, 0.0, 0.5)).astype(gaps.dtype)


def _keep_members(groups, chosen):
    """Groups whose members are those at places `[B, G]`; all become opponents."""
    members = jnp.take_along_axis(groups.members, jnp.stack(chosen, -1), -1)
    opponents = jnp.concatenate([groups.members, groups.opponents], -1)
    return dataclasses.replace(groups, members=members, opponents=opponents)
