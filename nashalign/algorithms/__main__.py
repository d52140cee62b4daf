"""The table of methods: name, paper, and the choice of each on every axis.

Run: python -m nashalign.algorithms
"""

import inspect

import rich.console
import rich.table

from nashalign.algorithms.method import Method
from nashalign.algorithms.table import TABLE


def described(method: Method) -> tuple[str, ...]:
    """Returns a row's choices in words: authors to settings."""
    writers = [_name(author) for author in method.authors]
    members, opponents = writers[: method.num_members], writers[method.num_members :]
    refresh = [f"{name}: {_name(rule)}" for name, rule in method.refresh]
    return (
        _counted(members),
        _counted(opponents),
        method.annotation,
        _name(method.anchor),
        _name(method.loss),
        "\n".join(refresh) or "never",
        "\n".join(f"{name} = {value:.4g}" for name, value in method.settings.items()),
    )


def table() -> rich.table.Table:
    """Returns the table for a terminal."""
    shown = rich.table.Table(title="Methods", show_lines=True)
    columns = (
        "name",
        "paper",
        "trained on",
        "opponents",
        "label",
        "anchor",
        "loss",
        "refresh",
        "settings",
    )
    for column in columns:
        shown.add_column(column, overflow="fold")
    for name, method in TABLE.items():
        shown.add_row(name, f"{method.title}\n{method.paper}", *described(method))
    return shown


def _counted(writers):
    """Returns who writes how many responses."""
    kinds = dict.fromkeys(writers)
    return ", ".join(f"{writers.count(kind)} of {kind}" for kind in kinds) or "none"


def _name(function):
    """Returns a function's name in words, with the functions that it holds."""
    inner = inspect.getclosurevars(function).nonlocals.values()
    held = [f.__name__ for f in inner if callable(f) and f.__name__ != "own_tau"]
    name = function.__qualname__.split(".")[0].replace("_", " ")
    return f"{name} ({', '.join(held)})" if held else name


if __name__ == "__main__":
    rich.console.Console().print(table())
