"""The theorems of the field, each checked by number on exact games.

One row a statement: what it predicts, what is measured, and whether it holds. Nothing
is true by construction: predictions come from formulas or from another solver than what
is measured. What a row measures, and its derivation, are in the docstring of the
function that measures it; `--explain` prints them.

Run: python -m experiments.theorems
"""

import dataclasses
import difflib
import inspect
import pathlib
import sys

import rich.text
import tyro

from experiments.theorems import (
    bounds,
    fixed_points,
    gradients,
    rates,
    report,
    rewards,
    stability,
    token_mixtures,
)
from experiments.theorems.theorem import examine
from nashalign import command_line, terminal, writing

THEOREMS = (
    *bounds.THEOREMS,
    *stability.THEOREMS,
    *rates.THEOREMS,
    *fixed_points.THEOREMS,
    *token_mixtures.THEOREMS,
    *gradients.THEOREMS,
    *rewards.THEOREMS,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Check the theorems and show the table."""

    output: pathlib.Path = pathlib.Path("runs/theorems")
    """Where theorems.csv, .md and .png, and token_mixtures.png, are left."""
    only: tuple[str, ...] = ()
    """Names of the rows to check, as --explain prints them; all by default."""
    explain: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print what each row measures instead of measuring it."""


def main(config: Config) -> int:
    """Checks the theorems; returns how many do not hold."""
    chosen = choose(config.only)
    if config.explain:
        console = terminal.console()
        for theorem in chosen:
            console.rule(rich.text.Text(theorem.name, "bold"), align="left")
            console.print(theorem.statement, theorem.source, sep="\n")
            console.print(inspect.getdoc(theorem.measure))
        return 0
    record = {"only": config.only}
    return command_line.in_folder(config.output, record, lambda: check(chosen, config))


def check(chosen, config: Config) -> int:
    """Checks some theorems, leaves the table, and returns how many do not hold."""
    findings = []
    with terminal.progress_bar("theorems", len(chosen)) as advance:
        for theorem in chosen:
            findings.append(examine(theorem))
            advance(1, theorem.name)
    report.save(findings, config.output)
    if not config.only:
        with writing.replacing(config.output / "token_mixtures.png") as path:
            token_mixtures.draw().savefig(path, dpi=120)
    console = terminal.console()
    console.print(report.terminal(findings))
    broken = [finding.theorem.name for finding in findings if not finding.holds]
    console.print(f"{len(findings) - len(broken)} of {len(findings)} hold")
    console.print(f"left in {config.output}: theorems.csv, .md, .png and more")
    return len(broken)


def choose(names):
    """Returns the theorems of these names, all if there are none.

    Raises:
      ValueError: if a name is none of theirs, with the near ones.
    """
    known = {theorem.name: theorem for theorem in THEOREMS}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ValueError(f"no theorem is called {name!r}{hint}")
    return [known[name] for name in names] or list(THEOREMS)


command = command_line.command(
    lambda config: min(main(config), 1),
    Config,
    name="python -m experiments.theorems",
    about=__doc__,
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
