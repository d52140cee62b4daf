"""Score-function losses of rows: REINFORCE, RLOO, PPO and best-of-n distillation.

`(method, groups) -> [B, G]`, as in `objectives.py`. They are unbiased only for members
that the policy in training has written.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.algorithms import groups as grouped
from nashalign.types import Groups


def against_opponents(method, groups: Groups) -> chex.Array:
    """Policy gradient of a member's win rate against its group's opponents.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = grouped.wins_over_opponents(groups)
    return _policy_gradient(method, groups, jnp.mean(wins, -1) - 0.5)


def against_the_rest(method, groups: Groups) -> chex.Array:
    """Policy gradient of each member's win rate against the other members.

    The baseline is 1/2, the preference of a response over itself.
    """
    wins = grouped.wins_over_members(groups)
    others = jnp.sum(wins, -1) - 0.5
    return _policy_gradient(method, groups, others / (wins.shape[-1] - 1) - 0.5)


def against_others(method, groups: Groups) -> chex.Array:
    """Policy gradient of the members' rewards, each less the mean of the others'.

    The baseline is independent of the response it is taken from, so the gradient stays
    unbiased. The KL penalty is credited to the tokens from each on.
    """
    return _policy_gradient(method, groups, _less_others(grouped.rewards(groups)))


def penalised_against_others(method, groups: Groups) -> chex.Array:
    """RLOO: the reward less tau times the log-ratio, less the mean of the others'.

    The whole response is one action (Ahmadian et al. 2024, arXiv:2402.14740).
    """
    ratios = jnp.sum(groups.log_probs - groups.reference_log_probs, -1)
    ratios = grouped.take(ratios, groups.members)
    advantage = _less_others(grouped.rewards(groups) - method.tau * ratios)
    credit = jax.lax.stop_gradient(advantage)
    return -jnp.mean(credit * grouped.log_likelihoods(groups), -1)


def proximal_policy(method, groups: Groups) -> chex.Array:
    """PPO: the clipped surrogate and the value error, summed over a response's tokens.

    Advantages are of the policy and the critic as they were when the batch came.
    """
    members, settings = groups.members, method.settings
    mask = grouped.take(groups.responses.mask, members)
    old = {
        name: jax.lax.stop_gradient(grouped.take(groups.statistics[name], members))
        for name in ("old_log_probs", "old_values")
    }
    reference = grouped.take(groups.reference_log_probs, members)
    rewards = losses.token_rewards(
        old["old_log_probs"] - reference, mask, grouped.rewards(groups), tau=method.tau
    )
    advantage = losses.advantages(
        rewards, old["old_values"], mask, trace=settings["trace"]
    )
    surrogate = losses.clipped_policy(
        grouped.take(groups.log_probs, members),
        old["old_log_probs"],
        advantage,
        clip=settings["clip"],
    )
    error = losses.clipped_value(
        grouped.take(groups.statistics["values"], members),
        old["old_values"],
        advantage + old["old_values"],
        clip=settings["clip"],
    )
    per_token = jnp.where(mask, surrogate + settings["value"] * error, 0.0)
    return jnp.mean(jnp.sum(per_token, -1), -1)


def best_of_n_divergence(method, groups: Groups) -> chex.Array:
    r"""Jeffreys divergence from the anchor's best of n, n the number of opponents.

    Forwards the likelihood of the best opponent; backwards the policy gradient of
    :math:`\log \hat p` under a KL to the anchor, where :math:`\hat p` is the share of
    the opponents that a member does not lose to, at least `floor`. `backward` is the
    backward part's weight. Sessa et al. 2024 (arXiv:2407.14622); J-BOND has two
    opponents and the floor 1/16.
    """
    settings = method.settings
    found = grouped.take(groups.rewards, groups.opponents)
    rewards = grouped.rewards(groups)
    best = jnp.argmax(found, -1, keepdims=True)
    best = jnp.take_along_axis(groups.opponents, best, -1)
    forward = -grouped.take(jnp.sum(groups.log_probs, -1), best)[..., 0]
    unbeaten = jnp.mean(rewards[..., None] >= found[..., None, :], -1)
    advantage = jnp.log(jnp.maximum(unbeaten, settings["floor"]))
    backward = _policy_gradient(method, groups, advantage)
    return (1 - settings["backward"]) * forward + settings["backward"] * backward


def _less_others(values):
    """Each of `[B, G, K]` less the mean of the others."""
    others = jnp.sum(values, -1, keepdims=True) - values
    return values - others / (values.shape[-1] - 1)


def _policy_gradient(method, groups, advantage):
    """The members' score-function losses, averaged over the group's `K` members."""
    per_member = losses.policy_gradient(
        grouped.take(groups.log_probs, groups.members),
        grouped.take(groups.reference_log_probs, groups.members),
        grouped.take(groups.responses.mask, groups.members),
        advantage,
        tau=method.tau,
    )
    return jnp.mean(per_member, -1)
