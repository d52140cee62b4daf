"""Parameters written as safetensors files."""

import pathlib

import jax
import numpy as np
import safetensors.numpy

from nashalign.policies.families import Config, Family
from nashalign.policies.policy import Params
from nashalign.policies.weights.layout import layout
from nashalign.policies.weights.reading import some


def write_weights(
    path: pathlib.Path,
    family: Family,
    config: Config,
    params: Params,
    dtype: np.dtype,
) -> None:
    """Writes parameters as one safetensors file.

    Args:
      path: the file.
      family: the model's, which says where its leaves are stored.
      config: the model's shape.
      params: a policy's parameters.
      dtype: type of the stored weights.

    Raises:
      OSError: if it cannot be written.
    """
    tensors = {
        name: _tensor(parts, params, dtype)
        for name, parts in layout(family, config, params).items()
    }
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
        raise ValueError(f"The parameters do not fit the config: {some(wrong)}.")


def _tensor(parts, params, dtype):
    """A tensor as it is stored, of its parts."""
    whole: np.ndarray = np.empty(parts[0].stored_shape, dtype)
    for part in parts:
        leaf = params
        for key in part.leaf:
            leaf = leaf[key]
        part.put(whole, np.asarray(leaf if part.layer is None else leaf[part.layer]))
    return whole
