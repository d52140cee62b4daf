"""The rows of a cache's arrays: chosen, repeated, and replaced by others."""

import jax
import jax.numpy as jnp
import numpy as np

from nashalign.types import Array


def take_rows(array: Array, rows: Array, axis: int = 0) -> jax.Array:
    """Returns rows of an array, chosen or repeated.

    Args:
      array: with `B` rows on an axis.
      rows: `[R]` their numbers, in 0..B-1.
      axis: where the rows are.

    Returns:
      The array with `R` rows.
    """
    number = array.shape[axis]
    times = len(rows) // max(1, number)
    every = np.repeat(np.arange(number), times)
    # What repeats each row as often is a broadcast: it keeps a sharded batch where it
    # is, and its gradient is a sum, in one order, where a gather's is a scatter.
    if isinstance(rows, np.ndarray) and np.array_equal(rows, every):
        return jnp.repeat(array, times, axis)
    return jnp.take(array, rows, axis)


def put_rows(array: Array, rows: Array, other: Array, axis: int = 0) -> jax.Array:
    """Returns an array with some of its rows replaced by those of another.

    Args:
      array: with `B` rows on an axis.
      rows: `[R]` the numbers of those that are replaced, in 0..B-1, each once.
      other: like the array, with `R` rows.
      axis: where the rows are.
    """
    places = (slice(None),) * axis + (jnp.asarray(rows),)
    return jnp.asarray(array).at[places].set(other)
