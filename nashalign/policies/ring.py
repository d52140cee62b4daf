"""The cache of keys and values: a ring of slots, written at one place in all rows.

A cache holds in each row `C` slots of keys and values, of which `mask` tells those of
real tokens; all of them come before what is read next, in whatever order they are.
`count` is how many real tokens a row has read, which gives the next one its position,
and `next` the slot that is written next, the same in all rows. The oldest token makes
room for the newest: where a row is refilled, others' places need not be known. Models
with windows keep the tokens' `positions` as well.
"""

from typing import Any

import jax
import jax.numpy as jnp

from nashalign.policies.rows import put_rows, take_rows
from nashalign.types import Array

Cache = dict[str, jax.Array]


def empty(
    num_heads: tuple[int, int, int], batch: int, dtype: Any, *, positions: bool = False
) -> Cache:
    """Returns a cache without a slot: that of rows of which nothing has been read.

    Args:
      num_heads: layers, heads of keys and values, and the width of each.
      batch: rows.
      dtype: of keys and values.
      positions: whether the tokens' positions are kept, for who asks how far they are.
    """
    layers, heads, width = num_heads
    own = {"positions": jnp.zeros((batch, 0), jnp.int32)} if positions else {}
    return {
        **own,
        "keys": jnp.zeros((layers, batch, heads, width, 0), dtype),
        "values": jnp.zeros((layers, batch, heads, 0, width), dtype),
        "mask": jnp.zeros((batch, 0), bool),
        "count": jnp.zeros(batch, jnp.int32),
        "next": jnp.zeros((), jnp.int32),
    }


# Of what is in a cache, the axis of the rows, and that of the slots from the end.
_ROWS = {"keys": 1, "values": 1, "mask": 0, "count": 0, "positions": 0}
_SLOTS = {"keys": -1, "values": -2, "mask": -1, "positions": -1}


def _axes(cache: Cache, axes: dict[str, int]) -> list[tuple[str, int]]:
    """Those of what is in this cache, by name."""
    return [(name, axis) for name, axis in axes.items() if name in cache]


def widen(cache: Cache, room: int) -> Cache:
    """Returns a cache with so many slots more behind those it has."""

    def pad(array, axis):
        padding = [(0, 0)] * array.ndim
        padding[axis] = (0, room)
        return jnp.pad(array, padding)

    return cache | {name: pad(cache[name], axis) for name, axis in _axes(cache, _SLOTS)}


def keep(cache: Cache, own: Cache) -> Cache:
    """Returns a cache with what was read written into its ring of slots.

    Args:
      cache: of what was read before.
      own: of the tokens that were read, and of nothing else.
    """
    slots, size = (one["mask"].shape[1] for one in (cache, own))
    after = {"count": own["count"], "next": cache["next"] + size}
    if not slots:
        return cache | after
    # What is longer than the ring would be overwritten by its own end.
    size = min(size, slots)
    places = (cache["next"] + own["mask"].shape[1] - size + jnp.arange(size)) % slots

    def write(array, new, axis):
        new = jax.lax.slice_in_dim(
            new, new.shape[axis] - size, new.shape[axis], axis=axis
        )
        if size == 1:
            return jax.lax.dynamic_update_slice_in_dim(array, new, places[0], axis)
        before = (slice(None),) * (array.ndim + axis)
        return array.at[(*before, places)].set(new, unique_indices=True)

    written = {
        name: write(cache[name], own[name], axis) for name, axis in _axes(cache, _SLOTS)
    }
    return written | after


def take(cache: Cache, rows: Array) -> Cache:
    """Returns rows of a cache; see `Policy.take`."""
    taken = {
        name: take_rows(cache[name], rows, axis) for name, axis in _axes(cache, _ROWS)
    }
    return cache | taken


def put(cache: Cache, rows: Array, other: Cache) -> Cache:
    """Returns a cache with rows of another; see `Policy.put`.

    Raises:
      ValueError: the other has more slots.
    """
    slots, others = cache["mask"].shape[1], other["mask"].shape[1]
    if others > slots:
        raise ValueError(
            f"rows of {others} slots do not fit into a cache of {slots}: prefill the "
            "one with less room, or the other with more; where prompts have a cache of "
            "their own, with prompts that are padded to no more"
        )
    # Both rings are turned to where the next token is written.
    turn = cache["next"] - other["next"]
    other = widen(other, slots - others)
    turned = {n: jnp.roll(other[n], turn, axis) for n, axis in _axes(cache, _SLOTS)}
    other = other | turned
    return cache | {
        name: put_rows(cache[name], rows, other[name], axis)
        for name, axis in _axes(cache, _ROWS)
    }
