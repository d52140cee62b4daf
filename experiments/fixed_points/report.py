"""The table of rows and where they rest: in the terminal, as a file, as a figure.

What rests where it should has passed a necessary test. It is not identified by it: the
column `would also pass` has the rows that are known to pass in its place.
"""

import csv
import pathlib
from collections.abc import Sequence

import matplotlib.figure
import numpy as np
import rich.box
import rich.table

from experiments.fixed_points.entry import Finding
from nashalign import evaluation, training, writing

_GOOD, _BAD, _ALLOWED = "#2a6f97", "#c1121f", "0.6"
_MARKS = {"transformer": "o", "tabular": "D"}
NECESSARY = (
    "To rest where theory says is necessary for a row that has its method's name, and "
    "does not identify it: other rows are known to pass in the place of some. What "
    "identifies rows are their updates, pair by pair, in "
    "`tests/algorithms/identity_test.py` and `group_gradients_test.py`."
)
# What two policies in float64 cannot be told apart by.
_LEAST = 1e-17


def cells(finding: Finding) -> dict[str, str]:
    """Returns a finding as the cells of a row, by column."""
    entry = finding.entry
    settings = ", ".join(f"{k} {v:.4g}" for k, v in entry.settings.items())
    found = {family: f"{d:.1e}" for family, d in finding.distances.items()}
    least = min(finding.moved.values())
    return {
        "row": entry.row,
        "exactness": entry.exactness,
        "prediction": entry.prediction,
        "settings": settings,
        "note": entry.note,
        "would also pass": ", ".join(finding.relatives),
        **found,
        "allowed": f"{entry.tolerance:.0e}",
        "moved": f"{least:.2f}",
        "holds": "yes" if finding.holds else "NO",
    }


def terminal(findings: Sequence[Finding]) -> rich.table.Table:
    """Returns the table for a terminal."""
    title = "Where every row comes to rest: total variation from theory"
    table = rich.table.Table(title=title, box=rich.box.SIMPLE)
    table.add_column("row", no_wrap=True)
    table.add_column("exactness", overflow="fold", max_width=16)
    table.add_column("prediction", overflow="fold")
    table.add_column("distance", justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    for finding in findings:
        row = cells(finding)
        row["distance"] = f"{max(finding.distances.values()):.1e}"
        style = "" if finding.holds else "bold red"
        shown = (row[str(column.header)] for column in table.columns)
        table.add_row(*shown, style=style)
    return table


def save(findings: Sequence[Finding], folder: pathlib.Path) -> None:
    """Writes fixed_points.csv, fixed_points.md and fixed_points.png."""
    rows = [cells(finding) for finding in findings]
    # Of some rows the prediction is of one family of policies alone.
    columns = list(max(rows, key=len))
    with (
        writing.replacing(folder / "fixed_points.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    lines = [NECESSARY, "", "| " + " | ".join(columns) + " |"]
    lines.append("| :-- " * len(columns) + "|")
    for row in rows:
        shown = (row.get(column, "") for column in columns)
        escaped = [cell.replace("|", "\\|") for cell in shown]
        lines.append("| " + " | ".join(escaped) + " |")
    training.write_text(folder / "fixed_points.md", "\n".join(lines) + "\n")
    with writing.replacing(folder / "fixed_points.png") as path:
        draw(findings).savefig(path, dpi=120)


def draw(findings: Sequence[Finding]) -> matplotlib.figure.Figure:
    """Draws each row's distances from theory, and what theory says, side by side."""
    figure = evaluation.Figure(
        figsize=(11, 0.22 * len(findings) + 1.4), layout="constrained"
    )
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlim(_LEAST / 2, _furthest(findings))
    for place, finding in enumerate(findings):
        _draw_finding(axes, place, finding)
    for family, mark in _MARKS.items():
        filled = _GOOD if family == "transformer" else "none"
        axes.scatter([], [], 18, marker=mark, ec=_GOOD, fc=filled, label=family)
    axes.plot([], [], color=_ALLOWED, label="allowed")
    axes.set_xlabel("total variation from the predicted policy")
    axes.set_yticks(range(len(findings)), labels(findings))
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.set_ylim(len(findings) - 0.4, -0.6)
    axes.grid(axis="x", color="0.93")
    predictions = axes.secondary_yaxis("right")
    predictions.set_yticks(range(len(findings)), [f.entry.prediction for f in findings])
    predictions.tick_params(axis="y", labelsize=7, length=0, labelcolor="0.35")
    predictions.spines["right"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure


def labels(findings: Sequence[Finding]) -> list[str]:
    """Returns a name for each finding, with the settings that tell equal rows apart."""
    return [_label(finding.entry, [f.entry for f in findings]) for finding in findings]


def _label(entry, entries):
    """A row's name, and its settings that other entries of the row do not have."""
    twins = [e for e in entries if e.row == entry.row and e is not entry]
    own = {
        name: value
        for name, value in entry.settings.items()
        if any(twin.settings.get(name) != value for twin in twins)
    }
    if not own:
        return entry.row
    return f"{entry.row}, " + ", ".join(f"{k} {v:g}" for k, v in own.items())


def _draw_finding(axes, place, finding):
    """One row: what is allowed, and how far each family ends; unknown is furthest."""
    allowed = finding.entry.tolerance
    axes.plot([allowed] * 2, [place - 0.4, place + 0.4], color=_ALLOWED)
    for family, distance in finding.distances.items():
        colour = _GOOD if distance <= allowed else _BAD
        filled = colour if family == "transformer" else "none"
        shown = max(np.nan_to_num(distance, nan=axes.get_xlim()[1]), _LEAST)
        axes.scatter(shown, place, 18, marker=_MARKS[family], ec=colour, fc=filled)


def _furthest(findings):
    """The end of the axis, a little beyond all distances and what is allowed."""
    found = [d for f in findings for d in f.distances.values() if not np.isnan(d)]
    return 4 * max(*(f.entry.tolerance for f in findings), *found)
