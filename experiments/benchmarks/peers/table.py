"""What was measured, as a table in Markdown and as JSON."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.benchmarks.peers.checks import Found
from experiments.benchmarks.peers.measures import OURS, Measure
from experiments.benchmarks.peers.rounds import Figures, Row

_COLUMNS = ("measure", "peer", "its figure", "ours", "ratio", "to reach", "reached")
_BYTES = ("peak", "answer")
_HOW = """A ratio above 1 is ours to win. It is of medians of CPU seconds, in brackets
the least and the greatest of a round. Peak memory is the largest resident size of a
fresh process, its libraries and its compiler included."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
      measure: the row.
      peer: whom it is against; empty where the figure itself is to be reached.
      theirs: the peer's figure; None if it has none.
      ours: our figure, in tokens a second, seconds, or bytes; None if there is none.
      ratio: more than 1 where ours is better; of medians.
      spread: the least and the greatest ratio of a round.
      aim: a ratio, or where there is no peer the figure, to be reached; None if none.
      reached: whether it is; None where there is no aim or no figure.
      reason: why there is no figure, or fewer samples than rounds.
    """

    measure: Measure
    peer: str
    theirs: float | None
    ours: float | None
    ratio: float | None
    spread: tuple[float, float] | None
    aim: float | None
    reached: bool | None
    reason: str


def lines(rows: Iterable[Row]) -> list[Line]:
    """The lines of the table: one for each peer, and one for a figure to be reached.

    Args:
      rows: what was measured.
    """
    found = []
    for row in rows:
        aims = {peer.title: peer.factor for peer in row.measure.peers}
        ours = row.figures[OURS]
        for title, theirs in row.figures.items():
            if title != OURS:
                found.append(
                    _against(row.measure, title, theirs, ours, aims.get(title))
                )
        if row.measure.limit is not None or len(row.figures) == 1:
            found.append(_alone(row.measure, ours))
    return found


def figure(measure: Measure, figures: Figures) -> float | None:
    """Tokens a second, seconds, or bytes: of the median sample; None without samples.

    Args:
      measure: the row.
      figures: of one competitor.
    """
    if not figures.samples:
        return None
    median = statistics.median(figures.samples)
    return measure.tokens / median if measure.kind == "rate" else median


def _against(measure, title, theirs, ours, aim) -> Line:
    """The line of one peer."""
    ratio = spread = reached = None
    if theirs.samples and ours.samples:
        # Samples are what is spent: time or memory, of which less is better.
        ratio = statistics.median(theirs.samples) / statistics.median(ours.samples)
        pairs = zip(theirs.samples, ours.samples, strict=False)
        each = [other / own for other, own in pairs]
        spread = (min(each), max(each))
        reached = None if aim is None else ratio >= aim
    return Line(
        measure=measure,
        peer=title,
        theirs=figure(measure, theirs),
        ours=figure(measure, ours),
        ratio=ratio,
        spread=spread,
        aim=aim,
        reached=reached,
        reason=theirs.reason or ours.reason,
    )


def _alone(measure, ours) -> Line:
    """The line of a figure that is to be reached."""
    own, limit = figure(measure, ours), measure.limit
    return Line(
        measure=measure,
        peer="",
        theirs=None,
        ours=own,
        ratio=None,
        spread=None,
        aim=limit,
        reached=None if own is None or limit is None else own <= limit,
        reason=ours.reason,
    )


def markdown(rows: Sequence[Row], found: Sequence[Found], about: dict[str, Any]) -> str:
    """The table, what was checked, the limits of the core, and the versions.

    Args:
      rows: what was measured.
      found: what checks have found.
      about: the machine, the limits and the versions.
    """
    return (
        "\n\n".join(
            (
                _table(_COLUMNS, (_cells(line) for line in lines(rows))),
                _HOW,
                _table(
                    ("check", "tool", "model", "figure", "right"), map(_checked, found)
                ),
                _table(("limit", "figure"), _pairs(about.get("limits", {}))),
                _table(("what", "is"), _pairs(about.get("machine", {}))),
                _table(("tool", "versions"), _versions(about.get("versions", {}))),
            )
        )
        + "\n"
    )


def shown(measure: Measure, value: float | None) -> str:
    """A figure with its unit.

    Args:
      measure: whose it is.
      value: the figure; None is a dash.
    """
    if value is None:
        return "-"
    if measure.kind in _BYTES:
        return f"{value / 1e6:,.0f} MB"
    return f"{value:,.0f} tokens/s" if measure.kind == "rate" else f"{value:.2f} s"


def _cells(line: Line) -> tuple[str, ...]:
    """The cells of a line."""
    ratio = "-" if line.ratio is None else f"{line.ratio:.2f}"
    if line.spread is not None and line.measure.kind not in _BYTES:
        ratio += " ({:.2f} to {:.2f})".format(*line.spread)
    aim = ""
    if line.aim is not None:
        aim = f"{line.aim:g}" if line.peer else shown(line.measure, line.aim)
    theirs = shown(line.measure, line.theirs) if line.peer else ""
    if line.reason:
        theirs = line.reason if line.theirs is None else f"{theirs}; {line.reason}"
    return (
        line.measure.title,
        line.peer,
        theirs,
        shown(line.measure, line.ours),
        ratio if line.peer else "",
        aim,
        {True: "yes", False: "no", None: ""}[line.reached],
    )


def _checked(found: Found) -> tuple[str, ...]:
    """The cells of a check."""
    value = found.reason if found.figure is None else f"{found.figure:.3g}"
    return (
        found.check,
        found.tool,
        found.model,
        value,
        "yes" if found.right else "no",
    )


def _pairs(values: dict[str, Any]):
    """Cells of names and numbers."""
    for name, value in values.items():
        yield name, f"{value:,.1f}" if isinstance(value, float) else str(value)


def _versions(versions: dict[str, Any]):
    """Cells of tools and what they are made of."""
    for tool, own in versions.items():
        known = isinstance(own, dict)
        text = ", ".join(f"{k} {v}" for k, v in own.items()) if known else own
        yield tool, str(text)


def _table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    rows = [columns, ["---"] * len(columns), *cells]
    return "\n".join(
        "| "
        + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in row)
        + " |"
        for row in rows
    )
