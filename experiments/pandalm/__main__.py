"""Is the game among language models transitive, by people's votes?

PandaLM's test set (Wang and others 2023, arXiv:2306.05087) has 999 pairs of answers of
five models of 7 billion parameters, all ten pairings, and of each the votes of three
people: one of the two answers, or a tie. From them come the same tables that
`nashalign compare` makes of a judge's: who beats whom, ratings, the Nash mixture, and
with what certainty the majority relation has no cycle. Intervals and draws are over
instructions, of which one has answers of several pairs of models.

Run: python -m experiments.pandalm --data testset-v1.json

Takes: 20 seconds. The file is `data/testset-v1.json` of WeOpenML/PandaLM (Apache 2.0).
What is left has numbers and figures only, and none of its texts.
"""

import dataclasses
import pathlib
import sys

import tyro

from experiments.pandalm import page, votes
from nashalign import command_line, data, options, terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Read the votes and write the page."""

    data: pathlib.Path = tyro.MISSING
    """PandaLM's test set, `testset-v1.json`."""
    output: pathlib.Path = pathlib.Path("runs/pandalm")
    """Where the page, tables and figures are left."""
    num_draws: int = 10_000
    """Of the bootstrap."""


def main(config: Config) -> None:
    """Reads, counts, and writes the page."""
    options.require("num_draws", config.num_draws)
    records = data.read_records(config.data, "pandalm")
    page.write(config.output, votes.ballot(records), num_draws=config.num_draws)
    terminal.console().print(f"the page is {config.output / page.NAME}")


_NAME = "python -m experiments.pandalm"
command = command_line.command(main, Config, name=_NAME, about=__doc__)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
