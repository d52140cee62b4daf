"""Weights read from safetensors files, whose headers are compared with the config."""

import collections
import contextlib
import functools
import itertools
import pathlib
from typing import Any

import jax
import numpy as np

from nashalign.policies import config_file
from nashalign.policies.families import Config, Family
from nashalign.policies.policy import Params
from nashalign.policies.weights import files
from nashalign.policies.weights.layout import by_leaf, layout, names

# How many numbers of two matrices are compared at once.
_COMPARED = 2**22


def read_weights(
    folder: pathlib.Path,
    family: Family,
    config: Config,
    shapes: Params,
    shardings: Any = None,
    dtype: jax.typing.DTypeLike = np.float32,
) -> Params:
    """Reads the weights of a folder, from one file or from shards.

    Beside what is placed already, the host holds at most one leaf, or one device's
    share of it.

    Args:
      folder: with `model.safetensors`, or its shards and their index.
      family: the model's, which says where its leaves are stored.
      config: the model's shape. A stored copy of a tied output matrix is allowed.
      shapes: the shapes of a policy's parameters.
      shardings: where they go: a sharding, or a pytree of them that begins as the
        parameters do; None is the default device.
      dtype: what they become, a floating type.

    Returns:
      The parameters.

    Raises:
      FileNotFoundError: if the weights or one of the shards is absent.
      ValueError: if a file is damaged, or a tensor is missing, unknown, or of another
        shape or type than expected, or not finite.
    """
    with contextlib.ExitStack() as stack:
        stored = {}
        for path in files.weight_files(folder):
            file = stack.enter_context(files.open_file(path))
            for name in file.keys():
                usual = family.renamed(name)
                if usual in stored:
                    raise ValueError(f"{folder} has {usual} twice: {name} in {path}.")
                stored[usual] = (file.get_slice(name), path)
        _require_stored(stored, names(family, config, shapes), folder)
        tensors = layout(family, config, shapes)
        _require_fit(stored, family, config, tensors, folder)
        leaves = by_leaf(tensors)

        def placed(path, leaf, sharding):
            parts = leaves[tuple(entry.key for entry in path)]
            read = functools.partial(_read, stored, parts, leaf.shape, np.dtype(dtype))
            return _placed(read, leaf.shape, sharding)

        everywhere = jax.tree.broadcast(
            shardings, shapes, is_leaf=lambda sharding: sharding is None
        )
        return jax.tree.map_with_path(placed, shapes, everywhere)


def some(names: list[str], limit: int = 3) -> str:
    """Returns the first few names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _require_stored(stored, needed, folder):
    """Refuses a configuration of more tensors than there are, however many it is of."""
    lacking = (name for name in needed if name not in stored)
    if missing := list(itertools.islice(lacking, 4)):
        rest = " and more" if missing[3:] else ""
        raise _misfit(folder, f"lacks {', '.join(missing[:3])}{rest}")


def _require_fit(stored, family, config, tensors, folder):
    """Compares the headers with what the configuration asks for, tensor by tensor."""
    expected = {name: parts[0].stored_shape for name, parts in tensors.items()}
    tied = (family.output,) if config.tie_word_embeddings else ()
    copies = [name for name in (*family.copies, *tied) if name in stored]
    optional = {name: expected[family.embedding] for name in copies}
    unknown = [
        name
        for name in stored
        if name not in expected | optional and not name.endswith(family.superfluous)
    ]
    if unknown:
        raise _misfit(folder, f"has unknown {some(unknown)}")
    for name, shape in (expected | optional).items():
        tensor, path = stored[name]
        if tuple(tensor.get_shape()) != shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(tensor.get_shape())}, but "
                f"{config_file.NAME} asks for {shape}."
            )
        if tensor.get_dtype() not in files.STORED_TYPES.values():
            raise ValueError(
                f"{path}: {name} is stored as {tensor.get_dtype()}; read are "
                f"{', '.join(files.STORED_TYPES.values())}."
            )
    for name in copies:
        _require_copy(stored, name, family, folder)


def _misfit(folder, what):
    """The error for weights of another model than the configuration's."""
    return ValueError(
        f"The checkpoint in {folder} {what}; its weights do not belong to its "
        f"{config_file.NAME}."
    )


def _require_copy(stored, name, family, folder):
    """Refuses a stored matrix that is not the embedding, which it should be."""
    copy, embedding = (stored[own][0] for own in (name, family.embedding))
    rows, columns = embedding.get_shape()
    step = max(1, _COMPARED // columns)
    advice = (
        f"but its {config_file.NAME} says tie_word_embeddings; set that to false."
        if name == family.output
        else "of which it must be a copy."
    )
    for first in range(0, rows, step):
        own = slice(first, min(first + step, rows))
        if not np.array_equal(copy[own], embedding[own]):
            raise ValueError(
                f"The checkpoint in {folder} has a {name} that differs from "
                f"{family.embedding}, {advice}"
            )


def _placed(read, shape, sharding):
    """An array whose shares are read one after the other, each for all its devices."""
    if sharding is None:
        return jax.block_until_ready(jax.device_put(read((slice(None),) * len(shape))))
    devices = collections.defaultdict(list)
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        ends = (own.indices(size)[:2] for own, size in zip(index, shape, strict=True))
        devices[tuple(ends)].append(device)
    shares = []
    for ends, own in devices.items():
        values = read(tuple(slice(*pair) for pair in ends))
        # Only what has arrived leaves the host.
        shares += jax.block_until_ready([jax.device_put(values, one) for one in own])
        del values
    return jax.make_array_from_single_device_arrays(shape, sharding, shares)


def _read(stored, parts, shape, dtype, index):
    """A share of one leaf, its layers stacked."""
    sizes = [len(range(n)[own]) for n, own in zip(shape, index, strict=True)]
    found: np.ndarray = np.empty(sizes, dtype)
    stacked = parts[0].layer is not None
    layers, inner = (parts[index[0]], index[1:]) if stacked else (parts, index)
    for part, values in zip(layers, found if stacked else [found], strict=True):
        tensor, place = stored[part.place.tensor]
        part.fill(values, tensor, inner)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{place}: {part.place.tensor} holds NaN or infinity as {dtype}; copy "
                "it again."
            )
    return found
