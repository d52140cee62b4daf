"""The tabular figures of EGPO and COMAL, on exact games.

What they show: with regularisation, extragradient and mirror descent go to the Nash
policy while Nash-MD and Nash-MD-PG stop at a bias; without it, iterative DPO, IPO and
SPPO circle, INPO stalls, and COMAL converges.

Run: python -m experiments.tabular
"""

import dataclasses
import json
import pathlib
import sys

import rich.progress

from experiments.tabular import comal, egpo
from nashalign import command_line, terminal, training, writing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Draw both figures."""

    output: pathlib.Path = pathlib.Path("runs/tabular")
    """Where egpo.png, comal.png and the last gaps are left."""


def main(config: Config) -> int:
    """Runs the methods of both figures, draws them and prints the last gaps."""
    return command_line.in_folder(config.output, {}, lambda: draw(config.output))


def draw(folder: pathlib.Path) -> int:
    """Leaves both figures and the last gaps in a folder; nothing in them can fail."""
    console = terminal.console()

    def progress(runs):
        return rich.progress.track(runs, "EGPO's games", console=console)

    regularised = egpo.curves(progress=progress)
    unregularised = comal.curves()
    figures = {"egpo": egpo.draw(regularised), "comal": comal.draw(unregularised)}
    for name, figure in figures.items():
        with writing.replacing(folder / f"{name}.png") as path:
            figure.savefig(path, dpi=120)
    last = {f"{name}, tau {tau}": g[-1].max() for (tau, name), g in regularised.items()}
    last |= {f"{name}, no tau": gaps[-1] for name, gaps in unregularised.items()}
    for name, gap in last.items():
        console.print(f"{name:32} last gap {gap:.1e}")
    text = json.dumps({name: float(gap) for name, gap in last.items()}, indent=2)
    training.write_text(folder / "last_gaps.json", text + "\n")
    console.print(f"left in {folder}: egpo.png, comal.png, last_gaps.json")
    return 0


command = command_line.command(
    main, Config, name="python -m experiments.tabular", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
