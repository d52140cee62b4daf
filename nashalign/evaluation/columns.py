"""The columns in which policies' summaries are written.

A column is data: a heading, how to read its value from a summary, and how to write it.
Columns that no policy has a value for are left out.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nashalign.evaluation import tables
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.summary import Summary


class Column(NamedTuple):
    """A column of the table.

    Attributes:
      heading: text at its head in Markdown and CSV.
      short: text at its head in the terminal.
      read: function from a `Summary` to the value: number, text, `Interval` or None.
      write: function from a mean, or a mean and a half-width, to its text.
    """

    heading: str
    short: str
    read: Callable[[Summary], Any]
    write: Callable[..., str]


def _number(form):
    """How to write a mean, and its half-width where there is one."""
    return lambda *numbers: "±".join(format(number, form) for number in numbers)


def _clock(seconds):
    """Minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def _others(summary):
    """The settings besides tau and mix as text; None without any."""
    named = [f"{name} {value:.4g}" for name, value in summary.settings.items()]
    return ", ".join(named) or None


KEY = Column("key", "", operator.attrgetter("key"), str)
SETTINGS = (
    Column("tau", "τ", operator.attrgetter("tau"), _number("g")),
    Column("mix", "mix", operator.attrgetter("mix"), _number("g")),
)
OTHERS = Column("settings", "", _others, str)
WIN_RATES = (
    Column("win rate", "win", operator.attrgetter("win_rate"), tables.share),
    Column(
        "length-controlled",
        "LC",
        operator.attrgetter("length_controlled"),
        tables.share,
    ),
    Column(
        "learned model", "model", operator.attrgetter("learned_win_rate"), tables.share
    ),
)
KL = Column("KL (nats)", "KL", operator.attrgetter("kl"), _number(".2f"))
LENGTH = Column("tokens", "tokens", operator.attrgetter("length"), _number(".1f"))
RATING = Column("rating", "rating", operator.attrgetter("rating"), _number(".2f"))
CHARACTERS = Column(
    "characters", "chars", operator.attrgetter("characters"), _number(".0f")
)
CUT = Column("cut", "cut", operator.attrgetter("truncated"), _number(".1%"))
EXPLOITABILITY = Column(
    "exploitability", "expl.", operator.attrgetter("exploitability"), tables.share
)
UNBEATEN = Column("unbeaten", "unb.", operator.attrgetter("unbeaten"), _number(".0%"))
NASH = Column("Nash", "Nash", operator.attrgetter("nash"), tables.share)
NASH_SHARE = Column(
    "in Nash mixture", "in", operator.attrgetter("nash_share"), _number(".0%")
)
TIME = Column("time", "time", operator.attrgetter("seconds"), _clock)
SPEED = Column(
    "tokens/s", "tok/s", operator.attrgetter("tokens_per_second"), _number(".0f")
)
STEPS = Column(
    "optimizer steps", "steps", operator.attrgetter("optimizer_steps"), _number("d")
)
DIVERGED = Column(
    "diverged at", "diverged at", operator.attrgetter("diverged"), _number("d")
)


STACKS = (
    (RATING,),
    (KL,),
    (LENGTH, CUT),
    (CHARACTERS,),
    (EXPLOITABILITY, UNBEATEN),
    (NASH, NASH_SHARE),
    (TIME, SPEED, STEPS),
)
"""Columns that stand below each other in the terminal, one number each."""


def _named_columns(field, summaries):
    """A column for each name that any method has a win rate by, in a field."""

    def read(name):
        return lambda summary: getattr(summary, field).get(name)

    names = dict.fromkeys(n for summary in summaries for n in getattr(summary, field))
    return [Column(name, name, read(name), tables.share) for name in names]


def kind_columns(summaries: Sequence[Summary]) -> list[Column]:
    """A column for each kind of voter that some summary names."""
    return _named_columns("kinds", summaries)


def part_columns(summaries: Sequence[Summary]) -> list[Column]:
    """A column for each part of the prompts that some summary names."""
    return _named_columns("parts", summaries)


def filled(columns: Sequence[Column], summaries: Sequence[Summary]) -> list[Column]:
    """The columns that at least one method has a value for."""
    return [
        column
        for column in columns
        if any(column.read(summary) is not None for summary in summaries)
    ]


def all_columns(summaries: Sequence[Summary]) -> list[Column]:
    """Every column in use, one number (and its half-width) each."""
    named = [*kind_columns(summaries), *part_columns(summaries)]
    game = (EXPLOITABILITY, UNBEATEN, NASH, NASH_SHARE)
    rest = (RATING, KL, LENGTH, CHARACTERS, CUT, *game, TIME, SPEED, STEPS, DIVERGED)
    settings = (*SETTINGS, OTHERS)
    return filled([*settings, *WIN_RATES, *named, *rest], summaries)


def text_of(column: Column, summary: Summary) -> str:
    """The value as text, a dash where there is none."""
    value = column.read(summary)
    if value is None:
        return "–"
    return column.write(*value) if isinstance(value, Interval) else column.write(value)
