"""What the functions of the room ask of policies, preferences and states.

Numbers that are there to be looked at are checked on the host, and an error names the
argument. Traced ones, inside `jax.jit` or `jax.vmap`, become NaN where they break a
law. A JAX array cannot change: a preference is checked once, however often it comes, so
that a loop over `solver.update` pays for one check.
"""

import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.games import preferences
from nashalign.types import Array

_ORDER = "the order is policy, preference, reference, tau"
# Of the JAX arrays that were found to be preferences, those that still exist.
_LAWFUL = weakref.WeakValueDictionary()


def preference(value: Array, name: str = "preference") -> Array:
    """Returns a preference `[*B, Y, Y]` as it came; traced, with NaN where it is none.

    Raises:
      ValueError: naming the first entry that breaks a law.
    """
    if _LAWFUL.get(id(value)) is value and value is not None:
        return value
    value = _array(value, name)
    tolerance = _tolerance(value, preferences.TOLERANCE)
    if checks.known(value):
        preferences.refuse(np.asarray(value), name, tolerance)
        if isinstance(value, jax.Array):
            _LAWFUL[id(value)] = value
        return value
    preferences.require_square(value.shape, name)
    # On the diagonal the second law is that of ties.
    lawful = (value >= -tolerance) & (value <= 1 + tolerance)
    lawful &= jnp.abs(value + jnp.swapaxes(value, -1, -2) - 1) <= tolerance
    return jnp.where(lawful, value, jnp.nan)


def policy(value: Array, name: str, *, positive: bool = False) -> Array:
    """Returns a policy `[*B, Y]` as it came; traced, with NaN where it is none.

    Args:
      value: the policy.
      name: what an error calls it.
      positive: whether every response must have some probability.

    Raises:
      ValueError: naming the first entry that is no probability, or the wrong sum.
    """
    value = _array(value, name)
    if checks.known(value):
        if positive:
            preferences.check_policy(value, name)
        else:
            preferences.check_distribution(value, name)
        return value
    tolerance = _tolerance(value, preferences.SUM_TOLERANCE)
    total = jnp.sum(value, axis=-1, keepdims=True)
    lawful = (value > 0) if positive else (value >= 0)
    lawful &= jnp.abs(total - 1) <= tolerance
    return jnp.where(lawful, value, jnp.nan)


def game(**arguments: Array | None) -> list[Any]:
    """Returns the policies and the preference of a game, checked, and of one size.

    Args:
      **arguments: by name, policies `[*B, Y]` and one `preference` `[*B, Y, Y]`; None
        where one is left out.

    Raises:
      ValueError: naming an argument that is no policy or no preference, or all their
        shapes, where they are not of one game.
    """
    given = {
        name: _array(value, name)
        for name, value in arguments.items()
        if value is not None or name == "preference"
    }
    shapes = {name: tuple(value.shape) for name, value in given.items()}
    square = shapes["preference"]
    fit = len(square) > 1 and square[-1] == square[-2]
    batches = [square[:-2]]
    for name, shape in shapes.items():
        if name != "preference":
            fit = fit and shape[-1:] == square[-1:]
            batches.append(shape[:-1])
    try:
        np.broadcast_shapes(*batches)
    except ValueError:
        fit = False
    if not fit:
        words = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(
            f"shapes {words} are not of one game: a policy is [*B, Y] and a preference "
            f"[*B, Y, Y]; {_ORDER}"
        )
    return [
        None
        if name not in given
        else preference(given[name])
        if name == "preference"
        else policy(given[name], name)
        for name in arguments
    ]


def _array(value, name):
    """Returns an array as it came, and lists as NumPy arrays."""
    if not isinstance(value, jax.Array | np.ndarray):
        value = np.asarray(checks.numeric(value, name))
    return checks.numeric(value, name)


def _tolerance(value, least):
    """Returns by how much numbers of this precision may miss a law."""
    dtype = value.dtype
    if not jnp.issubdtype(dtype, np.floating):
        return least
    return max(least, 4 * float(jnp.finfo(dtype).eps))
