"""The table of rows and where they rest: in the terminal, as a file, as a figure."""

import csv
import pathlib
from collections.abc import Sequence

import matplotlib.figure
import rich.box
import rich.markup
import rich.table

from experiments.fixed_points.entry import Finding

_GOOD, _BAD, _ALLOWED = "#2a6f97", "#c1121f", "0.6"
_MARKS = {"transformer": "o", "tabular": "D"}
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
        "exactness": entry.method.exactness,
        "prediction": entry.prediction,
        "settings": settings,
        "note": entry.note,
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
        shown = (rich.markup.escape(row[column.header]) for column in table.columns)
        table.add_row(*shown, style=style)
    return table


def save(findings: Sequence[Finding], folder: pathlib.Path) -> None:
    """Writes fixed_points.csv, fixed_points.md and fixed_points.png."""
    rows = [cells(finding) for finding in findings]
    columns = list(rows[0])
    with (folder / "fixed_points.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| " + " | ".join(columns) + " |", "| :-- " * len(columns) + "|"]
    for row in rows:
        escaped = [cell.replace("|", "\\|") for cell in row.values()]
        lines.append("| " + " | ".join(escaped) + " |")
    (folder / "fixed_points.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(findings).savefig(folder / "fixed_points.png", dpi=120)


def draw(findings: Sequence[Finding]) -> matplotlib.figure.Figure:
    """Draws each row's distances from theory, on a logarithmic axis."""
    figure = matplotlib.figure.Figure(
        figsize=(9, 0.22 * len(findings) + 1.4), layout="constrained"
    )
    axes = figure.subplots()
    for place, finding in enumerate(findings):
        allowed = finding.entry.tolerance
        axes.plot([allowed] * 2, [place - 0.4, place + 0.4], color=_ALLOWED)
        for family, distance in finding.distances.items():
            colour = _GOOD if distance <= allowed else _BAD
            shown = max(distance, _LEAST)
            filled = colour if family == "transformer" else "none"
            axes.scatter(shown, place, 18, marker=_MARKS[family], ec=colour, fc=filled)
    for family, mark in _MARKS.items():
        filled = _GOOD if family == "transformer" else "none"
        axes.scatter([], [], 18, marker=mark, ec=_GOOD, fc=filled, label=family)
    axes.plot([], [], color=_ALLOWED, label="allowed")
    axes.set_xscale("log")
    axes.set_xlim(_LEAST / 2, 1)
    axes.set_xlabel("total variation from the predicted policy")
    axes.set_yticks(range(len(findings)), [f.entry.row for f in findings])
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.set_ylim(len(findings) - 0.4, -0.6)
    axes.grid(axis="x", color="0.93")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure
