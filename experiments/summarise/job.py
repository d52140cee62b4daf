"""The stages of the main job: load, fit the judges, align by every method, compare."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments import docstrings
from experiments.summarise import paper, sweep
from experiments.summarise.config import Config
from nashalign import alignment, terminal, training

JUDGE = "exact population"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage needs: settings, folder, task, judges, and what runs share."""

    config: Config
    run: training.Run
    loaded: docstrings.Docstrings
    judges: Mapping[str, Any]
    bench: alignment.Bench

    @property
    def fingerprint(self) -> str:
        """Hashes of data, votes and judges."""
        described, folder = self.loaded.data_set.described(), self.run.folder
        return alignment.evidence.fingerprint(described, self.judges, folder / "judges")


def begin(config: Config, run: training.Run) -> Job:
    """Loads, samples, votes, and fits the judges."""
    loaded = _load(config)
    for split, setting, number in config.prompts_needed():
        loaded.require(split, setting, number)
    terminal.console().print(loaded.describe())
    run.require_same("prompts", loaded.task.fingerprint())
    judges = alignment.learn_judges(
        loaded.task,
        loaded.voters,
        config.judges,
        _read(config),
        config.seed,
        run.folder / "judges",
        functools.partial(_task_and_voters, config),
        config.processes,
    )
    bench = _bench(config, loaded, judges, run.folder)
    return Job(config=config, run=run, loaded=loaded, judges=judges, bench=bench)


def _load(config: Config) -> docstrings.Docstrings:
    """The task."""
    return docstrings.load_task(config.policy, config.data, config.text)


def _read(config: Config) -> set[str]:
    """Kinds of judges that are read by somebody."""
    # The policies are compared under the preference model, whatever they learn from.
    return {"preference"}.union(*map(config.needs, config.methods))


def _task_and_voters(config: Config):
    """What judges are fitted with, in a process of their own."""
    loaded = _load(config)
    return loaded.task, loaded.voters


def _make_bench(config: Config, folder: pathlib.Path) -> alignment.Bench:
    """The bench in a process of its own, when the judges have been fitted."""
    loaded = _load(config)
    judges = alignment.read_judges(
        loaded.task,
        loaded.voters,
        config.judges,
        _read(config),
        config.seed,
        folder / "judges",
    )
    return _bench(config, loaded, judges, folder)


def _bench(config, loaded, judges, folder) -> alignment.Bench:
    """What all runs share."""
    seed = config.seed
    task = alignment.with_adapters(loaded.task, config.lora, config.training, seed)
    looks = config.evaluation.num_validation_prompts
    return alignment.Bench(
        task=task,
        annotators=judges,
        data_set=_data_set(config, loaded, judges, folder / "judges"),
        validation=alignment.validation(task, looks, seed),
        training=config.training,
    )


def _data_set(config, loaded, judges, folder) -> alignment.DataSet | None:
    """What the judges have learnt from, and what the functions' authors wrote."""
    if not config.offline():
        return None
    num_voters, seed = config.judges.num_voters, config.seed
    ballot = alignment.votes.ballots(config.judges.num_prompts, 1, num_voters)[0]
    return alignment.examples.of_votes(
        alignment.votes.collect(loaded.task, loaded.voters, ballot, seed, folder),
        judges.get("reward"),
        folder,
        demonstrations=loaded.demonstrations(ballot.rows(loaded.task, seed)),
        dimensions=loaded.dimensions(num_voters, seed),
    )


def align_and_compare(job: Job) -> None:
    """Trains every run, and compares all policies on test prompts."""
    loaded, config, folder = job.loaded, job.config, job.run.folder
    again = functools.partial(_make_bench, config, folder)
    aligned, curves = alignment.align_all(job.bench, config, folder, again)
    panel = alignment.Panel(
        name=JUDGE,
        judge=loaded.annotator,
        learned=job.judges["preference"],
        kinds=loaded.kinds(),
    )
    pages = loaded.pages(
        job.fingerprint, known=sweep.WIN_RATE_VARIANCE, published=paper.TABLE_2
    )
    alignment.compare(
        job.bench.task,
        panel,
        aligned,
        config.evaluation,
        seed=config.seed,
        folder=folder / "results",
        curves=curves,
        pages=pages,
    )


def sweep_taus(job: Job) -> None:
    """Trains every method at every tau and seed."""

    def measure(trial, folder, label):
        chosen = job.config.settings[trial.name]
        settings = dataclasses.replace(chosen, tau=trial.tau)
        found = job.bench.align(trial.name, settings, trial.seed, folder, label)
        return job.bench.validation.measure(found.params, trial.seed, found.suffix)

    folder = job.run.folder
    alignment.sweep(sweep.trials(job.config), measure, folder)
    training.write_text(folder / "fingerprint.txt", job.fingerprint + "\n")
    terminal.console().print(job.fingerprint, markup=False)
