"""Products with a kernel, whose gradient a CPU makes without transposing by hand."""

import jax
import jax.numpy as jnp


def project(
    x: jax.Array, kernel: jax.Array, dtype: jnp.dtype | None = None
) -> jax.Array:
    """A product with a kernel, of all leading axes at once.

    Its gradient is then summed over one axis. Over several, XLA's compiler for CPUs
    makes a transposed copy of what comes back from behind, number by number at strides,
    and computes it anew in the copy.

    Args:
      x: `[*B, D]`.
      kernel: `[D, E]`.
      dtype: in which is summed, and which the result has; None is the factors' own.

    Returns:
      `[*B, E]`.
    """
    rows = x.reshape(-1, x.shape[-1])
    found = jnp.matmul(rows, kernel, preferred_element_type=dtype)
    return found.reshape(*x.shape[:-1], kernel.shape[-1])
