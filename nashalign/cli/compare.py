"""Compare policies, or files of their answers, on prompts, by any annotator.

    nashalign compare POLICY_FOLDER ANSWERS.jsonl NAME=PATH ... --prompts FILE.jsonl \\
        --annotator FILE.py:NAME --output FOLDER

A contestant is the folder of a policy of any family, or of adapters, or a file of
answers as `nashalign generate` writes them; policies need not have one tokenizer. The
annotator is a Python function of text, prefer(prompt, y, z) -> P(y beats z) or
score(prompt, y) -> a reward, asked in both orders, or the folder of a learned judge,
which reads the texts with its own tokenizer.

The output folder has the win rates with intervals over prompts, also at equal lengths,
ratings, the game among the policies, and a page of answers side by side. Answers of
policies and of the annotator are kept as they come: the same command resumes where it
was broken off, and asks nobody twice.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import tyro

from nashalign import (
    alignment,
    command_line,
    data,
    options,
    preferences,
    terminal,
    training,
)
from nashalign.cli import annotators, contestants, prompts

_NAME = "nashalign compare"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(alignment.Drawing):
    """A run of `nashalign compare`."""

    policies: tyro.conf.Positional[tuple[str, ...]] = ()
    """Who is compared: folders of policies and files of answers, each PATH or
    NAME=PATH."""
    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with a `prompt` or `messages` each, or what --format says; or a folder
    of such files, or a data set that data.build_dataset has made of them: its FOLDER,
    or FOLDER/SPLIT."""
    format: str = "records"
    """How the prompts are written: a published format, such as `hh`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    annotator: str | None = None
    """FILE.py:NAME of a function of text, or the folder of a learned judge."""
    judge: annotators.Judge = annotators.Judge()
    output: pathlib.Path = tyro.MISSING
    """Where everything is left; the same folder again resumes where it stopped."""
    baseline: str | None = None
    """Name of the policy that win rates are against; by default the first one."""
    both_orders: bool = True
    """Whether P(y beats z) is the mean of both orders in which the two can be shown."""
    cluster: str | None = None
    """Field of the prompts; those with one value are drawn together by the bootstrap,
    such as those of one source. By default each prompt by itself."""
    num_samples: int = 10
    """Prompts shown with every policy's answer."""
    text: alignment.Text = alignment.Text()


def main(config: Config) -> None:
    """Lets every policy answer, asks the annotator, and writes what comes of it.

    Raises:
      ValueError: a setting is out of its range, a path leads nowhere, or a file of
        answers lacks a prompt.
    """
    config.require()
    options.require("num_samples", config.num_samples)
    prompts.check_format(config.format)
    annotators.check(config, needed=True)
    found = contestants.parse(config.policies)
    baseline = _baseline(config, found)
    records = _records(config)
    clusters = _clusters(config, records)
    given = {
        own.name: contestants.read_answers(own.path, records, config.num_responses)
        for own in found
        if not own.is_policy
    }
    record = _record(config, found, baseline)

    def work(run):
        judge = annotators.of_texts(
            config,
            record["annotator"],
            run.folder,
            records,
            config.text,
            size=config.batch_size,
        )
        for own in found:
            if own.is_policy:
                given[own.name] = _answers(config, own, records, run.folder)
        contest = alignment.TextContest(
            prompts=[record.prompt for record in records],
            answers={own.name: given[own.name] for own in found},
            clusters=clusters,
        )
        _compare(config, contest, judge, baseline, run)

    command_line.in_run(config.output, record, work)


def _baseline(config: Config, found: Sequence[contestants.Contestant]) -> str:
    """The name of the policy that win rates are against."""
    names = [own.name for own in found]
    if config.baseline is not None and config.baseline not in names:
        raise ValueError(
            f"--baseline is {config.baseline!r}; it must be one of {', '.join(names)}."
        )
    return names[0] if config.baseline is None else config.baseline


def _records(config: Config) -> list[data.Record]:
    """The prompts, each text once."""
    path = config.prompts
    every = prompts.read(path, config.format, config.skip_malformed)
    records = list({record.prompt: record for record in reversed(every)}.values())[::-1]
    if len(records) < len(every):
        terminal.console().print(
            f"{path}: {len(every) - len(records)} prompts are there before, and are "
            "left out"
        )
    if len(records) < 2:
        raise ValueError(f"{path} has {len(records)} prompt; an interval needs two.")
    return records


def _clusters(config: Config, records: Sequence[data.Record]) -> list[str] | None:
    """The cluster of each prompt, as a field says; None where none is named."""
    if config.cluster is None:
        return None
    for number, record in enumerate(records, 1):
        if config.cluster not in record.others:
            raise ValueError(
                f"--cluster is {config.cluster!r}, and prompt {number} of "
                f"{config.prompts}, {record.prompt!r:.60}, has no such field."
            )
    found = [str(record.others[config.cluster]) for record in records]
    if len(set(found)) < 2:
        raise ValueError(
            f"--cluster is {config.cluster!r}, which is {found[0]!r:.60} of every "
            "prompt; an interval over clusters needs two."
        )
    return found


def _record(
    config: Config, found: Sequence[contestants.Contestant], baseline: str
) -> dict:
    """Every setting that results depend on: files are known by their content."""
    record = dataclasses.asdict(config)
    record["policies"] = contestants.fingerprints(found)
    record["prompts"] = data.fingerprint(config.prompts)
    record["annotator"] = annotators.record(config)
    record["baseline"] = baseline
    for name in ("output", "batch_size", "judge"):
        del record[name]
    return record


def _answers(
    config: Config,
    own: contestants.Contestant,
    records: Sequence[data.Record],
    folder: pathlib.Path,
) -> list[list[str]]:
    """What a policy answers to every prompt, in the order of the prompts."""
    path = folder / "answers" / f"{own.name}.jsonl"
    drawing = dataclasses.replace(config, seed=own.seed(config.seed))
    found = alignment.kept_answers(
        path, own.path, records, config.text, drawing, name=f"answers of {own.name}"
    )
    for place, record in enumerate(records):
        if place not in found:
            raise ValueError(
                f"{own.path} has not answered {record.prompt!r:.60}, which is too long "
                "for it; keep a part of such prompts with --text.too-long."
            )
    return [found[place] for place in range(len(records))]


def _compare(
    config: Config,
    contest: alignment.TextContest,
    judge: preferences.TextPreference | preferences.TextReward,
    baseline: str,
    run: training.Run,
) -> None:
    """Asks, and writes the results."""
    who = f"annotator {annotators.title(config)}"
    verdicts = alignment.judge_texts(
        contest, judge, both_orders=config.both_orders, name=f"{who} compares"
    )
    results = run.folder / "results"
    alignment.write_contest(
        results,
        contest,
        verdicts,
        judge=who,
        baseline=baseline,
        num_samples=config.num_samples,
        seed=config.seed,
    )
    run.finish("results")
    terminal.console().print(f"samples to read are in {results / 'samples.html'}")


command = command_line.command(main, Config, name=_NAME, about=__doc__)
