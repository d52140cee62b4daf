"""The optimizer of policies and judges, and its schedules."""

from typing import Literal

import optax

from nashalign.types import Numeric

Schedule = Literal["cosine", "constant"]


def make_optimizer(
    learning_rate: Numeric,
    num_steps: int,
    *,
    schedule: Schedule = "cosine",
) -> optax.GradientTransformation:
    """Returns Adam behind a clipped gradient, with a warm-up of a tenth of the steps.

    Args:
      learning_rate: the peak; it may be traced.
      num_steps: steps of the optimizer in the whole run.
      schedule: what follows the warm-up: a cosine that is down to zero behind the last
        step, or the peak for good. No step has learning rate zero.
    """
    warmup = max(1, num_steps // 10)
    if schedule == "constant":
        share = optax.linear_schedule(0.0, 1.0, warmup)
    else:
        end = max(num_steps, warmup) + 1
        share = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup, end)
    # Counted from one: an update at learning rate zero would be thrown away.
    adam = optax.adam(lambda count: learning_rate * share(count + 1))
    return optax.chain(optax.clip_by_global_norm(1.0), adam)
