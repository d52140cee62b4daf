"""An audit for people: a table of what a judge goes by, and a figure of its answers."""

from collections.abc import Sequence

import numpy as np

from nashalign.evaluation import audit as audits
from nashalign.evaluation import calibration, figures, intervals


def audit_rows(found: audits.Audit) -> list[tuple[str, str, str]]:
    """Returns what was measured: its name, its value with an interval, and its meaning.

    Args:
      found: the audit.
    """
    rows = [
        (
            "P(the first is better)",
            f"{_share(found.y_first)} and {_share(found.z_first)}",
            "in the one order and in the other; without position bias they add up to 1",
        ),
        ("position bias", _share(found.first, "+"), "what being shown first adds"),
        ("agrees with itself", _share(found.same), "same verdict in both orders"),
        _row("length bias", found.longer, "P(the longer is better) less one half", "+"),
        _row("circles", found.circles, "triples of answers that beat each other so"),
    ]
    if found.people is not None:
        own = found.people.calibration
        low, high = own.error_range
        rows += [
            ("agrees with people", _share(own.accuracy), "share of their votes"),
            _row("people agree", found.people.among, "one vote with another"),
            _row("length bias of people", found.people.longer, "of their votes", "+"),
            (
                "confidence less accuracy",
                _share(own.overconfidence, "+"),
                "above zero it is too sure",
            ),
            (
                "calibration error",
                f"{own.error:.3f} [{low:.3f}, {high:.3f}]",
                "how far apart the two are, mean over bins",
            ),
        ]
    return [row for row in rows if row is not None]


def audit_markdown(columns: Sequence[tuple[str, audits.Audit]]) -> str:
    """Returns a table of audits, one a column.

    Args:
      columns: head of each, such as the data, and the audit.
    """
    tables = {head: audit_rows(found) for head, found in columns}
    rows = dict.fromkeys(name for table in tables.values() for name, *_ in table)
    meanings = {name: says for table in tables.values() for name, _, says in table}
    heads = " | ".join(tables)
    lines = [f"|  | {heads} |  |", f"| :-- |{' --: |' * len(tables)} :-- |"]
    numbers = " | ".join(f"{found.number:,}" for _, found in columns)
    lines.append(f"| pairs | {numbers} |  |")
    for name in rows:
        values = [{n: v for n, v, _ in own}.get(name, "–") for own in tables.values()]
        lines.append(f"| {name} | {' | '.join(values)} | {meanings[name]} |")
    return "\n".join(lines) + "\n"


def audit_figure(
    found: audits.Audit, orders: audits.Orders, *, title: str = ""
) -> figures.Figure:
    """Draws what a judge says of each pair in both orders, and how calibrated it is.

    A judge that reads the texts alone has its points on the rising diagonal, one that
    reads their places alone on the falling one.

    Args:
      found: the audit.
      orders: what it was made of.
      title: head of the figure.
    """
    panels = 1 if found.people is None else 2
    figure = figures.Figure(figsize=(4.8 * panels, 4.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = np.atleast_1d(figure.subplots(1, panels))
    _draw_orders(axes[0], found, orders)
    if found.people is not None:
        calibration.draw_reliability(axes[1], found.people.calibration)
        axes[1].set_xlabel("confidence, both orders averaged")
        axes[1].set_title("against people's votes", fontsize=10)
    return figure


def _draw_orders(axes, found, orders) -> None:
    """One point a pair: what y is given shown first, and shown second."""
    second = 1 - orders.z_first
    axes.plot([0, 1], [0, 1], color="#666666", linewidth=1, linestyle="--")
    axes.plot([0, 1], [1, 0], color="#D55E00", linewidth=1, linestyle=":")
    axes.scatter(
        orders.y_first, second, s=12, alpha=0.35, color="#0072B2", linewidths=0
    )
    axes.text(0.9, 0.96, "reads the texts", ha="right", fontsize=8, color="#666666")
    axes.text(0.94, 0.02, "reads the places", ha="right", fontsize=8, color="#D55E00")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_title(f"same verdict in both orders: {_share(found.same)}", fontsize=10)
    figures.finish_axes(
        axes, "P(y is better), y shown first", "P(y is better), y shown second"
    )


def _row(name, value, says, sign="") -> tuple[str, str, str] | None:
    """A row of what may not have been measurable."""
    return None if value is None else (name, _share(value, sign), says)


def _share(found: intervals.Interval, sign: str = "") -> str:
    """A share with half of its interval."""
    return f"{found.mean:{sign}.3f} ± {found.half_width:.3f}"
