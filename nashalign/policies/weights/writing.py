"""Parameters written as safetensors files: one, or shards of a limited size."""

import functools
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from nashalign.policies.families import Config, Family
from nashalign.policies.policy import Params
from nashalign.policies.weights.files import NAME, STORED_TYPES
from nashalign.policies.weights.layout import Part, layout
from nashalign.policies.weights.reading import some

Tensors = Mapping[str, list[Part]]


def sharded(
    family: Family, config: Config, shapes: Params, dtype: np.dtype, limit: int
) -> dict[str, Tensors]:
    """Shares stored tensors out to files.

    Args:
      family: the model's, which says where its leaves are stored.
      config: the model's shape.
      shapes: those of a policy's parameters.
      dtype: type of the stored weights.
      limit: how many bytes of weights a file has at most; a larger tensor has a file of
        its own.

    Returns:
      The tensors of every file, by the file's name: one, or shards.
    """
    shards, size = [{}], 0
    for name, parts in layout(family, config, shapes).items():
        own = _size(parts, dtype)
        if shards[-1] and size + own > limit:
            shards.append({})
            size = 0
        shards[-1][name] = parts
        size += own
    if len(shards) == 1:
        return {NAME: shards[0]}
    return {
        f"model-{number:05}-of-{len(shards):05}.safetensors": tensors
        for number, tensors in enumerate(shards, 1)
    }


def index_of(shards: Mapping[str, Tensors], dtype: np.dtype) -> dict[str, Any]:
    """Returns the content of the index of such files: which tensor is in which one."""
    tensors = [(name, file) for file, own in shards.items() for name in own]
    size = sum(_size(parts, dtype) for own in shards.values() for parts in own.values())
    return {"metadata": {"total_size": size}, "weight_map": dict(sorted(tensors))}


def write_weights(
    path: pathlib.Path, tensors: Tensors, params: Params, dtype: np.dtype
) -> None:
    """Writes some of the parameters' tensors as one safetensors file.

    The format is a header's length in eight bytes, the header as JSON, and the numbers;
    one tensor after the other is made and written, where the format's own library wants
    all of them at once.

    Args:
      path: the file.
      tensors: those that are to be in it.
      params: all parameters of the policy.
      dtype: type of the stored weights.

    Raises:
      OSError: if it cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, parts in tensors.items():
        start, end = end, end + _size(parts, dtype)
        header[name] = {
            "dtype": STORED_TYPES[dtype.name],
            "shape": parts[0].stored_shape,
            "data_offsets": (start, end),
        }
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)  # The numbers begin at a multiple of eight.
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for parts in tensors.values():
            file.write(_tensor(parts, params, dtype).reshape(-1).view(np.uint8).data)


def require_params(params: Params, shapes: Params) -> None:
    """Requires that parameters are those of a policy.

    Args:
      params: the parameters, a nested dictionary.
      shapes: the shapes of the policy's parameters.

    Raises:
      ValueError: if one is missing, unknown or of another shape.
    """
    expected, given = (
        {
            jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape
            for path, leaf in jax.tree.leaves_with_path(tree)
        }
        for tree in (shapes, params)
    )
    wrong = [
        f"{name} is {given.get(name, 'absent')}, not {expected.get(name, 'expected')}"
        for name in sorted(expected | given)
        if given.get(name) != expected.get(name)
    ]
    if wrong:
        raise ValueError(f"The parameters do not fit the config: {some(wrong)}.")


def _size(parts, dtype):
    """Bytes of a stored tensor."""
    return math.prod(parts[0].stored_shape) * dtype.itemsize


def _tensor(parts, params, dtype):
    """A tensor as it is stored, of its parts."""
    whole: np.ndarray = np.empty(parts[0].stored_shape, dtype)
    for part in parts:
        leaf = functools.reduce(lambda tree, key: tree[key], part.leaf, params)
        # An array of a device keeps what the host has seen of it; a copy's goes.
        own = leaf.copy() if part.layer is None else leaf[part.layer]
        part.put(whole, np.asarray(own))
    return whole
