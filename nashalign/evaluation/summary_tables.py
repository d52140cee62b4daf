"""One line a method: what it won, what it cost, and what each kind of voter thought.

The terminal puts two numbers below each other where 80 columns would not hold them side
by side; Markdown and CSV have a column for each.
"""

import csv
import pathlib
from collections.abc import Sequence

import rich.box
import rich.table
import rich.text

from nashalign.evaluation import columns, tables
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.summary import CAPTION, Summary


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
    stacks = [[column] for column in columns.filled(columns.WIN_RATES, summaries)]
    stacks += [[column] for column in columns.kind_columns(summaries)]
    for stack in columns.STACKS:
        stacks += [used] if (used := columns.filled(stack, summaries)) else []
    table = rich.table.Table(
        title=title,
        caption=caption,
        box=rich.box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        min_width=60,  # of the caption below a small table
    )
    settings = columns.filled(columns.SETTINGS, summaries)
    below = " / ".join(c.short for c in settings)
    table.add_column(_lines("method", below), no_wrap=True)
    for stack in stacks:
        table.add_column(_lines(*(column.short for column in stack)), justify="right")
    for summary in summaries:
        below = " / ".join(
            columns.text_of(column, summary)
            for column in columns.filled(settings, [summary])
        )
        if summary.diverged is not None:
            below = f"diverged at {columns.text_of(columns.DIVERGED, summary)}"
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
    shown = columns.part_columns(summaries)
    for column in shown:
        table.add_column(column.short, justify="right")
    for summary in summaries:
        label = rich.text.Text(summary.method, "bold")
        if summary.key:
            label.append(f" {summary.key}", "dim not bold")
        table.add_row(label, *(columns.text_of(column, summary) for column in shown))
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
        return _lines(columns.text_of(column, summary))
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
    shown = columns.all_columns(summaries)
    rows = [
        [
            f"**{tables.markdown_text(summary.method)}**"
            f"{tables.markdown_key(summary.key)}",
            *(columns.text_of(column, summary) for column in shown),
        ]
        for summary in summaries
    ]
    header = ["", *(column.heading for column in shown)]
    return tables.markdown_table(header, rows) + f"\n{caption}\n"


def write_summary_csv(path: str | pathlib.Path, summaries: Sequence[Summary]) -> None:
    """Write the summary at full precision; half-widths have columns of their own.

    Args:
      path: file to write.
      summaries: list of `Summary`, in the order of the rows.
    """
    shown = [*columns.filled([columns.KEY], summaries), *columns.all_columns(summaries)]
    rows = []
    for summary in summaries:
        row: dict[str, str | float | None] = {"method": summary.method}
        for column in shown:
            value = column.read(summary)
            if isinstance(value, Interval):
                row[column.heading + " half-width"] = float(value.half_width)
                value = value.mean
            if not isinstance(value, str | None):
                value = float(value)
            row[column.heading] = value
        rows.append(row)
    fields = ["method"]
    for column in shown:
        names = (column.heading, column.heading + " half-width")
        fields += [name for name in names if any(name in row for row in rows)]
    with pathlib.Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
