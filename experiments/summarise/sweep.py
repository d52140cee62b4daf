"""The sweep of the main job: which values are tried."""

from typing import Any

from experiments.summarise.config import Config
from nashalign import alignment, evaluation

TAUS = {
    "rl": (0.01, 0.02, 0.05, 0.1, 0.2),
    "online_dpo": (0.02, 0.05, 0.1, 0.2, 0.5),
    "online_slic": (0.05, 0.1, 0.2, 0.5, 1.0),
    "online_ipo": (0.005, 0.01, 0.02, 0.04, 0.1),
    "nash_md_pg": (0.005, 0.01, 0.02, 0.05, 0.1),
    "ipo_md": (0.005, 0.01, 0.02, 0.04, 0.1),
}
"""Strengths of the regularisation tried for each method, a decade or more."""

SEEDS = (0, 1, 2)

WIN_RATE_VARIANCE = evaluation.Variance(0.01494**2, 60.0)
"""Variance of a run's win rate over seeds, pooled over the sweep of all six methods.

It is `seed_variance` of the committed `results/sweep.jsonl`, and includes what chance
does to the responses to 128 prompts.
"""


def recorded(config: Config) -> dict[str, Any]:
    """Every setting that the sweep depends on: its own taus and seeds, no others.

    Raises:
      ValueError: a method has no taus to try.
    """
    if missing := [name for name in config.methods if name not in TAUS]:
        raise ValueError(
            f"--sweep has no taus for {missing[0]}, only for {', '.join(TAUS)}."
        )
    record: dict[str, Any] = config.recorded() | {"seeds": SEEDS}
    for name, settings in record["settings"].items():
        del settings["tau"]
        settings["taus"] = TAUS[name]
    return record


def trials(config: Config) -> list[alignment.Trial]:
    """Every method at every tau and seed."""
    settings = {name: config.settings[name] for name in config.methods}
    return alignment.trials(settings, TAUS, SEEDS)
