"""Win rate against KL for every method, over values of a setting and over seeds.

A value that is chosen by the win rate on validation prompts has seen the judge's
verdict on other prompts than those of the comparison.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nashalign import algorithms, evaluation, terminal, training, writing
from nashalign.alignment.settings import Settings

_DRAWN = {
    "name": str,
    "method": str,
    "tau": int | float,
    "seed": int,
    "win_rate": int | float,
    "kl": int | float,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep.

    Attributes:
      name: of the method.
      title: what papers call it.
      tau: strength of its regularisation.
      seed: of its draws.
      others: what else its line in the results holds.
    """

    name: str
    title: str
    tau: float
    seed: int
    others: Mapping[str, float] = dataclasses.field(default_factory=dict)


def trials(
    settings: Mapping[str, Settings],
    taus: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
) -> list[Trial]:
    """Returns a trial for every method, tau and seed.

    Args:
      settings: of each method.
      taus: of each method.
      seeds: the same for all; all trials of the first come first.
    """
    return [
        Trial(
            name=name,
            title=algorithms.find(name).title,
            tau=tau,
            seed=seed,
            others={
                "mix": own.own.get("mix", 0.0),
                "learning_rate": own.learning_rate,
            },
        )
        for seed in seeds
        for name, own in settings.items()
        for tau in taus[name]
    ]


def sweep(
    trials: Sequence[Trial],
    measure: Callable[[Trial, pathlib.Path, str], Mapping[str, float]],
    folder: pathlib.Path,
) -> None:
    """Makes every trial that has no result yet, and draws.

    Args:
      trials: in order.
      measure: `(trial, folder, label) -> numbers`, trains and measures one, its
        `win_rate` and `kl` among them.
      folder: `sweep.jsonl` and `sweep.png` are left here, a folder a run beside them.
    """
    results = folder / "sweep.jsonl"
    records = _read(results) if results.exists() else []
    done = {(r["name"], r["tau"], r["seed"]) for r in records}
    left = [t for t in trials if (t.name, t.tau, t.seed) not in done]
    total = len(left) + len(done)
    with terminal.progress_bar("sweep", total, len(done)) as advance:
        for number, trial in enumerate(left, len(done) + 1):
            place = folder / f"{trial.name}-tau{trial.tau:g}-seed{trial.seed}"
            label = f"[{number}/{total}] {trial.title} tau {trial.tau:g}"
            measured = measure(trial, place, f"{label} seed {trial.seed}")
            records.append(
                {
                    "name": trial.name,
                    "method": trial.title,
                    "tau": trial.tau,
                    "seed": trial.seed,
                    **trial.others,
                    **measured,
                }
            )
            text = "".join(json.dumps(record) + "\n" for record in records)
            training.write_text(results, text)
            advance(1, "")
    with writing.replacing(folder / "sweep.png") as path:
        evaluation.save_figure(evaluation.frontier_figure(records), path)


def seed_variance(records: Sequence[Mapping]) -> evaluation.Variance | None:
    """Returns the variance of one run's win rate over seeds, pooled over trials.

    Args:
      records: lines of `sweep.jsonl`.

    Returns:
      `Variance`; None where no method and tau has two seeds.
    """
    groups = {}
    for record in records:
        groups.setdefault((record["name"], record["tau"]), []).append(record)
    return evaluation.pooled_variance(
        [np.array([record["win_rate"] for record in own]) for own in groups.values()]
    )


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
