"""Which tensors a policy's parameters are stored as, and which part of which each is.

Layers are stored one by one, matrices mostly as `[outputs, inputs]`, and several leaves
may be parts of one tensor, side by side along their outputs. A policy stacks the
layers, multiplies from the left, and has a leaf for each part.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from nashalign.policies.families import Config, Family, Place
from nashalign.policies.policy import Params

Index = tuple[slice, ...]
# Numbers.
_BLOCK = 2**22


@dataclasses.dataclass(frozen=True)
class Part:
    """A leaf of the parameters, or one layer of it, in the tensor where it is stored.

    Attributes:
      leaf: its path.
      layer: which layer; None of a leaf that is in no stack.
      place: where the family stores it.
      shape: as the policy has it, of one layer, outputs last.
      before: how many outputs the parts before it have.
      outputs: how many the whole tensor has.
    """

    leaf: tuple[str, ...]
    layer: int | None
    place: Place
    shape: tuple[int, ...]
    before: int = 0
    outputs: int = 0

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the whole tensor, as it is stored."""
        shape = (*self.shape[:-1], self.outputs)
        return shape[::-1] if self.place.turned else shape

    def fill(self, found: np.ndarray, stored: Any, index: Index) -> None:
        """Fills an array with what the policy has of a stored tensor.

        Args:
          found: the array, of the shape that `index` leaves and of any type.
          stored: the tensor, or anything that gives arrays for slices, as a file does.
          index: what of the part is wanted, a slice of each of its axes.
        """
        axis = -1 if self.place.turned else 0
        rows = np.moveaxis(found, axis, 0)
        start, _, _ = index[axis].indices(self.shape[axis])
        # What is read at once is small beside a leaf, or a leaf would be there twice.
        step = max(1, _BLOCK // max(1, rows[:1].size))
        for first in range(0, len(rows), step):
            block = np.moveaxis(rows[first : first + step], 0, axis)
            own = list(index)
            own[axis] = slice(start + first, start + first + block.shape[axis])
            self._fill(block, stored, tuple(own))

    def _fill(self, found, stored, index):
        """`fill`, all at once."""
        start, stop, _ = index[-1].indices(self.shape[-1])
        for own, there in self._runs(start, stop):
            place = (*index[:-1], there)
            values = stored[place[::-1]].T if self.place.turned else stored[place]
            with np.errstate(over="ignore"):  # Infinity is found by who fills.
                found[..., own] = values

    def put(self, stored: np.ndarray, values: np.ndarray) -> None:
        """Puts what the policy has into a tensor that is to be stored."""
        whole = stored.T if self.place.turned else stored
        for own, there in self._runs(0, self.shape[-1]):
            whole[..., there] = values[..., own]

    def _runs(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """Outputs from `start` to `stop`, one run a group: counted from there, and
        counted in the tensor."""
        groups = self.place.groups
        size = self.shape[-1] // groups
        for group in range(groups):
            first = max(start, group * size)
            last = min(stop, (group + 1) * size)
            shift = group * (self.outputs // groups - size) + self.before // groups
            if first < last:
                yield (
                    slice(first - start, last - start),
                    slice(first + shift, last + shift),
                )


def names(family: Family, config: Config, shapes: Params) -> Iterator[str]:
    """Yields the names of all tensors; there may be too many of them for a list."""
    for path, leaf in jax.tree.leaves_with_path(shapes):
        keys = _keys(path)
        for layer in _layers(keys, leaf):
            place = family.stored(config, keys, layer)
            if place.part == 0:
                yield place.tensor


def layout(family: Family, config: Config, shapes: Params) -> dict[str, list[Part]]:
    """Returns the parts of every stored tensor, in their order, by its name.

    Args:
      family: the model's, which says where its leaves are stored.
      config: the model's shape.
      shapes: those of the policy's parameters.

    Raises:
      ValueError: the family stores two leaves in one place.
    """
    found = collections.defaultdict(list)
    for path, leaf in jax.tree.leaves_with_path(shapes):
        keys = _keys(path)
        for layer in _layers(keys, leaf):
            place = family.stored(config, keys, layer)
            shape = leaf.shape if layer is None else leaf.shape[1:]
            found[place.tensor].append(Part(keys, layer, place, tuple(shape)))
    return {name: _ordered(name, parts) for name, parts in found.items()}


def by_leaf(
    tensors: Mapping[str, Sequence[Part]],
) -> dict[tuple[str, ...], list[Part]]:
    """Returns the parts of every leaf, in the order of its layers, by its path."""
    found = collections.defaultdict(list)
    for parts in tensors.values():
        for part in parts:
            found[part.leaf].append(part)
    return {
        leaf: sorted(parts, key=lambda part: part.layer or 0)
        for leaf, parts in found.items()
    }


def _ordered(name, parts):
    """The parts of one tensor, each with what is before it and what is in all."""
    parts = sorted(parts, key=lambda part: part.place.part)
    if [part.place.part for part in parts] != list(range(len(parts))):
        leaves = ", ".join(".".join(part.leaf) for part in parts)
        raise ValueError(f"{name} is stored in parts that are not {leaves} in turn")
    sizes = [part.shape[-1] for part in parts]
    return [
        dataclasses.replace(part, before=sum(sizes[:index]), outputs=sum(sizes))
        for index, part in enumerate(parts)
    ]


def _keys(path):
    """The keys of a leaf's path."""
    return tuple(entry.key for entry in path)


def _layers(keys, leaf):
    """The layers of a leaf's stack; None alone of a leaf that is in no stack."""
    return range(leaf.shape[0]) if "layers" in keys else (None,)
