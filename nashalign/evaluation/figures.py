"""Figures of a report: how policies look in all of them, and the win-rate matrix.

Each function returns a `Figure` made without pyplot, so that no global state is
touched; a notebook shows it, `save_figure` writes it. A policy has the same colour,
line and marker in every figure. The colours are those of Okabe and Ito (2008), which
people with any colour vision can tell apart; the markers do the same in print.
"""

import io
import itertools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.axes
import matplotlib.figure
import numpy as np

from nashalign.evaluation import layout, tables
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.published import Published

_COLOURS = (
    "#0072B2",  # blue
    "#56B4E9",  # sky
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
)
_MARKERS = "oDs^vP"
_GREY = "#666666"
# Methods that figures of exact games show beside those of `layout.METHODS`.
_EXACT = {
    "EGPO": ("#000000", "X"),
    "mirror descent": ("#AA4499", "d"),
    "Nash-MD": ("#117733", "p"),
    "INPO": ("#999933", ">"),
    "COMAL": ("#332288", "h"),
    "SPPO": ("#882255", "<"),
    "iterative IPO": ("#44AA99", "8"),
    "iterative DPO": ("#DD7788", "*"),
}
# What a paper calls by its objective, whoever writes its pairs.
_SAME = {"online IPO": "IPO", "online DPO": "DPO", "online SLiC": "SLiC"}


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows where it is a cell's last line.

    Notebooks know how to show matplotlib's own only once pyplot is imported.
    """

    def _repr_png_(self) -> bytes:
        """The image that a notebook asks for."""
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=100, bbox_inches="tight")
        return image.getvalue()


class Style(NamedTuple):
    """How a policy is drawn.

    Attributes:
      color: hexadecimal colour.
      marker: matplotlib marker.
    """

    color: str
    marker: str


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each policy; a known method has the same one in every figure.

    Args:
      names: names of policies.

    Returns:
      Mapping from name to `Style`.
    """
    cycle = itertools.cycle(map(Style, _COLOURS, _MARKERS))
    drawn = dict(zip(layout.METHODS, cycle, strict=False))
    drawn |= {name: Style(*style) for name, style in _EXACT.items()}
    drawn[layout.START] = Style(_GREY, "*")
    others = [name for name in names if _SAME.get(name, name) not in drawn]
    drawn |= dict(zip(others, cycle, strict=False))
    return {name: drawn[_SAME.get(name, name)] for name in names}


def save_figure(figure: matplotlib.figure.Figure, path: str | pathlib.Path) -> None:
    """Write the figure as an image of the path's format.

    Args:
      figure: what the functions of this module return.
      path: file to write; `.png`, `.pdf`, `.svg`.
    """
    figure.savefig(path, dpi=160, facecolor="white", bbox_inches="tight")


def win_rate_figure(
    names: Sequence[str],
    win_rates: Interval[np.ndarray],
    *,
    published: Published | None = None,
    title: str = "This run",
    over: str = "prompts",
) -> matplotlib.figure.Figure:
    """Heat map of the win-rate matrix, on one scale of colours with a published one.

    Of that, the policies are drawn that are in ours; fewer than two are left out.

    Args:
      names: names of the M policies, in any order; laid out in `order`'s.
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.
      published: what is drawn beside it, if anything is.
      title: head of the left panel: which annotator, which prompts.
      over: what the intervals are over.

    Returns:
      The figure.
    """
    places = layout.order(names)
    ours = Interval(
        *(part[np.ix_(places, places)] for part in map(np.asarray, win_rates))
    )
    panels: list[tuple[Sequence[str], Interval[np.ndarray]]]
    panels = [([names[i] for i in places], ours)]
    heads = [f"{title}\n± half of the 95% interval over {over}"]
    shared = published.compared(names) if published else ()
    if published and shared:
        rows = [published.methods.index(name) for name in shared]
        both = published.mean, published.std
        theirs = Interval(*(np.array(own)[np.ix_(rows, rows)] for own in both))
        panels.append((shared, theirs))
        heads.append(f"{published.source}\n{published.spread}")
    # A panel is as wide as its cells, or as its head.
    widths = [max(0.86 * len(own), 4.6 - 0.5 * len(panels)) for own, _ in panels]
    figure = Figure(
        figsize=(sum(widths) + 1.3 * len(panels), 0.62 * len(places) + 1.7),
        layout="constrained",
    )
    [drawn] = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)
    images = []
    for axes, panel, head in zip(drawn, panels, heads, strict=True):
        images.append(_draw_matrix(axes, *panel))
        axes.set_title(head, fontsize=10)
        axes.set_ylim(len(places) - 0.5, -0.5)  # rows side by side
    bar = figure.colorbar(images[-1], ax=list(drawn), fraction=0.03, pad=0.02)
    bar.set_label("preference for the row over the column")
    bar.outline.set_visible(False)
    return figure


def _draw_matrix(axes, names, win_rates):
    """One panel: a coloured cell for each pair, its number written in it."""
    image = axes.imshow(win_rates.mean, cmap="PuOr", vmin=0.2, vmax=0.8, aspect="auto")
    axes.set_xticks(
        range(len(names)), names, rotation=30, ha="left", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(
        length=0, top=False, labeltop=True, bottom=False, labelbottom=False
    )
    axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    for (i, j), mean in np.ndenumerate(win_rates.mean):
        spread = win_rates.half_width[i, j]
        text = tables.share(mean) + (f"\n±{tables.share(spread)}" if spread > 0 else "")
        color = "white" if abs(mean - 0.5) > 0.2 else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    return image


def finish_axes(axes: matplotlib.axes.Axes, horizontal: str, vertical: str) -> None:
    """Give a panel its labels and a faint grid, and take its box away.

    Args:
      axes: the panel.
      horizontal: label of the horizontal axis.
      vertical: label of the vertical axis.
    """
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
