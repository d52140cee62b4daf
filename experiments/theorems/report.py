"""The table of theorems: in the terminal, as a file, as a figure."""

import csv
import pathlib
from collections.abc import Sequence

import matplotlib.figure
import numpy as np
import rich.table

from experiments.theorems.theorem import Finding
from nashalign import evaluation, training, writing

COLUMNS = ("statement", "paper", "predicted", "measured", "holds")
_GOOD, _BAD = "#2a6f97", "#c1121f"


def cells(finding: Finding) -> tuple[str, ...]:
    """Returns a finding as the cells of a row."""
    theorem = finding.theorem
    return (
        theorem.statement,
        theorem.source,
        f"{theorem.relation} {finding.predicted:.8g}",
        f"{finding.measured:.8g}",
        "yes" if finding.holds else "NO",
    )


def terminal(findings: Sequence[Finding]) -> rich.table.Table:
    """Returns the table for a terminal."""
    table = rich.table.Table(show_lines=True, title="Theorems, checked by number")
    for column in COLUMNS:
        right = column in ("predicted", "measured")
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    for finding in findings:
        style = "" if finding.holds else "bold red"
        table.add_row(*cells(finding), style=style)
    return table


def save(findings: Sequence[Finding], folder: pathlib.Path) -> None:
    """Writes theorems.csv, theorems.md and theorems.png."""
    rows = [cells(finding) for finding in findings]
    with (
        writing.replacing(folder / "theorems.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([COLUMNS, *rows])
    lines = ["| " + " | ".join(COLUMNS) + " |", "| :-- | :-- | --: | --: | :-- |"]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines += ["| " + " | ".join(row) + " |" for row in escaped]
    training.write_text(folder / "theorems.md", "\n".join(lines) + "\n")
    with writing.replacing(folder / "theorems.png") as path:
        draw(findings).savefig(path, dpi=120)


def draw(findings: Sequence[Finding]) -> matplotlib.figure.Figure:
    """Draws what was measured against what was predicted.

    Above, measured over predicted; below, theorems that predict zero, and how small the
    number is.
    """
    scaled = [f for f in findings if f.predicted != 0]
    zeros = [f for f in findings if f.predicted == 0]
    figure = evaluation.Figure(
        figsize=(9.5, 0.26 * (len(scaled) + len(zeros)) + 2.2), layout="constrained"
    )
    top, bottom = figure.subplots(
        2, 1, height_ratios=[max(len(scaled), 1), max(len(zeros), 1)]
    )
    ratios = [max(f.measured / f.predicted, 0.0) for f in scaled]
    _rows(top, scaled, ratios)
    top.axvline(1, color="black", linewidth=0.8)
    top.set_xscale("log")
    top.set_xlim(1e-3, 1e3)
    for row, (finding, ratio) in enumerate(zip(scaled, ratios, strict=True)):
        bound = {"=": (1, 1), "<=": (1e-3, 1), ">=": (1, 1e3)}
        low, high = bound[finding.theorem.relation]
        if finding.predicted < 0:
            # Of two negative numbers the larger one has the smaller ratio.
            low, high = 1 / high, 1 / low
        top.plot([low, high], [row, row], color="0.85", linewidth=5, zorder=0)
        if not 1e-3 <= ratio <= 1e3:
            mark = "<" if ratio < 1 else ">"
            colour = _GOOD if finding.holds else _BAD
            top.plot(np.clip(ratio, 1.15e-3, 0.87e3), row, mark, color=colour)
    top.set_xlabel("measured / predicted (grey: allowed by a bound)")
    _rows(bottom, zeros, [max(abs(f.measured), 1e-17) for f in zeros])
    bottom.set_xscale("log")
    bottom.set_xlim(1e-17, 1)
    bottom.set_xlabel("|measured|, predicted to be 0")
    return figure


def _rows(axes, findings, values):
    """Draws one dot a finding, a row each, the first on top."""
    colours = [_GOOD if finding.holds else _BAD for finding in findings]
    axes.scatter(values, range(len(findings)), c=colours, s=22, zorder=2)
    axes.set_yticks(range(len(findings)), [f.theorem.statement for f in findings])
    axes.tick_params(axis="y", labelsize=9.5, length=0)
    axes.set_ylim(len(findings) - 0.4, -0.6)
    axes.grid(axis="x", color="0.93")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
