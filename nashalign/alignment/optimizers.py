"""The optimizer of policies and judges, and its schedules."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import optax
from optax import contrib

from nashalign.types import Numeric

Schedule = Literal["cosine", "constant"]
Rule = Literal["adam", "adamw", "adafactor", "muon", "sgd"]

# Step -> learning rate.
Rate = Callable[[Any], Any]


def make_optimizer(
    learning_rate: Numeric,
    num_steps: int,
    *,
    schedule: Schedule = "cosine",
    rule: Rule = "adam",
) -> optax.GradientTransformation:
    """Returns a rule behind a clipped gradient, with a warm-up of a tenth of the steps.

    Args:
      learning_rate: the peak; it may be traced.
      num_steps: steps of the optimizer in the whole run.
      schedule: what follows the warm-up: a cosine that is down to zero behind the last
        step, or the peak for good. No step has learning rate zero.
      rule: Adam; AdamW, whose steps also take a hundredth of their rate from every
        parameter; Adafactor, whose memory is that of rows and columns and whose rate is
        relative to each array's own size; Muon, which orthogonalises the steps of the
        layers' matrices, scaled to the size of Adam's, and is Adam with Nesterov's
        momentum for all else; or a plain gradient step.
    """
    warmup = max(1, num_steps // 10)
    if schedule == "constant":
        share = optax.linear_schedule(0.0, 1.0, warmup)
    else:
        end = max(num_steps, warmup) + 1
        share = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup, end)
    # Counted from one: an update at learning rate zero would be thrown away.
    moved = _RULES[rule](lambda count: learning_rate * share(count + 1))
    return optax.chain(optax.clip_by_global_norm(1.0), moved)


def _adamw(rate: Rate) -> optax.GradientTransformation:
    """Loshchilov and Hutter 2019 (arXiv:1711.05101), with the decay usual for it."""
    return optax.adamw(rate, weight_decay=0.01)


def _muon(rate: Rate) -> optax.GradientTransformation:
    """Jordan et al. 2024, scaled as in Liu et al. 2025 (arXiv:2502.16982)."""
    return contrib.muon(
        rate, muon_weight_dimension_numbers=_matrices, consistent_rms=0.2
    )


def _matrices(params):
    """Where the matrices of stacked layers have their inputs and outputs.

    Norms and biases of a stack have two axes; embeddings and the output matrix, which
    are no layer's, are left to Adam, as Muon's authors do.
    """
    found = contrib.MuonDimensionNumbers(reduction_axis=1, output_axis=2)
    return jax.tree.map(lambda leaf: found if leaf.ndim == 3 else None, params)


_RULES: Mapping[str, Callable[..., optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": _adamw,
    "adafactor": optax.adafactor,
    "muon": _muon,
    "sgd": optax.sgd,
}
