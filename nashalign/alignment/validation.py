"""How a policy does while it is trained: win rate over the start policy, and KL."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nashalign import evaluation, policies
from nashalign.alignment import asking
from nashalign.alignment import task as tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """Some prompts, and what the start policy has written to them.

    Attributes:
      task: the task.
      split: whose prompts they are.
      rows: of the prompts in their split.
      opponent: the start policy's responses.
    """

    task: tasks.Task
    split: str
    rows: np.ndarray
    opponent: tasks.Written

    def measure(
        self, params: policies.Params, seed: int, suffix: Sequence[int] = ()
    ) -> dict[str, float]:
        """Returns a policy's win rate against the start policy, and its KL to it.

        Each has half of its 95% interval over the prompts' clusters beside it. Without
        an oracle there is no win rate.

        Args:
          params: of the policy.
          seed: of what it writes.
          suffix: tokens that it is shown behind each prompt.

        Returns:
          `win_rate`, in [0, 1], and `kl`, nats a response, each with `_half_width`.
        """
        written = self.task.write(
            params, self.split, self.rows, tasks.stage_key(seed, 21), suffix=suffix
        )
        clusters = self.task.clusters(self.split, self.rows)
        divergence = evaluation.kl_to_reference(
            written.log_probs,
            written.reference_log_probs,
            written.responses.mask,
            clusters=clusters,
        )
        found = {
            "kl": float(divergence.mean),
            "kl_half_width": float(divergence.half_width),
        }
        if self.task.oracle is None:
            return found
        won = asking.compare(
            self.task.oracle,
            written.prompts,
            written.responses,
            self.opponent.responses,
        )
        spread = evaluation.mean_interval(won.mean(-1), clusters=clusters)
        return {
            "win_rate": float(won.mean()),
            "win_rate_half_width": float(spread.half_width),
            **found,
        }


def validation(
    task: tasks.Task, num_prompts: int, seed: int, *, split: str = "validation"
) -> Validation:
    """Lets the start policy write its side of a validation.

    Args:
      task: the task.
      num_prompts: prompts on which policies are measured, at least two.
      seed: of the choice of prompts and of the start policy's side.
      split: whose prompts they are.
    """
    rows = task.rows(split, num_prompts, seed)
    key = tasks.stage_key(seed, 3)
    opponent = task.write(task.start.params, split, rows, key)
    return Validation(task=task, split=split, rows=rows, opponent=opponent)
