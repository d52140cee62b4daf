"""The optimizer of policies and judges, and its schedules."""

from typing import Literal

import optax

Schedule = Literal["cosine", "constant"]


def make_optimizer(
    learning_rate: float,
    num_steps: int,
    *,
    decay_steps: int | None = None,
    schedule: Schedule = "cosine",
) -> optax.GradientTransformation:
    """Returns Adam behind a clipped gradient, with a warm-up of a tenth of the steps.

    Args:
      learning_rate: the peak.
      num_steps: steps of the optimizer in the whole run.
      decay_steps: at which a cosine has come down to zero; `num_steps` by default.
      schedule: what follows the warm-up: a cosine down to zero, or the peak for good.
    """
    warmup = max(1, num_steps // 10)
    if schedule == "constant":
        rate = optax.linear_schedule(0.0, learning_rate, warmup)
    else:
        rate = optax.warmup_cosine_decay_schedule(
            0.0, learning_rate, warmup, decay_steps or num_steps
        )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
