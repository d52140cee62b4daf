"""Clipped surrogates of rows, token by token: PPO, GRPO and REINFORCE++.

`(method, groups) -> [B, G]`, as in `pairs.py`. What is old is the policy before the
first of a batch's epochs, which has written it: there a surrogate's gradient is the
policy gradient.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.algorithms import readings
from nashalign.algorithms.columns import Reduce
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups

# Added to standard deviations, as implementations do: only equal rewards see it.
_FLOOR = 1e-4


def proximal_policy(method: Method, groups: Groups) -> Array:
    """PPO: the clipped surrogate and the value error, summed over a response's tokens.

    Advantages are of the policy and the critic as they were when the batch came.
    """
    members, settings = groups.members, method.settings
    mask = readings.take(groups.responses.mask, members)
    old = {
        name: jax.lax.stop_gradient(readings.take(groups.statistics[name], members))
        for name in ("old_log_probs", "old_values")
    }
    reference = readings.take(groups.reference_log_probs, members)
    rewards = losses.token_rewards(
        old["old_log_probs"] - reference, mask, readings.rewards(groups), tau=method.tau
    )
    advantage = losses.advantages(
        rewards, old["old_values"], mask, trace=settings["trace"]
    )
    surrogate = losses.clipped_policy(
        readings.take(readings.own_log_probs(groups), members),
        old["old_log_probs"],
        advantage,
        clip=settings["clip"],
    )
    error = losses.clipped_value(
        readings.take(groups.statistics["values"], members),
        old["old_values"],
        advantage + old["old_values"],
        clip=settings["clip"],
    )
    per_token = jnp.where(mask, surrogate + settings["value"] * error, 0.0)
    return jnp.mean(jnp.sum(per_token, -1), -1)


@dataclasses.dataclass(frozen=True)
class GroupRelative:
    r"""GRPO: the clipped surrogate of rewards relative to the group's, and a penalty.

    .. math:: -\frac1K \sum_i \frac1{|y_i|} \sum_t [\min(\rho_t A_i,
              \mathrm{clip}(\rho_t, 1 \pm \epsilon) A_i) - \tau\, k_{3,t}], \quad
              A_i = \frac{r_i - \mathrm{mean}(r)}{\mathrm{std}(r)}

    with the standard deviation of a sample, over K - 1, so that equal rewards teach
    nothing. Shao et al. 2024 (arXiv:2402.03300).

    Attributes:
      in_deviations: whether advantages are in standard deviations of the group.
      per_token: whether a response counts as its mean token; else as their sum.
    """

    in_deviations: bool
    per_token: bool

    @property
    def formula(self) -> str:
        """What advantages are in, and what a response counts as."""
        scale = "standard deviations" if self.in_deviations else "rewards"
        tokens = "mean" if self.per_token else "sum"
        return f"group relative in {scale}, {tokens} over tokens"

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        rewards = readings.rewards(groups)
        advantage = rewards - jnp.mean(rewards, -1, keepdims=True)
        if self.in_deviations:
            deviation = jnp.std(rewards, -1, ddof=1, keepdims=True)
            advantage = advantage / (deviation + _FLOOR)
        mask = readings.take(groups.responses.mask, groups.members)
        log_probs = readings.take(readings.own_log_probs(groups), groups.members)
        reference = readings.take(groups.reference_log_probs, groups.members)
        surrogate = _surrogate(method, groups, advantage[..., None] * mask)
        per_token = surrogate + method.tau * losses.k3(log_probs, reference)
        total = jnp.sum(jnp.where(mask, per_token, 0.0), -1)
        if self.per_token:
            total = total / jnp.maximum(readings.lengths(groups), 1)
        return jnp.mean(total, -1)


def group_relative(*, in_deviations: bool, per_token: bool) -> GroupRelative:
    """GRPO (both), or Dr. GRPO (neither)."""
    return GroupRelative(in_deviations, per_token)


def batch_normalised(method: Method, groups: Groups) -> Array:
    """REINFORCE++: the clipped surrogate of returns, normalised over the batch.

    Summed over a response's tokens. Hu 2025 (arXiv:2501.03262).
    """
    mean, deviation = groups.statistics["moments"]
    mask = readings.take(groups.responses.mask, groups.members)
    advantage = (_returns(method, groups) - mean) / (deviation + _FLOOR)
    surrogate = _surrogate(method, groups, jnp.where(mask, advantage, 0.0))
    return jnp.mean(jnp.sum(surrogate, -1), -1)


def moments_of_returns(method: Method, groups: Groups, reduce: Reduce) -> Array:
    """Mean and standard deviation `[2]` of the returns of all tokens of a batch."""
    mask = readings.take(groups.responses.mask, groups.members)
    weight = groups.probability[..., None, None] * mask
    found = _returns(method, groups)
    total, count = reduce((jnp.sum(weight * found), jnp.sum(weight)))
    mean = total / count
    squares = reduce(jnp.sum(weight * jnp.square(found - mean)))
    return jnp.stack([mean, jnp.sqrt(squares / count)])


def _returns(method, groups):
    """From each token on, the reward less tau times the log-ratios, `[B, G, K, T]`.

    As the policy was when the batch came; detached, zero where there is no token.
    """
    old = readings.take(groups.statistics["old_log_probs"], groups.members)
    reference = readings.take(groups.reference_log_probs, groups.members)
    mask = readings.take(groups.responses.mask, groups.members)
    rewards = losses.token_rewards(
        old - reference, mask, readings.rewards(groups), tau=method.tau
    )
    return losses.advantages(rewards, jnp.zeros_like(rewards), mask, trace=1.0)


def _surrogate(method, groups, advantage):
    """PPO's surrogate of each of the members' tokens, `[B, G, K, T]`."""
    return losses.clipped_policy(
        readings.take(readings.own_log_probs(groups), groups.members),
        readings.take(groups.statistics["old_log_probs"], groups.members),
        advantage,
        clip=method.settings["clip"],
    )
