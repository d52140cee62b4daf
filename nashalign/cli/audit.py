"""Audit a judge: what it goes by besides the texts, and whether it agrees with people.

    nashalign audit --prompts PAIRS.jsonl --output FOLDER --judge.template helpful \\
        --judge.folder FOLDER

The judge is a function of text or the folder of a learned one (--annotator), or a
language model (--judge), as in `nashalign align`. It is asked about every pair in both
orders: does the place of a response decide, or its length; does it agree with itself,
and with the people who have voted (`--format pandalm`, `llmbar`, ...); does it know how
often it is right; do answers to one prompt beat each other in a circle? All that with
95% intervals over prompts, as a table and a figure.

Answers are kept as they come: the same command resumes where it was broken off.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro

from nashalign import (
    alignment,
    command_line,
    data,
    evaluation,
    options,
    terminal,
    training,
    writing,
)
from nashalign.cli import annotators, prompts

_NAME = "nashalign audit"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A run of `nashalign audit`."""

    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with `prompt` or `messages`, `chosen` and `rejected` each, or pairs of
    what --format says; or a folder of such files, or a data set that
    data.build_dataset has made of them: its FOLDER, or FOLDER/SPLIT."""
    format: str = "records"
    """How the pairs are written: a published format, such as `pandalm`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    output: pathlib.Path = tyro.MISSING
    """Where everything is left; the same folder again resumes where it stopped."""
    annotator: str | None = None
    """FILE.py:NAME of a function of text, or the folder of a learned judge."""
    judge: annotators.Judge = annotators.Judge()
    num_pairs: int | None = None
    """Pairs that it is asked about, drawn by the seed; all by default."""
    circles: bool = True
    """Whether it is asked about every two responses to a prompt that has three or
    more."""
    seed: int = 0
    """Of the draw of pairs."""
    batch_size: int = 32
    """Questions that a learned judge reads at once."""
    text: alignment.Text = alignment.Text()


def main(config: Config) -> None:
    """Asks, and writes what comes of it."""
    options.require_seed(config.seed)
    options.require("batch_size", config.batch_size)
    if config.num_pairs is not None:
        options.require("num_pairs", config.num_pairs, at_least=2)
    prompts.check_format(config.format)
    annotators.check(config, needed=True)
    record = dataclasses.asdict(config) | {
        "prompts": data.fingerprint(config.prompts),
        "annotator": annotators.record(config),
    }
    for name in ("output", "judge", "batch_size"):
        del record[name]
    records = _drawn(config)
    command_line.in_run(
        config.output,
        record,
        functools.partial(_audit, config, record["annotator"], records),
    )


def _audit(
    config: Config, known: Any, records: Sequence[data.Record], run: training.Run
) -> None:
    """Asks about all pairs, and writes the results."""
    judge = annotators.of_texts(
        config,
        known,
        run.folder,
        records,
        config.text,
        size=config.batch_size,
        one_order=True,
    )
    found, orders = alignment.audit(judge, records, circles=config.circles)
    _write(config, run.folder / "results", found, orders)
    run.finish("results")


def _drawn(config: Config) -> list[data.Record]:
    """The pairs that the judge is asked about, in the file's order."""
    path = config.prompts
    records = prompts.read(path, config.format, config.skip_malformed)
    if config.num_pairs is None:
        return records
    if config.num_pairs > len(records):
        raise ValueError(
            f"--num-pairs is {config.num_pairs}, and {path} has {len(records)}; leave "
            "it out to take all."
        )
    rng = np.random.default_rng(config.seed)
    rows = np.sort(rng.permutation(len(records))[: config.num_pairs])
    return [records[row] for row in rows]


def _write(
    config: Config,
    folder: pathlib.Path,
    found: evaluation.Audit,
    orders: evaluation.Orders,
) -> None:
    """The table, the numbers, what the judge has said, and the figure."""
    head = f"{annotators.title(config)}: {data.title(config.prompts)}"
    table = evaluation.audit_markdown([(head, found)])
    terminal.console().print(table, markup=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    training.write_text(folder / "audit.md", table)
    numbers = json.dumps(dataclasses.asdict(found), indent=2)
    training.write_text(folder / "audit.json", numbers + "\n")
    with writing.replacing(folder / "orders.npz") as partial:
        np.savez_compressed(partial, y_first=orders.y_first, z_first=orders.z_first)
    with writing.replacing(folder / "audit.png") as partial:
        figure = evaluation.audit_figure(found, orders, title=head)
        evaluation.save_figure(figure, partial)
    terminal.console().print(f"results are in {folder}")


command = command_line.command(main, Config, name=_NAME, about=__doc__)
