"""Checks of single arguments: what the public functions of every room ask of them.

A check returns what it lets through. Where numbers are there to be looked at, a wrong
one is an error, whose sentence names the argument; inside a compiled program, where
nothing can be raised, it becomes NaN, and so does what is computed from it. The cost of
a check is a comparison of numbers that the host has, or must wait for: it belongs where
a user calls, not in a loop.
"""

import math
import operator
from typing import Any, TypeVar, cast

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

_Value = TypeVar("_Value")


def present(value: _Value | None, name: str) -> _Value:
    """Returns what may be None elsewhere, and must not be here.

    Args:
      value: anything.
      name: what an error calls it.

    Raises:
      ValueError: if it is None.
    """
    if value is None:
        raise ValueError(f"{name} is needed here, and is None")
    return value


def known(*values: Any) -> bool:
    """Returns whether all numbers in some pytrees can be looked at, here and now.

    Not those of a tracer, nor of an array that other processes hold a part of.
    """
    return not any(
        isinstance(leaf, jax.core.Tracer)
        or (isinstance(leaf, jax.Array) and not leaf.is_fully_addressable)
        for leaf in jax.tree.leaves(values)
    )


def numeric(value: _Value, name: str) -> _Value:
    """Returns a number or an array of real numbers, as it came.

    Args:
      value: anything.
      name: what an error calls it.

    Raises:
      TypeError: if it is something else: text, None, a truth value, an object.
    """
    kinds = (np.integer, np.floating)
    try:
        dtype = getattr(value, "dtype", None)
        dtype = np.asarray(value).dtype if dtype is None else dtype
    except (ValueError, TypeError) as error:
        raise TypeError(f"{name} is no array of numbers: {error}") from error
    if not any(jnp.issubdtype(dtype, kind) for kind in kinds):
        one = np.ndim(cast(Any, value)) == 0
        kind = f"{value!r:.60}" if one else f"an array of {dtype}"
        raise TypeError(f"{name} must be a number, or an array of numbers, not {kind}")
    return value


def number(
    value: _Value,
    name: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> _Value:
    """Returns a finite number, or an array of them, if it is in its range.

    Args:
      value: the number or array; one that is traced becomes NaN where it is out of
        range.
      name: what an error calls it.
      above: what it must be greater than.
      least: what it must be at least.
      below: what it must be less than.
      most: what it must be at most.

    Returns:
      The value; an untraced one as it came.

    Raises:
      TypeError: if it is no number.
      ValueError: if it is not finite, or out of range.
    """
    numeric(value, name)
    array: Any = np.asarray(value) if known(value) else value
    inside = (array > above) & (array >= least) & (array < below) & (array <= most)
    if not known(value):
        # What is traced is an array, whatever the caller's annotation says.
        return cast(_Value, jnp.where(inside & jnp.isfinite(array), array, jnp.nan))
    if not np.all(inside & np.isfinite(array)):
        shown = np.array2string(array, threshold=8) if array.ndim else value
        ends = (max(above, least), min(below, most))
        must = _words(*ends, above >= least, below <= most)
        if not np.all(np.isfinite(array)):
            must = "finite" if math.isinf(ends[1]) else must
        raise ValueError(f"{name} must be {must}, not {shown}")
    return value


def setting(value: _Value, name: str, **limits: float) -> _Value:
    """Returns one number that is in its range: `number`, but for lists and arrays.

    Arrays that JAX traces or vectorises over are let through.

    Args:
      value: the number.
      name: what an error calls it.
      **limits: those of `number`.

    Raises:
      TypeError: if it is no number, or several.
      ValueError: if it is not finite, or out of range.
    """
    if isinstance(value, list | tuple | dict):
        raise TypeError(f"{name} must be a number, not {value!r:.60}")
    return number(value, name, **limits)


def _words(low, high, beyond_low, before_high):
    """Returns a range in words that follow "must be"."""
    if math.isfinite(high):
        left, right = "[("[beyond_low], "])"[before_high]
        return f"in {left}{low:g}, {high:g}{right}"
    if not math.isfinite(low):
        return "finite"
    if not beyond_low:
        return f"at least {low:g}"
    return "positive" if low == 0 else f"greater than {low:g}"


def whole(value: Any, name: str, *, least: int = 1) -> int:
    """Returns a whole number that is at least so large; it cannot be traced.

    Args:
      value: the number.
      name: what an error calls it.
      least: its least value.

    Raises:
      TypeError: if it is no whole number.
      ValueError: if it is less.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        found = operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a whole number, not {value!r:.60}") from error
    if found < least:
        raise ValueError(f"{name} must be at least {least}, not {found}")
    return found
