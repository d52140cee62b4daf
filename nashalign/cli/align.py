"""Align a policy by any method, to any annotator, on prompts of your own.

    nashalign align --policy FOLDER --prompts FILE.jsonl --annotator FILE.py:NAME \\
        --method nash_md_pg --output FOLDER

The annotator is a Python function of text, prefer(prompt, y, z) -> P(y beats z) or
score(prompt, y) -> a reward, or the folder of a learned judge; with --judge it is a
language model, local or behind a server. The method is a row of the table of methods
(`python -m nashalign.algorithms` prints it), or FILE.py:NAME of a row of your own. A
line of the prompts is a JSON object with a `prompt`, and for methods that learn from
given pairs `chosen` and `rejected` (`chosen_score`, `rejected_score`); without pairs,
the start policy writes them and the annotator compares them.

The same command resumes where it was broken off, and with more --training.num-steps it
extends a finished run. The output folder has the policy, the best one on the
validation prompts, logs, rollouts, and the win rate over the start policy on test
prompts that training has not seen.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import tyro

from nashalign import (
    algorithms,
    alignment,
    checks,
    command_line,
    data,
    options,
    python_file,
    terminal,
    training,
)
from nashalign.cli import annotators, devices, prompts

_NAME = "nashalign align"
_EXTENDS = ("training.num_steps", "training.kl_budget")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """What methods on given responses learn from where the prompts have no pairs."""

    num_prompts: int = 512
    """Training prompts that the start policy answers; fewer where there are fewer."""
    num_responses: int = 4
    """Responses to each, all of which are compared with each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A run of `nashalign align`."""

    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of the start policy, with its tokenizer."""
    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with a `prompt` or `messages` each, or also `chosen` and `rejected`;
    or what --format says; or a folder of such files, or a data set that
    data.build_dataset has made of them: its FOLDER, or FOLDER/SPLIT."""
    format: str = "records"
    """How the prompts are written: a published format, such as `hh`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    method: str = tyro.MISSING
    """Row of the table of methods, or FILE.py:NAME of a row of your own."""
    output: pathlib.Path = tyro.MISSING
    """Where everything is left; the same folder again resumes where it stopped."""
    annotator: str | None = None
    """FILE.py:NAME of a function of text, or the folder of a learned judge; needed,
    as a --judge in its place, unless the method learns from given pairs alone."""
    judge: annotators.Judge = annotators.Judge()
    seed: int = 0
    """Of every draw."""
    settings: alignment.Settings = alignment.Settings()
    text: alignment.Text = alignment.Text()
    splits: alignment.Splits = alignment.Splits()
    lora: alignment.Adapters = alignment.Adapters()
    training: alignment.Training = alignment.Training()
    evaluation: alignment.Evaluation = alignment.Evaluation()
    data_set: DataSet = DataSet()
    mesh: devices.Mesh = devices.Mesh()
    wandb: str | None = None
    """Project of Weights and Biases that metrics are sent to as well."""


def main(arguments: Sequence[str]) -> None:
    """Parses the command line and aligns."""
    row = _method(arguments)
    settings = alignment.settings_type(row)() if row else alignment.Settings()
    config = command_line.parse(
        Config, arguments, _NAME, __doc__, Config(settings=settings)
    )
    check(config)
    record = _record(config)
    row = checks.present(row, "--method")
    command_line.in_run(
        config.output,
        record,
        lambda run: _align(config, row, run, record),
        extends=_EXTENDS,
        more=", or raise --training.num-steps to extend it",
    )


def check(config: Config) -> None:
    """Requires settings that a run can be done with.

    Raises:
      ValueError: naming the option, its value, and what it must be.
    """
    options.require_seed(config.seed)
    prompts.check_format(config.format)
    options.require("settings.learning_rate", config.settings.learning_rate)
    for group in ("text", "lora", "training", "evaluation", "data_set", "mesh"):
        own = getattr(config, group)
        at_least = ("num_prompts", "num_validation_prompts")
        options.require_all(own, group, at_least=(*at_least, "num_responses"))
    annotators.check(config)


def _method(arguments: Sequence[str]) -> algorithms.Row | None:
    """The row that a command line asks for, the last time that it does."""
    own = None
    for place, argument in enumerate(arguments):
        option, _, value = argument.partition("=")
        if option == "--method":
            own = value or next(iter(arguments[place + 1 :]), "")
    if own is None:
        return None
    read = algorithms.load_row if python_file.is_reference(own) else algorithms.find
    return read(own)


def _record(config: Config) -> dict:
    """Every setting that results depend on: files are known by their content."""
    record = dataclasses.asdict(config)
    record["policy"] = alignment.folder_fingerprint(config.policy)
    record["prompts"] = data.fingerprint(config.prompts)
    if python_file.is_reference(config.method):
        record["method"] = annotators.reference(config.method)
    record["annotator"] = annotators.record(config)
    for name in ("output", "judge", "mesh", "wandb"):
        del record[name]
    return record


def _align(
    config: Config, row: algorithms.Row, run: training.Run, record: dict
) -> None:
    """Loads, trains, exports, and compares with the start policy."""
    folder = run.folder
    loaded, named = _load(config, record["annotator"], folder)
    task, say = loaded.task, terminal.console().print
    say(", ".join(f"{len(own):,} {split}" for split, own in task.prompts.items()))
    _require_prompts(config, task)
    data_set = _data_set(config, row, loaded, folder)
    measured = config.evaluation
    aligned = alignment.align(
        row,
        task,
        loaded.annotator,
        training=config.training,
        folder=folder / "run",
        seed=config.seed,
        settings=config.settings.own,
        learning_rate=config.settings.learning_rate,
        data_set=data_set,
        validation=alignment.validation(
            task,
            _at_most(measured.num_validation_prompts, task, "validation"),
            config.seed,
        ),
        mesh=config.mesh.make(),
        track=_trackers(config, folder, record),
    )
    task.export(folder / "policy", aligned.params)
    results = ["policy"]
    if task.oracle is not None:
        contestant = alignment.contestant(row, config.settings, aligned)
        alignment.compare(
            task,
            alignment.Panel(name="annotator", judge=task.oracle),
            {row.title: [contestant]},
            dataclasses.replace(
                measured, num_prompts=_at_most(measured.num_prompts, task, "test")
            ),
            seed=config.seed,
            folder=folder / "results",
        )
        results.append("results")
    run.finish(*results, num_steps=aligned.num_steps)
    if named.counts is not None:
        say(f"the judge: {named.counts}")
    say(f"the policy is in {folder / 'policy'}")


def _load(
    config: Config, known: Any, folder: pathlib.Path
) -> tuple[alignment.TextTask, annotators.Named]:
    """The task, with the annotator that the command line names."""
    records = prompts.read(config.prompts, config.format, config.skip_malformed)
    named = annotators.named(config, known, folder, config.policy)
    loaded = alignment.text_task(
        config.policy,
        records,
        named.annotator,
        text=config.text,
        splits=config.splits,
        answers=named.answers,
        shardings=config.mesh.shardings(),
    )
    task = alignment.with_adapters(
        loaded.task, config.lora, config.training, config.seed
    )
    return dataclasses.replace(loaded, task=task), named


def _require_prompts(config: Config, task: alignment.Task) -> None:
    """Requires that every split has the prompts that a run cannot do without."""
    task.require("train", "training.batch-size", config.training.batch_size)
    for split in ("validation", "test"):
        if len(task.prompts[split]) < 2:
            raise ValueError(
                f"the {split} split has {len(task.prompts[split])} prompts, and an "
                f"interval needs two; give more prompts, or raise --splits.{split}."
            )


def _at_most(number: int, task: alignment.Task, split: str) -> int:
    """As many prompts as are asked for, or as there are."""
    return min(number, len(task.prompts[split]))


def _data_set(
    config: Config,
    row: algorithms.Row,
    loaded: alignment.TextTask,
    folder: pathlib.Path,
) -> alignment.DataSet | None:
    """What the method learns from if it learns from given responses."""
    course = row.course(config.training.num_steps, **config.settings.own)
    taught = [own.method for own in course if algorithms.rounds.RESPONSES in own.needs]
    if not taught:
        return None
    imitates = all(map(alignment.examples.learns_from_demonstrations, taught))
    if loaded.has_pairs or (imitates and loaded.has_responses):
        return loaded.data_set()
    if loaded.annotator is None:
        raise ValueError(
            f"{config.method} learns from pairs: give prompts with `chosen` and "
            "`rejected`, or an --annotator that compares what the start policy writes."
        )
    return alignment.examples.sample(
        loaded.task,
        loaded.annotator,
        _at_most(config.data_set.num_prompts, loaded.task, "train"),
        config.data_set.num_responses,
        seed=config.seed,
        folder=folder / "data_set",
    )


def _trackers(
    config: Config, folder: pathlib.Path, record: dict
) -> list[training.Tracker]:
    """Where metrics go besides the log."""
    if config.wandb is None:
        return []
    return [training.wandb_tracker(config.wandb, folder, record)]


command = command_line.guard(main)
