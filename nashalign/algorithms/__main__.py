"""The table of methods: name, paper, and the choice of each on every axis.

A list of all comes first. Of rows that are named, what settings must be and where the
row departs from its paper is printed as well; FILE.py:NAME is a row of your own.

Run: python -m nashalign.algorithms [NAME | FILE.py:NAME ...]
"""

import sys

import rich.table
from rich.text import Text

from nashalign import terminal
from nashalign.algorithms.columns import Draw, formula
from nashalign.algorithms.method import Method
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.loading import load_row
from nashalign.algorithms.rows.table import TABLE, find

# The axes on which most rows make the same choice, which is left out.
_USUAL = {"as given", "as answered", "all members", "equal", "never", "plain"}
_USUAL |= {"unheld", "nothing", "summed", "none"}


def axes(method: Method) -> dict[str, str]:
    """Returns a method's choice on every axis, in words."""
    label = formula(method.label)
    asked = method.annotation
    refresh = [
        f"{name} to {source}: {formula(rule)}" for name, source, rule in method.refresh
    ]
    step = method.step.formula
    if method.step.epochs is not None:
        step = step.replace(method.step.epochs, f"{method.num_epochs:g}", 1)
    shown = method.conditioning
    return {
        "prompts": formula(method.prompts),
        "conditioning": "none" if shown is None else shown.formula,
        "responses": _counted(method.members),
        "opponents": _counted(method.opponents) or "none",
        "label": asked if label == "as answered" else f"{asked}: {label}",
        "select": formula(method.select),
        "weight": formula(method.weight),
        "of the batch": ", ".join(name.replace("_", " ") for name, _ in method.batch)
        or "nothing",
        "anchor": formula(method.anchor),
        "ratio": formula(method.ratio),
        "loss": formula(method.loss),
        "regulariser": formula(method.regulariser),
        "step": step,
        "refresh": "\n".join(refresh) or "never",
    }


def own_choices(method: Method) -> dict[str, str]:
    """Returns a method's choices, in words, without those that most rows make."""
    return {
        axis: choice
        for axis, choice in axes(method).items()
        # A label that is "none" is a choice.
        if choice not in _USUAL or axis == "label"
    }


def contents() -> rich.table.Table:
    """Returns the names that `--methods` takes, and what the papers call them."""
    shown = rich.table.Table(title="Methods, by the names that --methods takes")
    for column in ("name", "method", "paper"):
        shown.add_column(column, overflow="fold")
    for name, row in TABLE.items():
        shown.add_row(name, row.title, row.paper)
    return shown


def table(names: list[str]) -> rich.table.Table:
    """Returns the table for a terminal.

    Raises:
      ValueError: a name is unknown, and near matches are named; or a row's file fails.
    """
    shown = rich.table.Table(title="Methods", show_lines=True)
    for column in ("method", "choice on each axis", "settings"):
        shown.add_column(column, overflow="fold")
    for name in names or TABLE:
        row = load_row(name) if ".py:" in name else find(name)
        choices = [
            _line(axis, choice.replace("\n", "; "))
            for axis, choice in own_choices(row.method).items()
        ]
        if row.rounds is not None:
            choices.append(_line("rounds", formula(row.rounds)))
        choices.append(_line("expected update", row.exactness))
        settings = [
            Text.assemble(
                f"{setting.name} = {setting.default:.4g}",
                (f"  {setting.explained}" if names else "", "dim"),
            )
            for setting in row.settings
        ]
        if names:
            lines = row.departures or ("none that is known",)
            choices += [_line("departure", line) for line in lines]
        below = Text("\n")
        shown.add_row(_called(row.name, row), below.join(choices), below.join(settings))
    return shown


def _called(name: str, row: Row) -> Text:
    """Returns a row's name, the paper's name for it, and the paper."""
    return Text.assemble((name, "bold"), f"\n{row.title}\n", (row.paper, "dim"))


def _line(what: str, choice: str) -> Text:
    """Returns a choice, after what it is a choice of."""
    return Text.assemble((what, "dim"), f" {choice}")


def _counted(draws: tuple[Draw, ...]) -> str:
    """Returns who writes how many responses."""
    return ", ".join(f"{drawn.number} of {formula(drawn.author)}" for drawn in draws)


def main(arguments: list[str]) -> None:
    """Prints a list and the table, or the rows that are named, with all there is."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    found, console = table(arguments), terminal.console()
    if not arguments:
        console.print(contents())
    console.print(found)


command = terminal.guard(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
