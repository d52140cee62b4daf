"""What frozen policies say of given responses, computed once and kept in a file.

A policy that no step of a round moves says the same of an example whenever it comes: it
reads the examples before the round begins, and batches bring along what it has said.
The file is of one round, and knows by a hash of which policies and examples it is.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from nashalign import algorithms, compiling, policies, terminal, training, writing
from nashalign.alignment import steps
from nashalign.types import Array, Examples

FILE = "log_probs.npz"

_HASH = "fingerprint"


def beside(
    path: pathlib.Path,
    policy: policies.Policy,
    frozen: Mapping[str, policies.Params],
    examples: Examples,
    rows: np.ndarray,
    *,
    batch_size: int,
    mesh: jax.sharding.Mesh,
    name: str,
) -> Examples:
    """Returns examples with log-probabilities under frozen policies.

    What is in the file is read, and what is missing in it is computed and added to it.

    Args:
      path: the file.
      policy: the model family.
      frozen: the parameters of each policy, by its name.
      examples: `B` of them.
      rows: which of them are read; the others' log-probabilities may be NaN.
      batch_size: examples in one call, as many as a step has: a multiple of the number
        of devices.
      mesh: the devices.
      name: of the progress bar.

    Raises:
      ValueError: the file is damaged, or of other policies or examples.
      OSError: it cannot be read or written.
    """
    own = _fingerprint(frozen, examples)
    found = _read(path, own, frozen, examples) if path.exists() else {}
    wanted = np.zeros(len(examples.prompts.ids), bool)
    wanted[rows] = True
    missing = wanted & ~_known(found, wanted)
    if missing.any():
        read = _read_by(policy, frozen, examples, missing, batch_size, mesh, name)
        for key, values in read.items():
            shape = examples.responses.tokens.shape
            whole = found.setdefault(key, np.full(shape, np.nan, values.dtype))
            whole[missing] = values
        with writing.replacing(path) as temporary:
            arrays: dict[str, Any] = {**found, _HASH: own}
            np.savez(temporary, **arrays)
    return dataclasses.replace(examples, frozen_log_probs=found)


def _known(found: Mapping[str, np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Of which examples there is everything, `[B]`."""
    if not found:
        return np.zeros_like(wanted)
    return ~np.any([np.isnan(values).any((1, 2)) for values in found.values()], 0)


def _read(path, own, frozen, examples) -> dict[str, np.ndarray]:
    """The log-probabilities in a file that must be of these policies and examples."""
    again = "Delete it to have log-probabilities computed again"
    any_shape = dict.fromkeys(frozen, (None, None, None))
    stored = training.read_arrays(path, again, {_HASH: (None,), **any_shape})
    of_others = not np.array_equal(stored.pop(_HASH), own)
    shape = examples.responses.tokens.shape
    if of_others or any(values.shape != shape for values in stored.values()):
        raise ValueError(
            f"{path} is of another frozen policy or of other examples than the run is "
            "given. Give those that it was begun with, or another folder"
        )
    return stored


def _read_by(
    policy, frozen, examples, chosen, batch_size, mesh, name
) -> dict[str, np.ndarray]:
    """Log-probabilities `[R, N, T]` of the chosen examples, a batch at a time.

    Every call has as many examples as a step: devices share them out evenly.
    """
    own = np.flatnonzero(chosen)
    params = jax.device_put(dict(frozen), steps.sharding(dict(frozen), mesh))
    read, parts = _compiled(mesh.devices.flat[0].platform), []
    with terminal.progress_bar(name, len(own)) as advance:
        for begin in range(0, len(own), batch_size):
            rows = own[begin : begin + batch_size]
            batch = algorithms.take(examples, np.resize(rows, batch_size))
            texts = jax.device_put(
                (batch.prompts, batch.responses), training.batched(mesh)
            )
            parts.append(jax.device_get(read(policy, params, *texts)))
            advance(len(rows), "")
    return {key: np.concatenate([p[key] for p in parts])[: len(own)] for key in frozen}


@functools.cache
def _compiled(platform: str):
    """`_log_probs` as a program, compiled as steps are."""
    options = compiling.compiler_options(platform)
    return jax.jit(_log_probs, static_argnums=0, compiler_options=options)


def _log_probs(policy, frozen, prompts, responses) -> dict[str, Array]:
    """What a step computes of the responses `[B, N, T]`, by the name of the policy."""
    return {
        name: policies.log_probs(policy, params, prompts, responses)
        for name, params in frozen.items()
    }


def _fingerprint(frozen: Any, examples: Examples) -> np.ndarray:
    """A hash of policies, prompts and responses, as an array of bytes."""
    texts = (dict(frozen), examples.prompts, examples.responses)
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(texts):
        array = np.asarray(leaf)
        kind = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} "
        found.update(kind.encode() + array.tobytes())
    return np.frombuffer(found.digest(), np.uint8)
