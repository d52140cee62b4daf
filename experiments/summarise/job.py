"""The stages of the main job: load, fit the judges, align by every method, compare."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments import docstrings
from experiments.summarise import config as configs
from experiments.summarise import paper, sweep
from nashalign import alignment, evaluation, terminal, training

JUDGE = "exact population"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage needs.

    Attributes:
      config: the settings.
      run: the output folder.
      loaded: the task and its functions.
      judges: learned ones, by what methods read.
      data_set: what offline rows learn from.
      validation: what measures policies in training.
    """

    config: configs.Config
    run: training.Run
    loaded: docstrings.Docstrings
    judges: Mapping[str, Any]
    data_set: alignment.DataSet | None
    validation: alignment.Validation

    @property
    def fingerprint(self) -> str:
        """Hashes of data, votes and judges."""
        return alignment.evidence.fingerprint(
            self.loaded.data_set.described(), self.judges, self.run.folder / "judges"
        )

    def align(
        self,
        name: str,
        settings: alignment.Settings,
        seed: int,
        folder: pathlib.Path,
        label: str,
    ) -> alignment.Aligned:
        """Trains one run."""
        return alignment.align(
            name,
            self.loaded.task,
            self.judges,
            settings=settings.arguments,
            learning_rate=settings.learning_rate,
            training=self.config.training,
            data_set=self.data_set,
            validation=self.validation,
            seed=seed,
            folder=folder,
            label=label,
        )


def begin(config: configs.Config, run: training.Run) -> Job:
    """Loads, samples, votes, and fits the judges."""
    loaded = docstrings.load_task(config.policy, config.data, config.text)
    for split, setting, number in config.prompts_needed():
        loaded.require(split, setting, number)
    terminal.console().print(loaded.describe())
    run.require_same("prompts", loaded.task.fingerprint())
    # The policies are compared under the preference model, whatever they learn from.
    read = {"preference"}
    for name in config.methods:
        read |= alignment.rounds.judges_of(name, config.settings[name].arguments)
    folder, seed = run.folder / "judges", config.seed
    judges = alignment.learn_judges(
        loaded.task, loaded.voters, config.judges, read, seed, folder
    )
    data_set = _data_set(config, loaded, judges, folder) if config.offline() else None
    return Job(
        config=config,
        run=run,
        loaded=loaded,
        judges=judges,
        data_set=data_set,
        validation=alignment.validation(
            loaded.task, config.evaluation.num_validation_prompts, seed
        ),
    )


def _data_set(config, loaded, judges, folder) -> alignment.DataSet:
    """What the judges have learnt from, and what the functions' authors wrote."""
    num_voters, seed = config.judges.num_voters, config.seed
    ballot = alignment.votes.ballots(config.judges.num_prompts, 1, num_voters)[0]
    voted = alignment.votes.collect(loaded.task, loaded.voters, ballot, seed, folder)
    return alignment.examples.of_votes(
        voted,
        judges.get("reward"),
        folder,
        demonstrations=loaded.demonstrations(ballot.rows(loaded.task, seed)),
        dimensions=loaded.dimensions(num_voters, seed),
    )


def align_all(job: Job) -> tuple[dict[str, list[alignment.Contestant]], dict]:
    """Trains every run; returns policies and learning curves by title."""
    config, aligned, curves = job.config, {}, {}
    for name in config.methods:
        title = alignment.title(name, config.settings[name].arguments)
        for seed, place in config.runs(name).items():
            label = title if config.seeds == 1 else f"{title}, seed {seed}"
            own = _aligned(job, name, seed, label)
            aligned.setdefault(title, []).append(own)
            if own.diverged is None:
                log = alignment.logs.read(job.run.folder / place)
                curves.setdefault(title, []).extend(log)
                exported = job.run.folder / "policies" / place
                job.loaded.task.export(exported, own.params)
    return aligned, curves


def _aligned(job: Job, name: str, seed: int, label: str) -> alignment.Contestant:
    """Trains one run; one that diverges does not keep the others from their turn."""
    config, folder = job.config, job.run.folder / job.config.runs(name)[seed]
    settings = config.settings[name]
    try:
        found = job.align(name, settings, seed, folder, label)
    except training.TrainingDiverged as error:
        if len(config.methods) * config.seeds == 1:
            raise
        terminal.console().print(f"{label} has diverged: {error}")
        return alignment.Contestant(
            key=name, settings=settings.own, diverged=error.step
        )
    return alignment.contestant(name, settings, found)


def compare(job: Job, aligned: Mapping[str, Sequence], curves: Mapping) -> None:
    """Compares all policies on test prompts, and draws how training went."""
    results = job.run.folder / "results"
    alignment.compare(
        job.loaded.task,
        alignment.Panel(
            name=JUDGE,
            judge=job.loaded.annotator,
            learned=job.judges["preference"],
            kinds=job.loaded.kinds(),
        ),
        aligned,
        job.config.evaluation,
        seed=job.config.seed,
        folder=results,
        pages=job.loaded.pages(
            job.fingerprint, known=sweep.WIN_RATE_VARIANCE, published=paper.TABLE_2
        ),
    )
    if len(curves) < alignment.MANY:
        figure = evaluation.learning_curves_figure(
            curves,
            {
                "win_rate": "win rate over the start policy",
                "kl": "KL to the start policy (nats)",
                "length": "tokens of a response",
            },
        )
        with training.replacing(results / "learning_curves.png") as path:
            evaluation.save_figure(figure, path)


def sweep_taus(job: Job) -> None:
    """Trains every method at every tau and seed."""

    def measure(trial, folder, label):
        chosen = job.config.settings[trial.name]
        settings = dataclasses.replace(chosen, tau=trial.tau)
        found = job.align(trial.name, settings, trial.seed, folder, label)
        return job.validation.measure(found.params, trial.seed, found.suffix)

    alignment.sweep(sweep.trials(job.config), measure, job.run.folder)
