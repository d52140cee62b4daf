"""The table of methods: name, paper, and the choice of each on every axis.

A list of all comes first. Of rows that are named, what settings must be and where the
row departs from its paper is printed as well.

Run: python -m nashalign.algorithms [NAME ...]
"""

import sys

import rich.table
from rich.text import Text

from nashalign import terminal
from nashalign.algorithms.method import Method
from nashalign.algorithms.recipes import RECIPES, Recipe
from nashalign.algorithms.settings import SETTINGS
from nashalign.algorithms.table import TABLE, configure

# The axes on which most rows make the same choice, which is left out.
_USUAL = {"as given", "as answered", "all members", "equal", "never", "plain"}
_USUAL |= {"unheld", "nothing"}


def axes(method: Method) -> dict[str, str]:
    """Returns a row's choice on every axis, in words."""
    writers = [_name(author) for author in method.authors]
    label = _name(method.label)
    asked = method.annotation
    refresh = [
        f"{name} to {source}: {_name(rule)}" for name, source, rule in method.refresh
    ]
    step = "extragradient" if method.extragradient else "plain"
    if "num_epochs" in method.settings:
        step = f"{method.settings['num_epochs']:g} optimizer steps an update"
    return {
        "prompts": _name(method.prompts),
        "responses": _counted(writers[: method.num_members]),
        "opponents": _counted(writers[method.num_members :]),
        "label": asked if label == "as answered" else f"{asked}: {label}",
        "select": _name(method.select),
        "weight": _name(method.weight),
        "of the batch": ", ".join(name.replace("_", " ") for name, _ in method.batch)
        or "nothing",
        "anchor": _name(method.anchor),
        "loss": _name(method.loss),
        "regulariser": _name(method.regulariser),
        "step": step,
        "refresh": "\n".join(refresh) or "never",
        "expected update": method.exactness,
    }


def contents() -> rich.table.Table:
    """Returns the names that `--methods` takes, and what the papers call them."""
    shown = rich.table.Table(title="Methods, by the names that --methods takes")
    for column in ("name", "method", "paper"):
        shown.add_column(column, overflow="fold")
    rows = TABLE | {name: recipe() for name, recipe in RECIPES.items()}
    for name, row in rows.items():
        shown.add_row(name, row.title, row.paper)
    return shown


def table(names: list[str]) -> rich.table.Table:
    """Returns the table for a terminal.

    Raises:
      ValueError: a name is unknown; near matches are named.
    """
    shown = rich.table.Table(title="Methods", show_lines=True)
    for column in ("method", "choice on each axis", "settings"):
        shown.add_column(column, overflow="fold")
    for name in names or [*TABLE, *RECIPES]:
        if name in RECIPES:
            known = departures(RECIPES[name]()) if names else []
            shown.add_row(*_recipe(name, known))
            continue
        method = configure(name)
        choices = [
            _line(axis, choice.replace("\n", "; "))
            for axis, choice in axes(method).items()
            if choice not in _USUAL
        ]
        settings = [
            Text.assemble(
                f"{setting} = {value:.4g}",
                (_explained(setting) if names else "", "dim"),
            )
            for setting, value in method.settings.items()
        ]
        if names:
            lines = method.departures or ("none that is known",)
            choices += [_line("departure", line) for line in lines]
        below = Text("\n")
        shown.add_row(_called(name, method), below.join(choices), below.join(settings))
    return shown


def _called(name: str, method: Method | Recipe) -> Text:
    """Returns a row's name, the paper's name for it, and the paper."""
    return Text.assemble((name, "bold"), f"\n{method.title}\n", (method.paper, "dim"))


def _line(what: str, choice: str) -> Text:
    """Returns a choice, after what it is a choice of."""
    return Text.assemble((what, "dim"), f" {choice}")


def _recipe(name: str, departures: list[str]) -> tuple[Text, Text, str]:
    """Returns a recipe as a row of the table: its stages in the place of choices."""
    recipe = RECIPES[name]()
    stages = " then ".join(stage.method.title for stage in recipe.stages)
    settings = "those of its stages; see algorithms." + name
    lines = [_line("recipe", stages)]
    lines += [_line("departure", line) for line in departures]
    return _called(name, recipe), Text("\n").join(lines), settings


def departures(recipe: Recipe) -> list[str]:
    """Returns where a recipe departs from its paper, and its rows from theirs."""
    of_rows = {
        f"{stage.method.title}: {line}": None
        for stage in recipe.stages
        for line in stage.method.departures
    }
    return [*recipe.departures, *of_rows]


def _explained(setting):
    """Returns what a setting is and must be."""
    found = SETTINGS[setting]
    return f"  {found.meaning}; {found.must}"


def _counted(writers):
    """Returns who writes how many responses."""
    kinds = dict.fromkeys(writers)
    return ", ".join(f"{writers.count(kind)} of {kind}" for kind in kinds) or "none"


def _name(function):
    """Returns a function's name in words."""
    return function.__name__.replace("_", " ")


def main(arguments: list[str]) -> None:
    """Prints a list and the table, or the rows that are named, with all there is."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    found, console = table(arguments), terminal.console()
    if not arguments:
        console.print(contents())
    console.print(found)


command = terminal.guarded(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
