"""Weights read from safetensors files, whose headers are compared with the config."""

import contextlib
import itertools
import pathlib

import jax
import numpy as np

from nashalign.policies import config_file
from nashalign.policies.families import Config, Family
from nashalign.policies.policy import Params
from nashalign.policies.weights import files
from nashalign.policies.weights.layout import by_leaf, layout, names

_TYPES = ("F32", "F16", "BF16", "F64")


def read_weights(
    folder: pathlib.Path, family: Family, config: Config, shapes: Params
) -> Params:
    """Reads the weights of a folder, from one file or from shards.

    Args:
      folder: with `model.safetensors`, or its shards and their index.
      family: the model's, which says where its leaves are stored.
      config: the model's shape. A stored copy of a tied output matrix is allowed.
      shapes: the shapes of a policy's parameters.

    Returns:
      The parameters as float32 numpy arrays.

    Raises:
      FileNotFoundError: if the weights or one of the shards is absent.
      ValueError: if a file is damaged, or a tensor is missing, unknown, or of another
        shape or type than expected.
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
        return jax.tree.map_with_path(
            lambda path, leaf: _read_leaf(
                stored, leaves[tuple(entry.key for entry in path)], leaf
            ),
            shapes,
        )


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
    tied = config.tie_word_embeddings and family.output in stored
    optional = {family.output: expected[family.embedding]} if tied else {}
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
        if tensor.get_dtype() not in _TYPES:
            raise ValueError(
                f"{path}: {name} is stored as {tensor.get_dtype()}; read are "
                f"{', '.join(_TYPES)}."
            )
    if optional:
        _require_tied(stored, family, folder)


def _misfit(folder, what):
    """The error for weights of another model than the configuration's."""
    return ValueError(
        f"The checkpoint in {folder} {what}; its weights do not belong to its "
        f"{config_file.NAME}."
    )


def _require_tied(stored, family, folder):
    """Refuses a stored output matrix that is not the embedding it should be tied to."""
    names = (family.output, family.embedding)
    head, embedding = (stored[name][0][:] for name in names)
    if not np.array_equal(head, embedding):
        raise ValueError(
            f"The checkpoint in {folder} has a {names[0]} that differs from "
            f"{names[1]}, but its {config_file.NAME} says tie_word_embeddings; set "
            "that to false."
        )


def _read_leaf(stored, parts, leaf):
    """One leaf in float32, its layers stacked."""
    whole: np.ndarray = np.empty(leaf.shape, np.float32)
    for layer, part in enumerate(parts):
        tensor, place = stored[part.place.tensor]
        values = part.take(tensor, (slice(None),) * len(part.shape))
        if not np.isfinite(values).all():
            name = part.place.tensor
            raise ValueError(f"{place}: {name} holds NaN or infinity; copy it again.")
        whole[... if part.layer is None else layer] = values
    return whole
