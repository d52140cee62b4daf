"""The optimizer of policies and judges, and its schedules."""

from typing import Literal

import optax

Schedule = Literal["cosine", "constant"]


def make_optimizer(
    learning_rate: float,
    num_steps: int,
    *,
    schedule: Schedule = "cosine",
) -> optax.GradientTransformation:
    """Returns Adam behind a clipped gradient, with a warm-up of a tenth of the steps.

    Args:
      learning_rate: the peak.
      num_steps: steps of the optimizer in the whole run.
      schedule: what follows the warm-up: a cosine that is down to zero behind the last
        step, or the peak for good. No step has learning rate zero.
    """
    warmup = max(1, num_steps // 10)
    if schedule == "constant":
        rate = optax.linear_schedule(0.0, learning_rate, warmup)
    else:
        rate = optax.warmup_cosine_decay_schedule(
            0.0, learning_rate, warmup, max(num_steps, warmup) + 1
        )
    # Counted from one: an update at learning rate zero would be thrown away.
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(lambda count: rate(count + 1))
    )
