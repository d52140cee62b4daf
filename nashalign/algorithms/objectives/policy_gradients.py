"""Score-function losses of rows: REINFORCE, RLOO, and best-of-n distillation.

`(method, groups) -> [B, G]`, as in `pairs.py`. They are unbiased only for members
that the policy in training has written.
"""

import math

import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.algorithms import readings
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups


def against_opponents(method: Method, groups: Groups) -> Array:
    """Policy gradient of a member's win rate against its group's opponents.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = readings.wins_over_opponents(groups)
    return _policy_gradient(groups, jnp.mean(wins, -1) - 0.5, method.tau)


def against_the_rest(method: Method, groups: Groups) -> Array:
    """Policy gradient of each member's win rate against the other members.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = readings.wins_over_members(groups)
    others = jnp.sum(wins, -1) - 0.5
    advantage = others / (wins.shape[-1] - 1) - 0.5
    return _policy_gradient(groups, advantage, method.tau)


def against_others(method: Method, groups: Groups) -> Array:
    """Policy gradient of the members' rewards, each less the mean of the others'.

    The baseline is independent of the response it is taken from, so the gradient stays
    unbiased. The KL penalty is credited to the tokens from each on.
    """
    advantage = _less_others(readings.rewards(groups))
    return _policy_gradient(groups, advantage, method.tau)


def penalised_against_others(method: Method, groups: Groups) -> Array:
    """RLOO: the reward less tau times the log-ratio, less the mean of the others'.

    The whole response is one action (Ahmadian et al. 2024, arXiv:2402.14740).
    """
    ratios = jnp.sum(readings.own_log_probs(groups) - groups.reference_log_probs, -1)
    ratios = readings.take(ratios, groups.members)
    advantage = _less_others(readings.rewards(groups) - method.tau * ratios)
    credit = jax.lax.stop_gradient(advantage)
    return -jnp.mean(credit * readings.log_likelihoods(groups), -1)


# The quantile's reward in J-BOND is -log 16 below two samples and 0 elsewhere: at the
# median, which both of them beat once in four times, that is log 1/2 on average.
_BELOW_ALL = -math.log(16)


def best_of_n_divergence(method: Method, groups: Groups) -> Array:
    r"""J-BOND: Jeffreys divergence from the anchor's best of n, n the opponents.

    .. math:: (1 - \beta) [-\log \pi(y_{best})]
              + \beta [-E_\pi r(y) + KL(\pi || \mu)] + \tau KL(\pi || \mu)

    Forwards the likelihood of the best opponent; backwards the policy gradient of a
    reward r that is -log 16 where a response is worse than every opponent, and else 0.
    beta is the setting `backward`, mu the anchor, tau the paper's gamma. Sessa et al.
    2024 (arXiv:2407.14622, eq. 17), with two opponents.
    """
    backward = method.settings["backward"]
    found = readings.take(readings.all_rewards(groups), groups.opponents)
    rewards = readings.rewards(groups)
    best = jnp.argmax(found, -1, keepdims=True)
    best = jnp.take_along_axis(groups.opponents, best, -1)
    forward = -readings.take(jnp.sum(readings.own_log_probs(groups), -1), best)[..., 0]
    worst = jnp.all(rewards[..., None] < found[..., None, :], -1)
    reward = jnp.where(worst, _BELOW_ALL, 0.0).astype(rewards.dtype)
    held = _policy_gradient(groups, backward * reward, backward + method.tau)
    return (1 - backward) * forward + held


def _less_others(values):
    """Each of `[B, G, K]` less the mean of the others."""
    others = jnp.sum(values, -1, keepdims=True) - values
    return values - others / (values.shape[-1] - 1)


def _policy_gradient(groups, advantage, tau):
    """The members' score-function losses, averaged over the group's `K` members."""
    per_member = losses.policy_gradient(
        readings.take(readings.own_log_probs(groups), groups.members),
        readings.take(groups.reference_log_probs, groups.members),
        readings.take(groups.responses.mask, groups.members),
        advantage,
        tau=tau,
    )
    return jnp.mean(per_member, -1)
