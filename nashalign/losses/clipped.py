"""PPO's losses of a response: a clipped policy gradient, and a clipped value error.

Schulman et al. 2017 (arXiv:1707.06347), as RLHF uses it: the per-token reward is minus
tau times the log-ratio from the reference, plus the response's reward at its last
token. Advantages are not whitened.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.types import Array, Numeric

_LARGEST_LOG = 20.0


def token_rewards(
    log_ratios: Array, mask: Array, reward: Array, *, tau: Numeric
) -> Array:
    r"""Rewards of tokens: :math:`-\tau \log(\pi/\mu)(y_t)`, plus r at the last one.

    Args:
      log_ratios: `[*B, T]` per-token log-ratios from the reference, nats.
      mask: `[*B, T]` bool, false on padding.
      reward: `[*B]` of the whole response.
      tau: weight of the KL penalty, >= 0.

    Returns:
      `[*B, T]`, detached, zero where masked; their sum is r - tau log-ratio.
    """
    tau = checks.setting(tau, "tau", least=0)
    checks.numeric(reward, "reward")
    chex.assert_equal_shape([log_ratios, mask])
    chex.assert_equal_shape_prefix([log_ratios, reward], log_ratios.ndim - 1)
    chex.assert_rank(reward, log_ratios.ndim - 1)
    last = mask & ~jnp.concatenate(
        [mask[..., 1:], jnp.zeros_like(mask[..., :1])], axis=-1
    )
    rewards = jnp.where(last, reward[..., None], 0.0) - tau * log_ratios
    return jax.lax.stop_gradient(jnp.where(mask, rewards, 0.0))


def advantages(rewards: Array, values: Array, mask: Array, *, trace: Numeric) -> Array:
    r"""Generalised advantage estimates of tokens, without discounting.

    .. math:: A_t = \sum_{m \ge t} \lambda^{m-t} (r_m + V_{m+1} - V_m)

    Schulman et al. 2015 (arXiv:1506.02438); with trace 1, reward to go minus value.

    Args:
      rewards: `[*B, T]` of tokens, zero where masked.
      values: `[*B, T]` predicted before each token.
      mask: `[*B, T]` bool, false on padding.
      trace: lambda, in [0, 1].

    Returns:
      `[*B, T]`, detached, zero where masked.
    """
    trace = checks.setting(trace, "trace", least=0, most=1)
    checks.numeric(values, "values")
    chex.assert_equal_shape([rewards, values, mask])
    values = jnp.where(mask, values, 0.0)
    following = jnp.concatenate([values[..., 1:], jnp.zeros_like(values[..., :1])], -1)
    errors = rewards + following - values

    def back(later, error):
        now = error + trace * later
        return now, now

    start = jnp.zeros(errors.shape[:-1], errors.dtype)
    _, found = jax.lax.scan(back, start, jnp.moveaxis(errors, -1, 0), reverse=True)
    return jax.lax.stop_gradient(jnp.where(mask, jnp.moveaxis(found, 0, -1), 0.0))


def clipped_policy(
    log_probs: Array,
    old_log_probs: Array,
    advantage: Array,
    *,
    clip: Numeric,
) -> Array:
    r"""PPO's surrogate of each token.

    .. math:: -\min(\rho A, \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) A), \quad
              \rho = \pi(y_t) / \pi_{old}(y_t)

    On the first gradient of a batch rho is 1, and the gradient is the policy
    gradient's. A ratio over exp(20), which the clip stops where it is rewarded, counts
    as that: its exponential would soon be infinite, and a gradient 0 times it.

    Args:
      log_probs: `[*B, T]` nats.
      old_log_probs: `[*B, T]` under the policy that wrote.
      advantage: `[*B, T]`.
      clip: epsilon, > 0.

    Returns:
      `[*B, T]`.
    """
    clip = checks.setting(clip, "clip", above=0)
    checks.numeric(advantage, "advantage")
    chex.assert_equal_shape([log_probs, old_log_probs, advantage])
    log_ratio = log_probs - jax.lax.stop_gradient(old_log_probs)
    ratio = jnp.exp(jnp.minimum(log_ratio, _LARGEST_LOG))
    bounded = jnp.clip(ratio, 1 - clip, 1 + clip)
    return -jnp.minimum(ratio * advantage, bounded * advantage)


def clipped_value(
    values: Array, old_values: Array, returns: Array, *, clip: Numeric
) -> Array:
    r"""Half the squared error of each token's value, not rewarded for moving far.

    .. math:: \tfrac12 \max((V - R)^2, (V_{old} + \mathrm{clip}(V - V_{old},
              -\epsilon, \epsilon) - R)^2)

    Args:
      values: `[*B, T]`.
      old_values: `[*B, T]` before the update.
      returns: `[*B, T]` what they predict, detached.
      clip: epsilon, > 0.

    Returns:
      `[*B, T]`, >= 0.
    """
    clip = checks.setting(clip, "clip", above=0)
    checks.numeric(returns, "returns")
    chex.assert_equal_shape([values, old_values, returns])
    near = old_values + jnp.clip(values - old_values, -clip, clip)
    errors = jnp.maximum(jnp.square(values - returns), jnp.square(near - returns))
    return errors / 2
