"""Tasks whose start policy has adapters, so that these alone are trained."""

import dataclasses

import jax

from nashalign import policies
from nashalign.alignment import runs
from nashalign.alignment import task as tasks

_STAGE = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adapters:
    """Low-rank adapters, in the place of whole policies."""

    rank: int | None = None
    """Of the two matrices beside each kernel; by default there are none, and all
    parameters are trained."""
    alpha: float = 16.0
    """What their product is multiplied by, over the rank."""
    targets: tuple[str, ...] = ()
    """Names of the projections that have one, such as q_proj; by default all of every
    layer."""
    merge: bool = False
    """Whether policies are written whole, with the adapters added to their kernels;
    else as adapters beside the start policy, in PEFT's format."""

    @property
    def lora(self) -> policies.Lora | None:
        """Rank, scale and places, if there are any.

        Raises:
          ValueError: the rank or alpha is not positive.
        """
        if self.rank is None:
            return None
        return policies.Lora(
            rank=self.rank, alpha=self.alpha, targets=self.targets or None
        )


def with_adapters(
    task: tasks.Task, adapters: Adapters, training: runs.Training, seed: int
) -> tasks.Task:
    """Returns a task whose start policy has fresh adapters, which change nothing yet.

    Their base is kept in the type of frozen policies. One that has adapters already
    keeps those, where no others are asked for.

    Args:
      task: the task.
      adapters: of what size, if any.
      training: says what frozen policies are kept in.
      seed: of the adapters' first matrices.

    Raises:
      ValueError: others are asked for than the start policy has, none of its
        projections is of a name asked for, or settings would have no effect.
    """
    if adapters.lora is not None:
        dtype = training.memory_on(jax.default_backend()).frozen_dtype
        key = tasks.stage_key(seed, _STAGE)
        start = policies.adapt(task.start, adapters.lora, key, base_dtype=dtype)
        task = dataclasses.replace(task, start=start)
    elif dataclasses.replace(adapters, merge=False) != Adapters():
        raise ValueError(
            "--lora.alpha and --lora.targets say nothing without --lora.rank; give the "
            "rank as well, or leave them out."
        )
    if adapters.merge and task.start.lora is None:
        raise ValueError(
            "--lora.merge has no adapters to merge; give --lora.rank, or leave it out."
        )
    return dataclasses.replace(task, merge=adapters.merge)
