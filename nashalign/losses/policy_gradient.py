"""The score-function loss of a response, and the penalties that hold it to a reference.

The one is the sequence KL in reward-to-go form, the other an estimate token by token.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.types import Array, Numeric

_LARGEST_LOG = 20.0


def policy_gradient(
    log_probs: Array,
    reference_log_probs: Array,
    mask: Array,
    advantage: Array,
    *,
    tau: Numeric,
) -> Array:
    r"""A loss whose gradient is the regularised policy gradient of a response.

    .. math:: -\sum_n \mathrm{SG}\Big[A - \tau \sum_{m \ge n}
              \log\frac{\pi(y_m)}{\mu(y_m)}\Big] \log \pi(y_n)

    In expectation over responses of the policy its gradient is that of
    :math:`-E[A] + \tau\, KL(\pi \| \mu)` for the sequence KL. A token's score
    multiplies the log-ratios from that token on; the product with the same token's
    log-ratio alone is *not* that gradient. Munos et al. 2023 (arXiv:2312.00886).

    Args:
      log_probs: `[*B, T]` per-token log-probabilities under the policy, nats.
      reference_log_probs: `[*B, T]` the same under the reference.
      mask: `[*B, T]` bool, false on padding.
      advantage: `[*B]` how much better the response did than its baseline.
      tau: weight of the KL penalty, >= 0.

    Returns:
      `[*B]`; only its gradient means something.
    """
    tau = checks.setting(tau, "tau", least=0)
    checks.numeric(advantage, "advantage")
    chex.assert_equal_shape([log_probs, reference_log_probs, mask])
    chex.assert_equal_shape_prefix([log_probs, advantage], advantage.ndim)
    ratios = jnp.where(mask, log_probs - reference_log_probs, 0.0)
    to_go = jnp.flip(jnp.cumsum(jnp.flip(ratios, -1), -1), -1)
    credit = jax.lax.stop_gradient(advantage[..., None] - tau * to_go)
    return -jnp.sum(jnp.where(mask, credit * log_probs, 0.0), -1)


def k3(log_probs: Array, reference_log_probs: Array) -> Array:
    r"""An estimate of the KL of next-token distributions from the token that was drawn.

    .. math:: \frac{\mu(y_n)}{\pi(y_n)} - \log\frac{\mu(y_n)}{\pi(y_n)} - 1

    Over tokens of the policy its mean is KL(pi || mu) of the next token. Its gradient
    is another: the mean of that is the gradient of KL(mu || pi) of the next token, for
    the score has mean zero. A ratio over exp(20) counts as that. Schulman 2020, and
    Shao et al. 2024 (arXiv:2402.03300).

    Args:
      log_probs: `[*B]` of tokens under the policy, nats.
      reference_log_probs: `[*B]` the same under the reference.

    Returns:
      `[*B]` nats, >= 0.
    """
    chex.assert_equal_shape([log_probs, reference_log_probs])
    found = jax.lax.stop_gradient(reference_log_probs) - log_probs
    return jnp.exp(jnp.minimum(found, _LARGEST_LOG)) - found - 1
