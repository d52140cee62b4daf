"""Many methods in one figure: what each wins, and what it pays for that in KL."""

from collections.abc import Mapping, Sequence

import matplotlib.axes
import matplotlib.figure
import numpy as np

from nashalign import checks
from nashalign.evaluation import figures
from nashalign.evaluation.intervals import Interval
from nashalign.evaluation.summary import Summary


def ranking_figure(
    summaries: Sequence[Summary], kinds: Mapping[str, str], *, title: str = ""
) -> matplotlib.figure.Figure:
    """A line a method, best first: win rate, and KL to the start policy, as intervals.

    Args:
      summaries: of methods with a win rate against the start policy and a KL.
      kinds: of each method by its name; its colour and marker.
      title: head of the figure.

    Returns:
      The figure, as high as the methods' names need.
    """
    ranked = sorted(summaries, key=lambda own: -_wins(own).mean)
    drawn = figures.styles(list(dict.fromkeys(kinds[own.method] for own in ranked)))
    figure = figures.Figure(
        figsize=(9, max(3.5, 0.17 * len(ranked) + 1.4)), layout="constrained"
    )
    figure.suptitle(title, fontsize=11)
    wins, divergence = figure.subplots(1, 2, sharey=True)
    wins.axvline(0.5, color="#666666", linewidth=1.0, linestyle="--", zorder=1)
    for kind, style in drawn.items():
        own = [place for place, s in enumerate(ranked) if kinds[s.method] == kind]
        for axes, values in (
            (wins, [_wins(ranked[place]) for place in own]),
            (divergence, [_divergence(ranked[place]) for place in own]),
        ):
            _draw(axes, own, values, style, label=kind)
    wins.set_yticks(range(len(ranked)), [own.method for own in ranked], fontsize=7.5)
    wins.set_ylim(len(ranked) - 0.4, -0.6)
    wins.set_xlabel("win rate against the start policy")
    divergence.set_xlabel("KL to the start policy (nats a response)")
    for axes in (wins, divergence):
        axes.tick_params(axis="y", length=0)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(
        *wins.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure


def _wins(summary: Summary) -> Interval[float]:
    """A win rate, which what is drawn must have."""
    return checks.present(summary.win_rate, f"win_rate of {summary.method}")


def _divergence(summary: Summary) -> Interval[float]:
    """A divergence, which what is drawn must have."""
    return checks.present(summary.kl, f"kl of {summary.method}")


def _draw(
    axes: matplotlib.axes.Axes,
    places: Sequence[int],
    values: Sequence[Interval[float]],
    style: figures.Style,
    label: str,
) -> None:
    """Points with their intervals, each on its line."""
    mean, half_width = np.array(values, np.float64).T
    axes.errorbar(
        mean,
        places,
        xerr=half_width,
        fmt=style.marker,
        color=style.color,
        markersize=4.5,
        elinewidth=1.0,
        label=label,
    )
