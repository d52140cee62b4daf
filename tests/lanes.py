"""Which rows of the table of methods the default lane runs, and which the full one.

A test of every row is mostly a program of every row to compile. In the default lane it
runs for a few rows in which everything occurs that a row may consist of; in the full
lane it runs for all.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import pytest

from nashalign import algorithms

T = TypeVar("T")


def parts(row: algorithms.Row) -> set[str]:
    """What a row consists of: its columns that are not the usual ones, and their kinds.

    Kinds are who writes the responses and how many, what the annotator is asked, the
    type of the loss, which frozen policies move, the step, and rounds.
    """
    method = row.method
    unusual = {
        field.name
        for field in dataclasses.fields(method)
        if field.default is not dataclasses.MISSING
        and getattr(method, field.name) != field.default
    }
    formula = algorithms.columns.formula
    number = {1: "one member", 2: "a pair"}.get(method.num_members, "several members")
    return (
        unusual
        | {number, f"asked for {method.annotation}", f"step {method.step.formula}"}
        | {f"loss {type(method.loss).__name__}"}
        | {f"written by {formula(author)}" for author in method.authors}
        | {f"{name} moves" for name, _, _ in method.refresh}
        | ({"rounds"} if row.rounds else set())
    )


def covering(known: Mapping[T, set[str]], first: Sequence[T] = ()) -> list[T]:
    """Returns a few of what consists of parts that have, together, all parts of all.

    After the first, each is the one that has most of the parts that those before it
    lack.

    Args:
      known: the parts of each, such as of a row by its name.
      first: those that are chosen in any case.
    """
    chosen = list(first)
    missing = set().union(*known.values()).difference(*(known[n] for n in chosen))
    while missing:
        chosen.append(max(known, key=lambda name: len(known[name] & missing)))
        missing -= known[chosen[-1]]
    return chosen


# The first two are those that most is written about.
REPRESENTATIVES = covering(
    {name: parts(row) for name, row in algorithms.TABLE.items()},
    ("online_ipo", "nash_md_pg"),
)


# They have three quarters of all parts: enough of a test that takes long, and says in
# another way what one of all representatives says.
FEW = REPRESENTATIVES[:8]


def marks(
    name: T, default: Sequence[T] = REPRESENTATIVES
) -> list[pytest.MarkDecorator]:
    """Marks of a test, such as of a row: the full lane's, but for the default's."""
    return [] if name in default else [pytest.mark.full]


def every_row(
    names: Iterable[str] = tuple(algorithms.TABLE),
    default: Sequence[str] = REPRESENTATIVES,
) -> list:
    """Parameters of a test of these rows, each in its lane."""
    return [pytest.param(name, marks=marks(name, default), id=name) for name in names]
