"""From the logits of policies to the logits of what is sampled from."""

from collections.abc import Mapping

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


def geometric_mixture(
    logits: Mapping[str, Array], weights: Mapping[str, Numeric]
) -> jax.Array:
    r"""Logits of the geometric mixture of named next-token distributions.

    .. math:: \log w = \sum_n \text{weight}_n \log \pi_n - \log Z

    What training, enumeration and benchmarks draw from. Of one policy it is a power,
    which sharpens it where the weight is above 1.

    Args:
      logits: name -> `[*B, V]` logits or log-probabilities; policies without a weight
        are passed over.
      weights: name -> real weight, at least one; a number, or an array that broadcasts
        against `[*B, V]` with the same rank.

    Returns:
      `[*B, V]` in at least float32: log-probabilities where several are mixed, and
      logits of one policy's power as they are.
    """
    powers = [log_power(precise(logits[name]), own) for name, own in weights.items()]
    return powers[0] if len(powers) == 1 else jax.nn.log_softmax(sum(powers), axis=-1)


def mixture_logits(
    policy_logits: Array, reference_logits: Array, *, mix: Numeric
) -> jax.Array:
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
    return geometric_mixture(
        {"policy": policy_logits, "reference": reference_logits},
        {"policy": 1 - mix, "reference": mix},
    )
