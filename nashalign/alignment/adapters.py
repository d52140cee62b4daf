"""Tasks whose start policy has adapters, so that these alone are trained."""

import dataclasses

from nashalign import policies
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
    task: tasks.Task, adapters: Adapters, seed: int, base_dtype: str | None = None
) -> tasks.Task:
    """Returns a task whose start policy has fresh adapters, which change nothing yet.

    Args:
      task: the task.
      adapters: of what size; a rank of None leaves the task as it is.
      seed: of their first matrices.
      base_dtype: name of the type in which the base is kept; its own by default.

    Raises:
      ValueError: the start policy has adapters already, or none of its projections is
        of the names asked for.
    """
    if adapters.lora is None:
        return task
    key = tasks.stage_key(seed, _STAGE)
    start = policies.adapt(task.start, adapters.lora, key, base_dtype=base_dtype)
    return dataclasses.replace(task, start=start, merge=adapters.merge)
