"""What the log of rollouts holds of a step."""

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import scipy.stats

from nashalign.alignment import task as tasks


def lines(task: tasks.Task, step: int, batch, groups) -> Iterable[dict]:
    """Yields what a step sampled and what was said of it, a line for each prompt.

    Args:
      task: shows examples, and reads responses.
      step: number of updates done.
      batch: what was learnt from.
      groups: of the step, as numpy arrays.
    """
    del step, batch
    frozen = groups.frozen_log_probs
    for index, texts in enumerate(task.texts(groups.responses)):
        line = {
            "id": int(groups.prompts.ids[index]),
            **task.show(int(groups.prompts.ids[index])),
            "responses": texts,
            "truncated": groups.responses.truncated[index].tolist(),
        }
        if "reference" in frozen:
            line["reference_log_probs"] = frozen["reference"][index].sum(-1).tolist()
        if groups.preference is not None:
            line["preference"] = groups.preference[index].tolist()
        if groups.rewards is not None:
            line["rewards"] = groups.rewards[index].tolist()
        yield line


def length_half_width(mask: jax.Array) -> dict[str, jax.Array]:
    """Returns half of the 95% interval of a batch's mean length, if it has a spread.

    Args:
      mask: `[B, N, T]` of the responses to `B` prompts.
    """
    lengths = jnp.mean(jnp.sum(mask, -1), -1)
    if len(lengths) < 2:
        return {}
    quantile = float(scipy.stats.t.ppf(0.975, len(lengths) - 1))
    error = jnp.std(lengths, ddof=1) / math.sqrt(len(lengths))
    return {"length_half_width": quantile * error}
