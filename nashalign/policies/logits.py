"""From the logits of policies to the logits of what is sampled from."""

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.types import Array, Numeric


def precise(logits: Array) -> jax.Array:
    """Returns logits in at least float32, as softmax and logsumexp need them."""
    logits = jnp.asarray(logits)
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def log_power(log_probs: Array, weight: Numeric) -> jax.Array:
    """The logarithm of a probability to a power; of nothing to the power 0 it is 0.

    Args:
      log_probs: log-probabilities or logits; minus infinity where there is nothing.
      weight: the power; broadcasts against them.
    """
    nothing = jnp.isneginf(log_probs) & (jnp.asarray(weight) == 0)
    return jnp.multiply(weight, jnp.where(nothing, 0.0, log_probs))


def mixture_logits(
    policy_logits: Array, reference_logits: Array, *, mix: Numeric
) -> Array:
    r"""Log-probabilities of the geometric mixture of two next-token distributions.

    .. math:: \log w = (1 - \text{mix}) \log \pi + \text{mix} \log \mu - \log Z

    Applied at each token this is *not* the mixture of the two distributions over whole
    responses: each prefix has a normaliser of its own (`games.TokenTree.mixture` is its
    exact counterpart). Mixing logits or log-probabilities is the same, since the
    difference is constant in the token. A token that one policy masks (minus infinity)
    is masked in every mixture but the one of the other policy alone. Munos et al. 2023
    (arXiv:2312.00886).

    Args:
      policy_logits: `[*B, V]` logits of the trained policy.
      reference_logits: `[*B, V]` logits of the reference.
      mix: weight on the reference, in [0, 1]; a number, or an array that broadcasts
        against `[*B, V]` with the same rank.

    Returns:
      `[*B, V]` normalised log-probabilities: the policy at 0, the reference at 1.

    Raises:
      ValueError: if mix is outside [0, 1]; traced, it becomes NaN.
    """
    checks.numeric(policy_logits, "policy_logits")
    checks.numeric(reference_logits, "reference_logits")
    mix = checks.setting(mix, "mix", least=0, most=1)
    chex.assert_equal_shape([policy_logits, reference_logits])
    ours, theirs = precise(policy_logits), precise(reference_logits)
    mixed = log_power(ours, 1 - mix) + log_power(theirs, mix)
    return jax.nn.log_softmax(mixed, axis=-1)
