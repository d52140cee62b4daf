"""One line a method: what it won, what it cost, and what each kind of voter thought.

A column is data: a heading, how to read its value from a method's summary, and how to
write it. Columns that no method has a value for are left out. The terminal puts two
numbers below each other where 80 columns would not hold them side by side; Markdown and
CSV have a column for each.
"""

import csv
import dataclasses
import functools
import operator
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import rich.box
import rich.table
import rich.text

from nashalign.evaluation import tables
from nashalign.evaluation.intervals import Interval


def summary_caption(over: str = "prompts", *, voter: str = "voter") -> str:
    """What is to be said below the summary.

    Args:
      over: what its intervals are over.
      voter: what a member of the population is called in this task.

    Returns:
      A few sentences.
    """
    return (
        f"± is half of the 95% interval over {over}. Win rates against the start "
        "policy: under the exact population (win), at equal lengths (LC), under the "
        f"learned preference model (model), and by kind of {voter}. Exploitability and "
        "the weight in the Nash mixture are within the set of policies shown; of "
        "bootstrap draws, the shares in which a policy is unbeaten by the others "
        "(unb.), and in the Nash mixture (in)."
    )


CAPTION = summary_caption()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What the evaluation found out about one policy. None is printed as a dash.

    Attributes:
      method: name of the policy, as in the tables.
      key: what a command line calls its method.
      tau: strength of the KL regularisation.
      mix: weight of the reference in the mixture.
      settings: what else the method leaves to choose, by name.
      win_rate: against the start policy, under the exact population.
      length_controlled: the same at equal lengths.
      learned_win_rate: the same under the learned preference model.
      kinds: win rate against the start policy by kind of voter in the population.
      parts: the same under the exact population on parts of the prompts, by their name.
      kl: divergence from the reference, nats a response.
      length: tokens a response, EOS included.
      truncated: share of responses cut at the maximal length.
      exploitability: within the set of policies, in [0, 1/2].
      unbeaten: share of bootstrap draws in which no other policy beats it.
      nash: weight in the Nash mixture of the policies.
      nash_share: share of bootstrap draws in which it has weight there.
      seconds: training time.
      tokens_per_second: of responses, in training.
      optimizer_steps: taken in training; several an update, where a method does so.
      diverged: the update at which training was given up; then there is no policy.
    """

    method: str
    key: str | None = None
    tau: float | None = None
    mix: float | None = None
    settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    win_rate: Interval | None = None
    length_controlled: Interval | None = None
    learned_win_rate: Interval | None = None
    kinds: Mapping[str, Interval] = dataclasses.field(default_factory=dict)
    parts: Mapping[str, Interval] = dataclasses.field(default_factory=dict)
    kl: Interval | None = None
    length: Interval | None = None
    truncated: Interval | None = None
    exploitability: float | None = None
    unbeaten: float | None = None
    nash: float | None = None
    nash_share: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    optimizer_steps: int | None = None
    diverged: int | None = None


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


_KEY = Column("key", "", operator.attrgetter("key"), str)
_SETTINGS = (
    Column("tau", "τ", operator.attrgetter("tau"), _number("g")),
    Column("mix", "mix", operator.attrgetter("mix"), _number("g")),
)
_OTHERS = Column("settings", "", _others, str)
_WIN_RATES = (
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
_KL = Column("KL (nats)", "KL", operator.attrgetter("kl"), _number(".2f"))
_LENGTH = Column("tokens", "tokens", operator.attrgetter("length"), _number(".1f"))
_CUT = Column("cut", "cut", operator.attrgetter("truncated"), _number(".1%"))
_EXPLOITABILITY = Column(
    "exploitability", "expl.", operator.attrgetter("exploitability"), tables.share
)
_UNBEATEN = Column("unbeaten", "unb.", operator.attrgetter("unbeaten"), _number(".0%"))
_NASH = Column("Nash", "Nash", operator.attrgetter("nash"), tables.share)
_NASH_SHARE = Column(
    "in Nash mixture", "in", operator.attrgetter("nash_share"), _number(".0%")
)
_TIME = Column("time", "time", operator.attrgetter("seconds"), _clock)
_SPEED = Column(
    "tokens/s", "tok/s", operator.attrgetter("tokens_per_second"), _number(".0f")
)
_STEPS = Column(
    "optimizer steps", "steps", operator.attrgetter("optimizer_steps"), _number("d")
)
_DIVERGED = Column(
    "diverged at", "diverged at", operator.attrgetter("diverged"), _number("d")
)


def _named_columns(field, summaries):
    """A column for each name that any method has a win rate by, in a field."""

    def read(name):
        return lambda summary: getattr(summary, field).get(name)

    names = dict.fromkeys(n for summary in summaries for n in getattr(summary, field))
    return [Column(name, name, read(name), tables.share) for name in names]


_kind_columns = functools.partial(_named_columns, "kinds")
_part_columns = functools.partial(_named_columns, "parts")


def _used(columns, summaries):
    """The columns that at least one method has a value for."""
    return [
        column
        for column in columns
        if any(column.read(summary) is not None for summary in summaries)
    ]


def _columns(summaries):
    """Every column in use, one number (and its half-width) each."""
    named = [*_kind_columns(summaries), *_part_columns(summaries)]
    game = (_EXPLOITABILITY, _UNBEATEN, _NASH, _NASH_SHARE)
    rest = (_KL, _LENGTH, _CUT, *game, _TIME, _SPEED, _STEPS, _DIVERGED)
    settings = (*_SETTINGS, _OTHERS)
    return _used([*settings, *_WIN_RATES, *named, *rest], summaries)


def _text(column, summary):
    """The value as text, a dash where there is none."""
    value = column.read(summary)
    if value is None:
        return "–"
    return column.write(*value) if isinstance(value, Interval) else column.write(value)


def summary_table(
    summaries: Sequence[Summary], *, title: str = "Summary", caption: str = CAPTION
) -> rich.table.Table:
    """The summary for the terminal, two lines a method, within 80 columns.

    Args:
      summaries: list of `Summary`, in the order of the rows.
      title: what was asked: which annotator, which prompts.
      caption: text below the table.

    Returns:
      `rich.table.Table`.
    """
    stacks = [[column] for column in _used(_WIN_RATES, summaries)]
    stacks += [[column] for column in _kind_columns(summaries)]
    game = ([_EXPLOITABILITY, _UNBEATEN], [_NASH, _NASH_SHARE])
    for columns in ([_KL], [_LENGTH, _CUT], *game, [_TIME, _SPEED, _STEPS]):
        stacks += [used] if (used := _used(columns, summaries)) else []
    table = rich.table.Table(
        title=title,
        caption=caption,
        box=rich.box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        min_width=60,  # of the caption below a small table
    )
    settings = _used(_SETTINGS, summaries)
    below = " / ".join(c.short for c in settings)
    table.add_column(_lines("method", below), no_wrap=True)
    for stack in stacks:
        table.add_column(_lines(*(column.short for column in stack)), justify="right")
    for summary in summaries:
        below = " / ".join(
            _text(column, summary) for column in _used(settings, [summary])
        )
        if summary.diverged is not None:
            below = f"diverged at {_text(_DIVERGED, summary)}"
        label = _lines(rich.text.Text(summary.method, "bold"), summary.key, below)
        table.add_row(label, *(_stacked(stack, summary) for stack in stacks))
    return table


def parts_table(
    summaries: Sequence[Summary], *, title: str = "Win rates on parts of the prompts"
) -> rich.table.Table:
    """The win rates on parts of the prompts, for the terminal.

    Args:
      summaries: list of `Summary`, in the order of the rows.
      title: what was asked.

    Returns:
      `rich.table.Table`.
    """
    table = rich.table.Table(title=title, box=rich.box.SIMPLE_HEAD, show_edge=False)
    table.add_column("method", no_wrap=True)
    columns = _part_columns(summaries)
    for column in columns:
        table.add_column(column.short, justify="right")
    for summary in summaries:
        label = rich.text.Text(summary.method, "bold")
        if summary.key:
            label.append(f" {summary.key}", "dim not bold")
        table.add_row(label, *(_text(column, summary) for column in columns))
    return table


def _lines(top, *below):
    """Lines of a cell, those below the first dim; empty ones but the last left out."""
    *middle, bottom = below or ("",)
    lower = [f"\n{line}" for line in middle if line] + [f"\n{bottom}"]
    return rich.text.Text.assemble(top, ("".join(lower), "dim not bold"))


def _stacked(stack, summary):
    """Columns below each other, or one column's mean and half-width."""
    if len(stack) > 1:
        return _lines(*(_mean(column, summary) for column in stack))
    [column] = stack
    value = column.read(summary)
    if not isinstance(value, Interval):
        return _lines(_text(column, summary))
    return _lines(column.write(value.mean), "±" + column.write(value.half_width))


def _mean(column, summary):
    """The value as text without its half-width, a dash where there is none."""
    value = column.read(summary)
    value = value.mean if isinstance(value, Interval) else value
    return "–" if value is None else column.write(value)


def summary_markdown(summaries: Sequence[Summary], *, caption: str = CAPTION) -> str:
    """The summary as a Markdown table.

    Args:
      summaries: list of `Summary`, in the order of the rows.
      caption: paragraph below the table.

    Returns:
      Markdown text.
    """
    columns = _columns(summaries)
    rows = [
        [
            f"**{tables.markdown_text(summary.method)}**"
            f"{tables.markdown_key(summary.key)}",
            *(_text(column, summary) for column in columns),
        ]
        for summary in summaries
    ]
    header = ["", *(column.heading for column in columns)]
    return tables.markdown_table(header, rows) + f"\n{caption}\n"


def write_summary_csv(path: str | pathlib.Path, summaries: Sequence[Summary]) -> None:
    """Write the summary at full precision; half-widths have columns of their own.

    Args:
      path: file to write.
      summaries: list of `Summary`, in the order of the rows.
    """
    columns = [*_used([_KEY], summaries), *_columns(summaries)]
    rows = []
    for summary in summaries:
        row = {"method": summary.method}
        for column in columns:
            value = column.read(summary)
            if isinstance(value, Interval):
                row[column.heading + " half-width"] = float(value.half_width)
                value = value.mean
            text = value is None or isinstance(value, str)
            row[column.heading] = value if text else float(value)
        rows.append(row)
    fields = ["method"]
    for column in columns:
        names = (column.heading, column.heading + " half-width")
        fields += [name for name in names if any(name in row for row in rows)]
    with pathlib.Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
