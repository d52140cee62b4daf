"""What the log-ratios of a response's tokens become: one number a response.

`(log_ratios, mask) -> array`: `[..., T]` nats a token, zero where the mask is false, to
`[...]`. The sum is what theory needs; with the anchor `authors.nothing` log-ratios are
log-likelihoods.
"""

import jax.numpy as jnp

from nashalign.types import Array


def summed(log_ratios: Array, mask: Array) -> Array:
    """The log-ratio of the whole response, nats."""
    del mask
    return jnp.sum(log_ratios, -1)


def averaged(log_ratios: Array, mask: Array) -> Array:
    """The mean over the response's own tokens, nats a token; 0 of an empty one."""
    lengths = jnp.maximum(jnp.sum(mask, -1), 1).astype(log_ratios.dtype)
    return jnp.sum(log_ratios, -1) / lengths


def chi(log_ratios: Array, mask: Array) -> Array:
    r"""The link of chi-squared preference optimisation: a ratio, and its logarithm.

    .. math:: \phi(e^h) = e^h + h

    for the log-ratio h of the whole response. Where the square of a difference of two
    would be beyond the numbers that there are, the ratio stays, and h goes on. Huang
    et al. 2024 (arXiv:2407.13399).
    """
    total = summed(log_ratios, mask)
    largest = jnp.log(jnp.finfo(total.dtype).max) / 2 - 2
    return jnp.exp(jnp.minimum(total, largest)) + total


def odds(log_ratios: Array, mask: Array) -> Array:
    r"""The log-odds of a response whose probability is that of its mean token.

    .. math:: p - \log(1 - e^p)

    for the mean log-likelihood p of the response's tokens: log-ratios must be from the
    anchor `authors.nothing`. A p that rounds to 0 is taken one rounding below it. Hong
    et al. 2024 (arXiv:2403.07691).
    """
    mean = averaged(log_ratios, mask)
    mean = jnp.minimum(mean, -jnp.finfo(mean.dtype).eps)
    return mean - _log_one_minus_exp(mean)


def _log_one_minus_exp(value):
    """log(1 - exp(value)) of a value below 0, exact near 0 and far from it."""
    near = value > -jnp.log(2.0).astype(value.dtype)
    # Each branch sees a harmless value where the other is taken: a gradient times zero
    # would be NaN if it were infinite.
    small, large = jnp.where(near, value, -1.0), jnp.where(near, -1.0, value)
    return jnp.where(near, jnp.log(-jnp.expm1(small)), jnp.log1p(-jnp.exp(large)))
