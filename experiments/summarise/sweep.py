"""Win rate against KL for every method, over tau and seeds, on validation prompts."""

import json
import pathlib

from experiments.summarise.align import Aligner
from experiments.summarise.config import Config, Settings
from nashalign import evaluation, training

TAUS = {
    "rl": (0.02, 0.05, 0.1, 0.2, 0.5),
    "online_dpo": (0.05, 0.1, 0.2, 0.5, 1.0),
    "online_slic": (0.05, 0.1, 0.2, 0.5, 1.0),
    "online_ipo": (0.01, 0.02, 0.04, 0.1, 0.2),
    "nash_md_pg": (0.005, 0.01, 0.02, 0.05, 0.1),
    "ipo_md": (0.01, 0.02, 0.04, 0.1, 0.2),
}
"""Strengths of the regularisation tried for each method, a decade or more."""

SEEDS = (0, 1, 2)


def sweep(config: Config, aligner: Aligner, folder: pathlib.Path) -> None:
    """Trains every method at every tau and seed that has no result yet, and draws.

    Args:
      config: the job's settings; methods and training are used.
      aligner: trains and validates.
      folder: `sweep.jsonl` and `sweep.png` are left here, a folder a run beside them.
    """
    results = folder / "sweep.jsonl"
    records = training.read_log(results) if results.exists() else []
    done = {(r["name"], r["tau"], r["seed"]) for r in records}
    runs = [
        (name, tau, seed)
        for seed in SEEDS
        for name in config.methods
        for tau in TAUS[name]
        if (name, tau, seed) not in done
    ]
    with training.progress_bar("sweep", len(runs) + len(done), len(done)) as advance:
        for name, tau, seed in runs:
            chosen = config.settings[name]
            settings = Settings(
                tau=tau, mix=chosen.mix, learning_rate=chosen.learning_rate
            )
            run = folder / f"{name}-tau{tau:g}-seed{seed}"
            params = aligner.align(name, settings, seed, run)
            records.append(
                {
                    "name": name,
                    "method": settings.method(name).title,
                    "tau": tau,
                    "seed": seed,
                    "learning_rate": settings.learning_rate,
                    **aligner.validate(params, seed),
                }
            )
            text = "".join(json.dumps(record) + "\n" for record in records)
            training.write_text(results, text)
            advance(1, f"{name} tau {tau:g} seed {seed}")
    with training.replacing(folder / "sweep.png") as path:
        evaluation.save_figure(evaluation.frontier_figure(records), path)
