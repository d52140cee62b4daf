"""One draw from each of many distributions, at the cost of reading them once.

The Gumbel trick asks for a random number of each outcome, which for a vocabulary costs
more than the model's own matrices. Here a row takes two: the first chooses a block of
outcomes by the inverse of the blocks' distribution function, the second an outcome of
the block. Two, since one number has too few digits for a hundred thousand outcomes of
which most are rare.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign.types import Array

_BLOCK = 128


def draw(keys: chex.PRNGKey, logits: Array) -> jax.Array:
    """Draws an outcome of each row, with the probabilities of its softmax.

    Args:
      keys: `[*B]`, one a row.
      logits: `[*B, V]`; an outcome at minus infinity is never drawn.

    Returns:
      `[*B]` int32.
    """
    axes = jnp.ndim(keys)
    bits = jax.random.bits
    for _ in range(axes):
        bits = jax.vmap(bits, (0, None, None))
    # Middles of 2 ** 23 equal parts of the unit interval: its ends are never met.
    middles = (bits(keys, (2,), jnp.uint32) >> 9).astype(jnp.float32) + 0.5
    first, second = (middles[..., i] * 2.0**-23 for i in range(2))
    weights = jnp.exp(logits - jnp.max(logits, -1, keepdims=True))
    size = logits.shape[-1]
    padding = [(0, 0)] * axes + [(0, -size % _BLOCK)]
    blocks = jnp.pad(weights, padding).reshape(*logits.shape[:-1], -1, _BLOCK)
    block = _inverse(jnp.sum(blocks, -1), first)
    own = jnp.take_along_axis(blocks, block[..., None, None], -2)[..., 0, :]
    return block * _BLOCK + _inverse(own, second)


def _inverse(weights, quantile):
    """The outcome at a quantile of the distribution with these weights `[*B, V]`."""
    below = jnp.cumsum(weights, -1)
    # Rounding may leave the sum below the quantile, or let it fall where nothing is.
    chosen = (below > quantile[..., None] * below[..., -1:]) & (weights > 0)
    last = weights.shape[-1] - 1 - jnp.argmax(weights[..., ::-1] > 0, -1)
    found = jnp.where(jnp.any(chosen, -1), jnp.argmax(chosen, -1), last)
    return found.astype(jnp.int32)
