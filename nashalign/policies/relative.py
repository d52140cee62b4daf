r"""Relative positions: what attention adds to its scores for how far a token is.

.. math:: \text{score}(q, k) + b_{\text{bucket}(k - q)}

Raffel et al. 2020 (arXiv:1910.10683). Near distances have a bucket each, farther ones
share buckets that widen with the logarithm of the distance, and all beyond a limit are
in the last one. An encoder looks both ways and halves its buckets between them; a
decoder has all of them for the way back.
"""

import math

import jax
import jax.numpy as jnp

from nashalign.types import Array


def buckets(
    distance: Array, *, number: int, limit: int, bidirectional: bool
) -> jax.Array:
    """Returns the bucket of each distance.

    Args:
      distance: `[*B]` whole numbers, the place that is looked at minus the place that
        looks.
      number: of buckets; at least two for each way.
      limit: the distance from which on all are in one bucket, more than half of the
        buckets of a way.
      bidirectional: whether there are buckets for what comes later; without them it is
        in the bucket of distance zero, and to be masked.

    Returns:
      `[*B]` in 0..number-1.
    """
    distance = jnp.asarray(distance)
    later = 0
    if bidirectional:
        number //= 2
        later = number * (distance > 0)
        distance = -jnp.abs(distance)
    size = jnp.maximum(-distance, 0)
    exact = number // 2
    # Of what has a bucket of its own the logarithm is not used, and 0 has none.
    share = jnp.log(jnp.maximum(size, 1) / exact) / math.log(limit / exact)
    wide = exact + (share * (number - exact)).astype(size.dtype)
    return later + jnp.where(size < exact, size, jnp.minimum(wide, number - 1))


def bias(
    table: Array,
    places: tuple[Array, Array],
    visible: Array,
    *,
    limit: int,
    bidirectional: bool,
) -> jax.Array:
    """Returns what is added to scores: a bucket's number, or almost minus infinity.

    Args:
      table: `[buckets, H]`, a number for each head.
      places: `[B, S]` of the tokens that look, and `[B, C]` of those looked at.
      visible: `[B, S, C]` bool, which of these are seen.
      limit: see `buckets`.
      bidirectional: see `buckets`.

    Returns:
      `[B, H, S, C]` in at least float32.
    """
    here, there = places
    own = buckets(
        there[:, None] - here[:, :, None],
        number=len(table),
        limit=limit,
        bidirectional=bidirectional,
    )
    table = table.astype(jnp.promote_types(table.dtype, jnp.float32))
    return unseen(visible, table[own].transpose(0, 3, 1, 2))


def unseen(visible: Array, scores: Array) -> jax.Array:
    """Returns numbers `[B, H, S, C]` where `[B, S, C]` are seen; else, a lowest one.

    It is finite, so that no row is all NaN; softmax maps it to zero.
    """
    lowest = jnp.asarray(jnp.finfo(scores.dtype).min / 2, scores.dtype)
    return jnp.where(visible[:, None], scores, lowest)
