"""Every row of the table of methods, run to where theory says that it rests.

In a token game with seven responses the expected update can be computed: every group of
responses, with its exact probability, through the row's own rollout, annotation, loss
and refresh. A two-layer transformer and a tabular policy are trained by it until they
rest, and the policy over responses is held against a prediction that knows nothing of
rows and groups: a solver of the exact game, a closed form, or the minimiser over all
policies of the paper's objective, written out by hand. What is shown is the total
variation between the two.

Where anchors move, a row is run for a few outer iterations, each to its end, or to the
limit of many short ones. Where hard labels have no optimum, reviewers contradict each
other: the verdicts of one are cyclic, or several disagree.

Resting where a method rests is necessary for a row that has its name; it does not
identify the method. Rows that would pass in a row's place are listed beside it, as far
as they are known. What identifies rows are their updates: expected ones
(`tests/algorithms/identity_test.py`), and where those agree, what single groups of
responses teach (`tests/algorithms/group_gradients_test.py`).

Run: python -m experiments.fixed_points

Takes: 9 minutes on 2 cores; with --quick, 2.
"""

import dataclasses
import difflib
import pathlib
import sys

import tyro

from experiments.fixed_points import (
    game,
    imitation,
    nash,
    offline,
    online,
    reference_free,
    report,
    rewarded,
    robust,
    rounds,
)
from experiments.fixed_points.entry import examine, relatives
from nashalign import algorithms, command_line, terminal

# In the order of the table of methods.
ENTRIES = tuple(
    sorted(
        (
            *rewarded.ENTRIES,
            *imitation.ENTRIES,
            *offline.ENTRIES,
            *reference_free.ENTRIES,
            *robust.ENTRIES,
            *online.ENTRIES,
            *rounds.ENTRIES,
            *nash.ENTRIES,
        ),
        key=lambda entry: list(algorithms.TABLE).index(entry.row),
    )
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Run the rows and show the table."""

    output: pathlib.Path = pathlib.Path("runs/fixed_points")
    """Where fixed_points.csv, .md and .png are left."""
    rows: tuple[str, ...] = ()
    """Names of rows of the table of methods; all by default."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """Run the tabular policy alone, which compiles and trains in seconds."""


def main(config: Config) -> int:
    """Runs the rows; returns how many do not hold."""
    chosen = choose(config.rows)
    record = {"rows": config.rows, "quick": config.quick}
    return command_line.in_folder(config.output, record, lambda: run(chosen, config))


def run(chosen, config: Config) -> int:
    """Runs some entries, leaves the table, and returns how many do not hold."""
    families = ("tabular",) if config.quick else tuple(game.FAMILIES)
    findings = []
    with terminal.progress_bar("rows", len(chosen)) as advance:
        for entry in chosen:
            findings.append(examine(entry, families, relatives(entry, ENTRIES)))
            advance(1, entry.row)
    report.save(findings, config.output)
    console = terminal.console()
    console.print(report.terminal(findings))
    broken = [finding for finding in findings if not finding.holds]
    console.print(f"{len(findings) - len(broken)} of {len(findings)} hold")
    console.print(f"left in {config.output}: fixed_points.csv, .md and .png")
    return len(broken)


def choose(names):
    """Returns the entries of these rows, all if there are none.

    Raises:
      ValueError: if a name is none of theirs, with the near ones.
    """
    known = dict.fromkeys(entry.row for entry in ENTRIES)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ValueError(f"no row is called {name!r}{hint}")
    return [entry for entry in ENTRIES if not names or entry.row in names]


command = command_line.command(
    lambda config: min(main(config), 1),
    Config,
    name="python -m experiments.fixed_points",
    about=__doc__,
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
