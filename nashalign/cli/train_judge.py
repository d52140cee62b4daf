"""Train a judge from pairs: which of two responses was preferred.

    nashalign train-judge --policy FOLDER --prompts FILE.jsonl --output FOLDER

A line of the prompts is a JSON object with a `prompt`, `chosen` and `rejected`, or of
the published format that --format names, and votes count where it has them. The judge
begins with the policy, whose tokens it reads: a pairwise preference model, which reads
both responses and may be as intransitive as the votes, or a Bradley-Terry reward model.
OUTPUT/judge is an annotator, as in `nashalign align --annotator OUTPUT/judge`; accuracy
and calibration on pairs whose prompts it has not seen are in OUTPUT/results.

The same command resumes where it was broken off.
"""

import dataclasses
import functools
import json
import pathlib
from typing import Any, Literal

import tyro

from nashalign import (
    alignment,
    command_line,
    data,
    evaluation,
    options,
    policies,
    preferences,
    terminal,
    training,
    writing,
)
from nashalign.cli import devices, prompts

_NAME = "nashalign train-judge"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A run of `nashalign train-judge`."""

    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of the policy that the judge begins with, and that writes
    what it is to judge: it reads the tokens of this folder's tokenizer."""
    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with a `prompt` or `messages`, `chosen` and `rejected` each; or what
    --format says; or a folder of such files, or a data set that data.build_dataset has
    made of them: its FOLDER, or FOLDER/SPLIT."""
    format: str = "records"
    """How the pairs are written: a published format, such as `hh`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    output: pathlib.Path = tyro.MISSING
    """Where everything is left; the same folder again resumes where it stopped."""
    kind: Literal["preference", "reward"] = "preference"
    """A model that reads both responses, or one that gives each a reward."""
    seed: int = 0
    """Of every draw."""
    text: alignment.Text = alignment.Text(response_length=128)
    splits: alignment.Splits = alignment.Splits(validation=0.0)
    training: alignment.JudgeTraining = alignment.JudgeTraining()
    committee: alignment.Committee = alignment.Committee()
    lora: alignment.Adapters = alignment.Adapters()
    mesh: devices.Mesh = devices.Mesh()


def main(config: Config) -> None:
    """Trains, writes the judge's folder, and measures it on test prompts."""
    check(config)
    record = dataclasses.asdict(config) | {
        "policy": alignment.folder_fingerprint(config.policy),
        "prompts": data.fingerprint(config.prompts),
    }
    for name in ("output", "mesh"):
        del record[name]
    command_line.in_run(config.output, record, functools.partial(_train, config))


def check(config: Config) -> None:
    """Requires settings that a judge can be trained with.

    Raises:
      ValueError: naming the option, its value, and what it must be.
    """
    options.require_seed(config.seed, max(config.committee.size, 1))
    prompts.check_format(config.format)
    for group in ("text", "training", "committee", "lora", "mesh"):
        options.require_all(getattr(config, group), group)
    config.committee.check(config.kind)
    if config.lora.merge:
        raise ValueError(
            "the adapters of a judge are always merged into it; leave --lora.merge out."
        )


def _train(config: Config, run: training.Run) -> None:
    """Loads, trains, writes and measures."""
    say = terminal.console().print
    pairs = alignment.text_task(
        config.policy,
        prompts.read(config.prompts, config.format, config.skip_malformed),
        text=config.text,
        splits=config.splits,
        shardings=config.mesh.shardings(),
    )
    # What no folder could hold is not trained.
    policies.require_scorer(pairs.task.start.config)
    _require_pairs(config, pairs)
    say(", ".join(f"{len(own):,} {name}" for name, own in pairs.task.prompts.items()))
    judges = alignment.train_judges(
        pairs,
        config.kind,
        config.training,
        num_judges=config.committee.size,
        lora=config.lora,
        folder=run.folder / "run",
        seed=config.seed,
        mesh=config.mesh.make(),
    )
    _write(config, run.folder / "judge", judges, pairs.task.start.config)
    judge = preferences.load_judge(run.folder / "judge", config.policy)
    asked = {f"judge {number}": own for number, own in enumerate(judges, 1)}
    asked = {"judge": judge} | (asked if len(judges) > 1 else {})
    measured = {
        name: alignment.measure_judge(own, pairs) for name, own in asked.items()
    }
    _report(run.folder / "results", measured, pairs)
    run.finish("judge", "results")
    say(f"the judge is in {run.folder / 'judge'}")


def _require_pairs(config: Config, pairs: alignment.TextTask) -> None:
    """Requires pairs, and enough of them to learn from and to be measured on."""
    if not pairs.has_pairs:
        raise ValueError(
            f"{config.prompts}: a judge learns from pairs; give every prompt `chosen` "
            "and `rejected`."
        )
    size = config.training.batch_size
    pairs.task.require("train", "training.batch-size", max(size, 2))
    own = pairs.task.prompts["test"]
    if len(set(own.clusters)) < 2:
        raise ValueError(
            f"the test split has {len(set(own.clusters))} prompts, and an interval "
            "needs two; give more prompts, or raise --splits.test."
        )


def _write(config: Config, folder: pathlib.Path, judges, shape) -> None:
    """The folder that is an annotator: of one judge, their average, or all of them."""
    if len(judges) == 1 or config.committee.combine == "average_weights":
        judge: Any = preferences.average_weights(judges)
        preferences.save_judge(folder, judge, shape, config.policy)
    else:
        preferences.save_ensemble(
            folder, judges, config.committee.combine, shape, config.policy
        )


def _report(folder: pathlib.Path, measured, pairs: alignment.TextTask) -> None:
    """Says what the judges are worth, and leaves it as numbers and as a figure."""
    say = terminal.console().print
    number = len(pairs.task.prompts["test"])
    for name, found in measured.items():
        say(
            f"{name}: right on {_percent(found.accuracy)} of {number:,} test pairs "
            f"(a coin 50%); confidence less accuracy "
            f"{_percent(found.overconfidence, '+')}; calibration error "
            f"{found.error:.3f} "
            f"[{found.error_range[0]:.3f}, {found.error_range[1]:.3f}]",
            markup=False,
        )
    folder.mkdir(parents=True, exist_ok=True)
    report = {name: dataclasses.asdict(own) for name, own in measured.items()}
    training.write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    figure = evaluation.reliability_figure(
        measured["judge"], title=f"{number:,} pairs of test prompts, 95% intervals"
    )
    with writing.replacing(folder / "reliability.png") as partial:
        evaluation.save_figure(figure, partial)


def _percent(found: evaluation.Interval, sign: str = "") -> str:
    """A share with half of its interval."""
    return f"{found.mean:{sign}.1%} ± {found.half_width:.1%}"


command = command_line.command(main, Config, name=_NAME, about=__doc__)
