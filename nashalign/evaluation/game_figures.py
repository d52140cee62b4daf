"""Figures of exact games: where policies go on the simplex, and how far they are off.

They take arrays, such as `games.run` measures, and draw in the styles of all figures
(`figures`): a dynamics has the same colour in both.
"""

from collections.abc import Mapping, Sequence

import matplotlib.figure
import matplotlib.ticker
import numpy as np

from nashalign.evaluation import figures

# Where the responses are: an equilateral triangle of side 1.
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
_GREYS = ("#BBBBBB", "#888888")
_RING = {"s": 70, "facecolor": "none", "edgecolor": "#666666", "zorder": 5}
# Of points that are not named after a method, in the order in which they are given.
_POINTS = (
    ("*", "#000000", 150),
    ("D", "#FFFFFF", 42),
    ("o", "#000000", 26),
    ("s", "#FFFFFF", 40),
    ("^", "#000000", 42),
)


def simplex_figure(
    paths: Mapping[str, np.ndarray],
    *,
    points: Mapping[str, np.ndarray] | None = None,
    curves: Mapping[str, np.ndarray] | None = None,
    responses: Sequence[str] = ("a", "b", "c"),
    num_columns: int = 3,
) -> matplotlib.figure.Figure:
    """A triangle for each dynamics of a game of three responses, with its path.

    A corner is a response, a place a policy: its weights are the corners'. A path is
    drawn through all of its policies, and its last one is ringed. Points and curves are
    in every triangle, under one legend; the first point is a star, for the Nash policy.

    Args:
      paths: `[T, 3]` policies by the name of a dynamics.
      points: `[3]` policy by what it is called, at most five.
      curves: `[N, 3]` policies by what they are called, at most two: such as the
        regularised Nash policies of all tau.
      responses: names of the three responses.
      num_columns: triangles side by side, >= 1.

    Returns:
      The figure.

    Raises:
      ValueError: if there is no path, something is not of three responses, or there are
        too many points or curves.
    """
    points, curves = points or {}, curves or {}
    if not paths or len(points) > len(_POINTS) or len(curves) > len(_GREYS):
        raise ValueError(
            f"a figure has a path or more, at most {len(_POINTS)} points and at most "
            f"{len(_GREYS)} curves, not {len(paths)}, {len(points)} and {len(curves)}"
        )
    paths = {name: _placed(path, name, 2) for name, path in paths.items()}
    points = {name: _placed(point, name, 1) for name, point in points.items()}
    curves = {name: _placed(curve, name, 2) for name, curve in curves.items()}
    num_columns = min(num_columns, len(paths))
    num_rows = -(-len(paths) // num_columns)
    figure = figures.Figure(
        figsize=(max(3.1 * num_columns, 4.2), 2.95 * num_rows + 0.45),
        layout="constrained",
    )
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    styles = figures.styles(list(paths))
    for axes, (name, path) in zip(panels, paths.items(), strict=False):
        _draw_triangle(axes, responses)
        for (label, curve), color in zip(curves.items(), _GREYS, strict=False):
            axes.plot(*curve.T, color=color, linewidth=3.5, label=label, zorder=2)
        color = styles[name].color
        axes.plot(*path.T, color=color, linewidth=1.1, zorder=3)
        axes.scatter(*path[-1], **(_RING | {"edgecolor": color}))
        _draw_points(axes, points)
        axes.set_title(name, fontsize=10)
    for axes in panels[len(paths) :]:
        axes.set_axis_off()
    handles = panels[0].get_legend_handles_labels()[0]
    ring = panels[0].scatter([], [], label="last policy of the path", **_RING)
    figure.legend(
        handles=[*handles, ring],
        loc="outside lower center",
        ncols=min(len(handles) + 1, 1 + num_columns),
        frameon=False,
    )
    return figure


def gap_figure(
    gaps: Mapping[str, np.ndarray],
    *,
    bounds: Mapping[str, np.ndarray] | None = None,
    steps: np.ndarray | None = None,
    label: str = "duality gap",
    least: float = 1e-16,
) -> matplotlib.figure.Figure:
    """How far dynamics are from equilibrium, step by step, on a logarithmic scale.

    Of several runs the line is the median, in a band from the least to the largest.

    Args:
      gaps: `[T]` or `[T, N]` gaps of one or of N runs, by the name of a dynamics, >= 0.
      bounds: `[T]` by the name of a dynamics, drawn dashed in its colour, or by another
        name, drawn dashed and grey.
      steps: `[T]` steps at which the gaps were measured; 1 to T by default.
      label: what is measured, with its unit if it has one.
      least: what is below is drawn there, > 0: rounding, and what has no logarithm.

    Returns:
      The figure.

    Raises:
      ValueError: if a gap or a bound is not of as many steps as there are.
    """
    bounds = {name: np.asarray(bound) for name, bound in (bounds or {}).items()}
    gaps = {name: np.asarray(gap) for name, gap in gaps.items()}
    drawn = [*gaps.items(), *bounds.items()]
    if steps is None:
        steps = 1 + np.arange(len(drawn[0][1]) if drawn else 0)
    for name, values in drawn:
        if values.shape[:1] != np.shape(steps) or values.ndim > 1 + (name in gaps):
            raise ValueError(
                f"{name} has shape {list(values.shape)}: gaps are [T] or [T, N], and "
                f"bounds [T], at {len(steps)} steps here"
            )
    figure = figures.Figure(figsize=(6.4, 3.7), layout="constrained")
    axes = figure.subplots()
    styles = figures.styles(list(gaps))
    for number, (name, values) in enumerate(gaps.items()):
        values = np.maximum(values.reshape(len(steps), -1), least)
        style, stride = styles[name], max(1, len(steps) // 8)
        axes.plot(
            steps,
            np.median(values, axis=1),
            color=style.color,
            marker=style.marker,
            markersize=5,
            # Lines that lie on each other are marked at places of their own.
            markevery=(number * stride // max(len(gaps), 1), stride),
            linewidth=1.3,
            label=name,
        )
        if values.shape[1] > 1:
            axes.fill_between(
                steps,
                values.min(axis=1),
                values.max(axis=1),
                color=style.color,
                alpha=0.15,
                linewidth=0,
            )
    for name, bound in bounds.items():
        color = styles[name].color if name in styles else _GREYS[1]
        label_of = f"{name}: bound" if name in styles else name
        axes.plot(steps, bound, color=color, linestyle="--", label=label_of)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=8))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    figures.finish_axes(axes, "step", label)
    axes.margins(x=0.02)
    if drawn:
        figure.legend(loc="outside right center", frameon=False)
    return figure


def _placed(policies, name, rank):
    """Returns where policies `[..., 3]` are in the plane, `[..., 2]`."""
    policies = np.asarray(policies)
    if policies.ndim != rank or policies.shape[-1] != 3 or not len(policies):
        raise ValueError(
            f"{name} has shape {list(policies.shape)}, and must be "
            f"{['[3]', '[T, 3]'][rank - 1]}: a triangle shows games of three responses"
        )
    return policies @ _CORNERS


def _draw_points(axes, points):
    """Draws the policies that are in every triangle, each with a marker of its own."""
    looks = zip(points.items(), _POINTS, strict=False)
    for (label, point), (marker, fill, size) in looks:
        axes.scatter(
            *point,
            s=size,
            marker=marker,
            facecolor=fill,
            edgecolor="black",
            label=label,
            zorder=4,
        )


def _draw_triangle(axes, responses):
    """Draws the simplex: its border, lines of equal weight, its corners' names."""
    axes.fill(*_CORNERS.T, facecolor="white", edgecolor="#666666", zorder=1)
    for weight in (0.25, 0.5, 0.75):
        for corner in range(3):
            others = np.delete(_CORNERS, corner, axis=0)
            ends = weight * _CORNERS[corner] + (1 - weight) * others
            axes.plot(*ends.T, color="#eeeeee", linewidth=0.7, zorder=1)
    centre = _CORNERS.mean(axis=0)
    for corner, response in zip(_CORNERS, responses, strict=True):
        place = corner + 0.11 * (corner - centre)
        axes.text(*place, response, ha="center", va="center", fontsize=11)
    axes.set_aspect("equal")
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.1, 0.98))
    axes.axis("off")
