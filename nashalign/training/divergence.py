"""What is left when numbers are no longer finite: the step, the batch, the way back."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import writing

PyTree = Any


class TrainingDiverged(ArithmeticError):
    """A metric or the state is no longer finite.

    Attributes:
      what: which number is not finite.
      step: the step, counted from 1, whose metrics say so.
      last_good: the step of the last checkpoint, which holds neither NaN nor plus
        infinity; None if there is none.
      batch: the file that holds the step's batch, and its record if there is one.
    """

    def __init__(
        self, what: str, step: int, last_good: int | None, batch: pathlib.Path
    ):
        """Words where to look."""
        self.what, self.step = what, step
        self.last_good, self.batch = last_good, batch
        good = "there is none" if last_good is None else f"step {last_good}"
        super().__init__(
            f"{what} at step {step}; its batch and record are in {batch}. Last good "
            f"checkpoint: {good}. If the numbers there are good, a smaller "
            "learning_rate, in a new folder, is the first thing to try"
        )

    def __reduce__(self):
        """Is pickled by what it was made of, and so comes whole from a process."""
        return type(self), (self.what, self.step, self.last_good, self.batch)


def is_broken(state: PyTree) -> bool:
    """Returns whether an array of floats in the state holds NaN or plus infinity.

    Minus infinity is let pass: it may be a masked logit.

    Args:
      state: a pytree of arrays.
    """
    leaves = jax.tree.leaves(state)
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return bool(floats) and bool(_any_broken(floats))


def save_batch(path: pathlib.Path, batch: PyTree) -> None:
    """Writes the arrays of a batch to an npz file, by the names of their paths.

    Args:
      path: where to write, ending in `.npz`.
      batch: a pytree of arrays.

    Raises:
      OSError: if it cannot be written.
    """
    arrays = {
        jax.tree_util.keystr(where, simple=True, separator=".") or "batch": leaf
        for where, leaf in jax.tree_util.tree_leaves_with_path(batch)
    }
    with writing.replacing(path) as temporary:
        np.savez(temporary, **jax.device_get(arrays))


@jax.jit
def _any_broken(leaves: list[jax.Array]) -> jax.Array:
    """Whether one of the arrays holds NaN or plus infinity."""
    broken = [jnp.any(jnp.isnan(leaf) | jnp.isposinf(leaf)) for leaf in leaves]
    return jnp.any(jnp.stack(broken))
