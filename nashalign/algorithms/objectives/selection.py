"""Which responses are kept (select), and how much they count (weight).

Each is a pure function of a row and its groups. A selection sees rewards where the row
asks for them, or else win rates over the other members; among equals the first is
taken. The members that were chosen from are still there, as the first opponents.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign.algorithms import ratios, readings
from nashalign.algorithms.columns import Reduce, Selection, formula
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups


def scores(method: Method, groups: Groups) -> Array:
    """What members are chosen by, `[B, G, K]`: rewards, or else mean win rates.

    Those are over the other members and the opponents.
    """
    if groups.rewards is not None:
        return readings.rewards(groups)
    everyone = jnp.concatenate([groups.members, groups.opponents], -1)
    wins = readings.take_pairs(readings.preference(groups), groups.members, everyone)
    return (jnp.sum(wins, -1) - 0.5) / (wins.shape[-1] - 1)


def best(method: Method, groups: Groups) -> Groups:
    """Select: the best member alone."""
    return _keep_members(groups, [jnp.argmax(scores(method, groups), -1)])


def best_and_worst(method: Method, groups: Groups) -> Groups:
    """Select: the best member, then the worst; of equals one is both."""
    found = scores(method, groups)
    return _keep_members(groups, [jnp.argmax(found, -1), jnp.argmin(found, -1)])


def distinct_best_and_worst(method: Method, groups: Groups) -> Groups:
    """Select: the best and the worst member, where one is better than the other.

    Of equals one response would be both, and a term of the winner's alone would still
    be trained by it.
    """
    found = scores(method, groups)
    kept = jnp.max(found, -1) > jnp.min(found, -1)
    return dataclasses.replace(best_and_worst(method, groups), kept=kept)


def finished_best_and_worst(method: Method, groups: Groups) -> Groups:
    """Select: the best and the worst of the members that were not cut.

    Where fewer than two are left, both are one response, and teach nothing.
    """
    cut = jnp.take_along_axis(groups.responses.truncated[:, None], groups.members, -1)
    found = scores(method, groups)
    best = jnp.argmax(jnp.where(cut, -jnp.inf, found), -1)
    worst = jnp.argmin(jnp.where(cut, jnp.inf, found), -1)
    return _keep_members(groups, [best, worst])


def clear_best_and_worst(method: Method, groups: Groups) -> Groups:
    """Select: the best and the worst member, where they are `margin` apart."""
    found = scores(method, groups)
    kept = jnp.max(found, -1) - jnp.min(found, -1) >= method.settings["margin"]
    return dataclasses.replace(best_and_worst(method, groups), kept=kept)


def by_reward_gap(method: Method, groups: Groups) -> Array:
    """Weight: the logistic function of `sharpness` times the gap of the rewards."""
    rewards = readings.rewards(groups)
    gap = jnp.abs(rewards[..., 0] - rewards[..., 1])
    return jax.nn.sigmoid(method.settings["sharpness"] * gap)


def exponential(method: Method, groups: Groups) -> Array:
    """Weight: exp(reward / tau), over the largest of the batch.

    At most one: of common reward models, exp(reward / tau) is beyond float32. To add a
    number to all rewards changes nothing.
    """
    distance = readings.rewards(groups)[..., 0] - groups.statistics["largest"]
    return jnp.exp(distance / method.tau)


def largest_reward(method: Method, groups: Groups, reduce: Reduce) -> Array:
    """The largest reward in a batch, found by sums over devices alone.

    It lies between the mean and the mean plus all distances from it, and whether any
    group is above a place between is a sum. Thirty halvings are a billionth of that.
    """
    del method
    found = readings.rewards(groups)[..., 0]
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


def likelihood_power(method: Method, groups: Groups) -> Array:
    """Weight: the pair's likelihood to the power `power`, over its mean in the batch.

    The mean is the geometric one, so that what a batch weighs does not depend on how
    long its responses are.
    """
    mean = groups.statistics["mean_log_weight"]
    return jnp.exp(_log_weight(method, groups) - mean)


def sampled_likelihood(method: Method, groups: Groups) -> Array:
    """Weight: how much the pair looks like the policy's own, by its mean tokens.

    A token's likelihood is held against that of one drawn from the policy, sum_v
    pi(v)^2. Zhou et al. 2024 (arXiv:2406.11827).
    """
    del method
    relative = readings.own_log_probs(groups) - groups.statistics["log_collision"]
    means = ratios.averaged(relative, groups.responses.mask)
    return jnp.exp(jnp.sum(readings.take(means, groups.members), -1))


def mean_log_weight(method: Method, groups: Groups, reduce: Reduce) -> Array:
    """The mean of `power` times the log-likelihood over the pairs of a batch."""
    total = jnp.sum(groups.probability * _log_weight(method, groups))
    total, count = reduce((total, jnp.sum(groups.probability)))
    return total / count


def _log_weight(method, groups):
    """`power` times the pair's log-likelihood, `[B, G]`."""
    return method.settings["power"] * readings.log_likelihoods(groups).sum(-1)


@dataclasses.dataclass(frozen=True)
class Replayed:
    """Select: what `select` finds among all members but the last, and those as well.

    The last members are the replayed pair of the data set; they stay behind the
    selected ones.
    """

    select: Selection
    num_replayed: int = 2

    @property
    def formula(self) -> str:
        """What is selected, and that the rest comes along."""
        return f"{formula(self.select)}, with replay"

    def __call__(self, method: Method, groups: Groups) -> Groups:
        """See the class."""
        number = self.num_replayed
        old = groups.members[..., -number:]
        new = dataclasses.replace(groups, members=groups.members[..., :-number])
        new = self.select(method, new)
        members = jnp.concatenate([new.members, old], -1)
        return dataclasses.replace(new, members=members)


def replayed(select: Selection, num_replayed: int = 2) -> Replayed:
    """Select: what `select` finds among all members but the last, and those as well."""
    return Replayed(select, num_replayed)


def _keep_members(groups, chosen):
    """Groups whose members are those at places `[B, G]`; all become opponents."""
    members = jnp.take_along_axis(groups.members, jnp.stack(chosen, -1), -1)
    opponents = jnp.concatenate([groups.members, groups.opponents], -1)
    return dataclasses.replace(groups, members=members, opponents=opponents)
