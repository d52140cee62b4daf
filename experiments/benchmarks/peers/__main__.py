"""nashalign beside Hugging Face, TRL and Tunix, on one core.

Every competitor loads the same weights and the same prompts, in float32; no response
ends early. Workers are pinned to one core and measured in turn, round after round; what
is shown are medians of CPU seconds. Before anything is timed, peers' logits and
likeliest texts are compared with ours: who computes something else is marked, not
timed. A tool that is not installed is reported as missing.

Tunix has no IPO loss, so that its training half has the logistic one; TRL's gradient
checkpointing, its default, is off where the trainer is right without it.

Run: python -m experiments.benchmarks.peers.environments
     python -m experiments.benchmarks.peers

Takes: about an hour, of one core.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.benchmarks.peers import checks, environments, rounds, table
from experiments.benchmarks.peers.measures import Measure, models
from experiments.benchmarks.peers.rows import LIMITS, TABLE
from experiments.benchmarks.peers.tools import Failed, Tool, Workers
from nashalign import command_line, options, terminal, training

_ROOT = pathlib.Path(__file__).parents[3]
_MODULES = {"trl": "torch_tools", "trl_nash": "torch_tools", "tunix": "tunix_tools"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured, and where results go."""

    environments: pathlib.Path = pathlib.Path("runs/peers")
    """The folder of the peers' environments."""
    output: pathlib.Path = pathlib.Path("runs/peers_results")
    """The folder of peers.json, peers.md, the models, and what workers say."""
    rounds: int = 5
    """How often each competitor is timed."""
    measures: tuple[str, ...] = ()
    """Words of the titles of rows to measure; all by default."""
    baseline: pathlib.Path | None = None
    """Another checkout of nashalign, which competes as `before`."""
    core: int = 0
    """The core that the workers are pinned to."""


def main(config: Config) -> None:
    """Measures, and writes the results after each row."""
    options.require("rounds", config.rounds)
    options.require("core", config.core, at_least=0)
    chosen = select(config.measures)
    config.output.mkdir(parents=True, exist_ok=True)
    console = terminal.console()
    text = ""
    for rows, found, about in compare(config, chosen):
        text = table.markdown(rows, found, about)
        results = {
            **about,
            "checks": [dataclasses.asdict(each) for each in found],
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        content = json.dumps(results, indent=1) + "\n"
        training.write_text(config.output / "peers.json", content)
        training.write_text(config.output / "peers.md", text)
        console.print(rows[-1].measure.title, markup=False)
    console.print(text, soft_wrap=True, markup=False)


def select(words: tuple[str, ...]) -> list[Measure]:
    """The rows whose titles have one of the words; all of them without words.

    Args:
      words: parts of titles.

    Raises:
      ValueError: a word is in no title.
    """
    for word in words:
        if not any(word in measure.title for measure in TABLE):
            titles = "; ".join(measure.title for measure in TABLE)
            raise ValueError(f"--measures {word}: the rows are {titles}.")
    return [
        measure
        for measure in TABLE
        if not words or any(word in measure.title for word in words)
    ]


def compare(
    config: Config, measures: Sequence[Measure], *, limits: Any = LIMITS
) -> Iterator[tuple[list[rounds.Row], list[checks.Found], dict[str, Any]]]:
    """Measures rows, and yields after each of them what there is.

    Args:
      config: where tools are found, and how often each is timed.
      measures: the rows.
      limits: what those of the core are measured with; see `LIMITS`.

    Yields:
      The rows so far, what checks have found, and the machine, limits and versions.
    """
    folder = (config.output / "models").absolute()
    tools = _tools(config)
    with Workers(tools, config.core, config.output / "workers.log") as workers:
        for given in models(measures, folder):
            workers["own"].ask("answer", name="write", given=given)
        of_core = workers["own"].ask("answer", name="limits", given=limits)
        before = config.baseline is not None
        about = {
            "machine": _machine(config),
            "limits": of_core["value"],
            "versions": {name: _versions(workers, name) for name in tools},
        }
        found = checks.run(measures, workers, folder, before=before)
        measured = []
        for row in rounds.run(
            measures, workers, folder, rounds=config.rounds, before=before, found=found
        ):
            measured.append(row)
            yield measured, found, about


def _tools(config: Config) -> dict[str, Tool]:
    """Every tool, whether it is there or not."""
    own = pathlib.Path(sys.executable)
    tools = {"own": Tool("own", own, _ROOT)}
    if config.baseline is not None:
        tools["before"] = Tool("own", own, config.baseline.absolute())
    for name, module in _MODULES.items():
        python = environments.python_of(config.environments, name)
        tools[name] = Tool(module, python)
    return tools


def _versions(workers: Workers, name: str) -> Any:
    """Of a tool; or why there are none."""
    try:
        return workers[name].ask("answer", name="versions", given={})["value"]
    except Failed as failed:
        return str(failed)


def _machine(config: Config) -> dict[str, Any]:
    """Where and when it was measured."""
    model = platform.processor()
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in information.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "rounds": config.rounds,
    }


command = command_line.command(
    main, Config, name="python -m experiments.benchmarks.peers", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
