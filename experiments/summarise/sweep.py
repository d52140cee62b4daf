"""Win rate against KL for every method, over tau and seeds, on validation prompts.

The win rate is the exact population's. A tau that is chosen by it has seen the verdict
that the comparison is judged by, on other prompts.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

from experiments.summarise.align import Aligner
from experiments.summarise.config import Config
from nashalign import evaluation, training

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

_DRAWN = {
    "name": str,
    "method": str,
    "tau": int | float,
    "seed": int,
    "win_rate": int | float,
    "kl": int | float,
}


def recorded(config: Config) -> dict:
    """Every setting that the sweep depends on: its own taus and seeds, no others.

    Raises:
      ValueError: a method has no taus to try.
    """
    if missing := [name for name in config.methods if name not in TAUS]:
        raise ValueError(
            f"--sweep has no taus for {missing[0]}, only for {', '.join(TAUS)}."
        )
    record = config.recorded() | {"seeds": SEEDS}
    for name, settings in record["settings"].items():
        del settings["tau"]
        settings["taus"] = TAUS[name]
    return record


def seed_variance(records: Sequence[Mapping]) -> evaluation.Variance | None:
    """Variance of one run's win rate over seeds, pooled over methods and taus.

    Args:
      records: lines of `sweep.jsonl`.

    Returns:
      `Variance`; None where no method and tau has two seeds.
    """
    groups = {}
    for record in records:
        groups.setdefault((record["name"], record["tau"]), []).append(record)
    return evaluation.pooled_variance(
        [[record["win_rate"] for record in own] for own in groups.values()]
    )


def sweep(config: Config, aligner: Aligner, folder: pathlib.Path) -> None:
    """Trains every method at every tau and seed that has no result yet, and draws.

    Args:
      config: the job's settings; methods and training are used.
      aligner: trains and validates.
      folder: `sweep.jsonl` and `sweep.png` are left here, a folder a run beside them.
    """
    results = folder / "sweep.jsonl"
    records = _read(results) if results.exists() else []
    done = {(r["name"], r["tau"], r["seed"]) for r in records}
    runs = [
        (name, tau, seed)
        for seed in SEEDS
        for name in config.methods
        for tau in TAUS[name]
        if (name, tau, seed) not in done
    ]
    total = len(runs) + len(done)
    with training.progress_bar("sweep", total, len(done)) as advance:
        for number, (name, tau, seed) in enumerate(runs, len(done) + 1):
            chosen = config.settings[name]
            settings = dataclasses.replace(chosen, tau=tau)
            run = folder / f"{name}-tau{tau:g}-seed{seed}"
            title = settings.title(name)
            label = f"[{number}/{total}] {title} tau {tau:g} seed {seed}"
            params = aligner.align(name, settings, seed, run, label)
            records.append(
                {
                    "name": name,
                    "method": title,
                    "tau": tau,
                    "mix": settings.own.get("mix", 0.0),
                    "seed": seed,
                    "learning_rate": settings.learning_rate,
                    **aligner.validate(params, seed),
                }
            )
            text = "".join(json.dumps(record) + "\n" for record in records)
            training.write_text(results, text)
            advance(1, "")
    with training.replacing(folder / "sweep.png") as path:
        evaluation.save_figure(evaluation.frontier_figure(records), path)


def _read(path: pathlib.Path) -> list[dict]:
    """The lines of `sweep.jsonl`, each with all that is drawn of a run."""
    records = training.read_log(path)
    for number, record in enumerate(records, 1):
        for name, kind in _DRAWN.items():
            if not isinstance(record.get(name), kind):
                raise training.damaged(
                    path,
                    f"{name} of line {number} is {record.get(name)!r:.60}",
                    "Delete it; the runs beside it are read again",
                )
    return records
