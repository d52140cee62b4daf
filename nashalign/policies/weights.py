"""Weights as Hugging Face stores them: names, shapes, and safetensors files.

Each layer's tensors are stored by themselves, matrices as `[outputs, inputs]`; a policy
stacks the layers and multiplies from the left. Everything is checked from the files'
headers before a weight is read.
"""

import contextlib
import itertools
import pathlib

import jax
import numpy as np
import safetensors.numpy

from nashalign import json_file
from nashalign.policies import config_file
from nashalign.policies.families import Family
from nashalign.policies.policy import Params

NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"
_TYPES = ("F32", "F16", "BF16", "F64")


def read_weights(
    folder: pathlib.Path, family: Family, shapes: Params, *, tied: bool
) -> Params:
    """Reads the weights of a folder, from one file or from shards.

    Args:
      folder: with `model.safetensors`, or its shards and their index.
      family: the model's, which names its tensors.
      shapes: the shapes of a policy's parameters.
      tied: whether the output matrix is the embedding. A stored copy is allowed.

    Returns:
      The parameters as float32 numpy arrays.

    Raises:
      FileNotFoundError: if the weights or one of the shards is absent.
      ValueError: if a file is damaged, or a tensor is missing, unknown, or of another
        shape or type than expected.
    """
    with contextlib.ExitStack() as stack:
        stored = {}
        for path in _weight_files(folder):
            file = stack.enter_context(_open(path))
            stored |= {name: (file, path) for name in file.keys()}
        _require_fit(stored, family, shapes, tied, folder)
        return jax.tree.map_with_path(
            lambda path, leaf: _read_leaf(stored, family, path, leaf), shapes
        )


def write_weights(
    path: pathlib.Path, family: Family, params: Params, dtype: np.dtype
) -> None:
    """Writes parameters as one safetensors file.

    Args:
      path: the file.
      family: the model's, which names its tensors.
      params: a policy's parameters.
      dtype: type of the stored weights.

    Raises:
      OSError: if it cannot be written.
    """
    tensors = {}
    for leaf_path, leaf in jax.tree.leaves_with_path(params):
        tensors |= _tensors(family, leaf_path, np.asarray(leaf).astype(dtype))
    try:
        safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error


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
        raise ValueError(f"The parameters do not fit the config: {_some(wrong)}.")


def _weight_files(folder):
    """The files that hold the weights; every one of them exists."""
    if (folder / NAME).is_file():
        return [folder / NAME]
    index = folder / INDEX
    if not index.is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = f"; {', '.join(others)} is of a format not read here" if others else ""
        raise FileNotFoundError(f"{folder} has no {NAME} and no {INDEX}{hint}.")
    names = _shards(index)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)} of the {len(names)} shards that "
            f"{INDEX} lists; copy what is missing."
        )
    return [folder / name for name in names]


def _shards(index):
    """The names of the files in an index, of which none lies outside of its folder."""
    places = json_file.read_object(index).get("weight_map")
    if not isinstance(places, dict):
        raise ValueError(f"{index} has no weight_map; copy it again.")
    for tensor, name in places.items():
        plain = isinstance(name, str) and name not in ("", ".", "..")
        if not plain or {"/", "\\", "\0"} & set(name):
            raise ValueError(
                f"{index}: the weight_map has {tensor:.60} in {name!r:.60}, which is "
                "not the name of a file in its folder."
            )
    return sorted(set(places.values()))


def _open(path):
    """Opens a weights file, of which only the header is read."""
    try:
        return safetensors.safe_open(path, framework="np")
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file ({error}); copy it again. A "
            "Git LFS pointer has to be fetched first."
        ) from error


def _require_fit(stored, family, shapes, tied, folder):
    """Compares the headers with what the configuration asks for, tensor by tensor."""
    _require_stored(stored, family, shapes, folder)
    expected = {}
    for path, leaf in jax.tree.leaves_with_path(shapes):
        expected |= _stored_shapes(family, path, leaf)
    optional = {}
    if tied and family.output in stored:
        optional = {family.output: expected[family.embedding]}
    unknown = [
        name
        for name in stored
        if name not in expected | optional and not name.endswith(family.superfluous)
    ]
    if unknown:
        raise _misfit(folder, f"has unknown {_some(unknown)}")
    for name, shape in (expected | optional).items():
        file, path = stored[name]
        part = file.get_slice(name)
        if tuple(part.get_shape()) != shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(part.get_shape())}, but "
                f"{config_file.NAME} asks for {shape}."
            )
        if part.get_dtype() not in _TYPES:
            raise ValueError(
                f"{path}: {name} is stored as {part.get_dtype()}; read are "
                f"{', '.join(_TYPES)}."
            )
    if optional:
        _require_tied(stored, family, folder)


def _require_stored(stored, family, shapes, folder):
    """Refuses a configuration of more tensors than there are, however many it is of."""
    names = (
        name
        for path, leaf in jax.tree.leaves_with_path(shapes)
        for name in _names(family, path, leaf.shape[0])
        if name not in stored
    )
    if missing := list(itertools.islice(names, 4)):
        rest = " and more" if missing[3:] else ""
        raise _misfit(folder, f"lacks {', '.join(missing[:3])}{rest}")


def _misfit(folder, what):
    """The error for weights of another model than the configuration's."""
    return ValueError(
        f"The checkpoint in {folder} {what}; its weights do not belong to its "
        f"{config_file.NAME}."
    )


def _require_tied(stored, family, folder):
    """Refuses a stored output matrix that is not the embedding it should be tied to."""
    names = (family.output, family.embedding)
    head, embedding = (stored[name][0].get_tensor(name) for name in names)
    if not np.array_equal(head, embedding):
        raise ValueError(
            f"The checkpoint in {folder} has a {names[0]} that differs from "
            f"{names[1]}, but its {config_file.NAME} says tie_word_embeddings; set "
            "that to false."
        )


def _names(family, path, num_layers):
    """Yields Hugging Face's names of a leaf: one, or one for each layer of a stack."""
    keys = [entry.key for entry in path]
    for layer in range(num_layers) if _is_stacked(path) else (None,):
        yield family.stored(keys, layer)


def _is_stacked(path):
    """Whether a leaf holds one array for each layer."""
    return path[0].key == "layers"


def _is_kernel(path):
    """Whether a leaf is stored transposed."""
    return path[-1].key == "kernel"


def _stored_shapes(family, path, leaf):
    """Shapes of the stored tensors of a leaf, by name."""
    shape = leaf.shape[1:] if _is_stacked(path) else leaf.shape
    shape = shape[::-1] if _is_kernel(path) else shape
    return {name: shape for name in _names(family, path, leaf.shape[0])}


def _read_leaf(stored, family, path, leaf):
    """One leaf in float32, its layers stacked and its matrices turned."""
    whole: np.ndarray = np.empty(leaf.shape, np.float32)
    parts: np.ndarray = whole if _is_stacked(path) else whole[None]
    for part, name in zip(parts, _names(family, path, leaf.shape[0]), strict=True):
        file, place = stored[name]
        tensor = file.get_tensor(name)
        part[...] = tensor.T if _is_kernel(path) else tensor
        if not np.isfinite(part).all():
            raise ValueError(f"{place}: {name} holds NaN or infinity; copy it again.")
    return whole


def _tensors(family, path, leaf):
    """Stored tensors of a leaf, by name."""
    parts = leaf if _is_stacked(path) else leaf[None]
    # The writer copies memory as it lies, so a transposed view would be stored wrongly.
    return {
        name: np.ascontiguousarray(part.T if _is_kernel(path) else part)
        for name, part in zip(_names(family, path, leaf.shape[0]), parts, strict=True)
    }


def _some(names, limit=3):
    """The first few names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
