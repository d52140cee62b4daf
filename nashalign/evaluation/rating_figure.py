"""Ratings and the Nash mixture side by side: one line of policies, and the game."""

from collections.abc import Sequence

import matplotlib.figure
import numpy as np

from nashalign import checks
from nashalign.evaluation import figures
from nashalign.evaluation.summary import Summary


def rating_figure(
    summaries: Sequence[Summary], *, title: str = ""
) -> matplotlib.figure.Figure:
    """A line a policy, best first: its rating, and its part in the Nash mixture.

    Args:
      summaries: of policies with a rating, a weight in the Nash mixture and the share
        of bootstrap draws in which they have one.
      title: head of the figure.

    Returns:
      The figure.

    Raises:
      ValueError: a policy lacks one of these.
    """
    ranked = sorted(summaries, key=lambda own: -_present(own, "rating").mean)
    names = [own.method for own in ranked]
    places = np.arange(len(ranked))
    figure = figures.Figure(figsize=(8, 0.42 * len(ranked) + 1.6), layout="constrained")
    figure.suptitle(title, fontsize=10)
    ratings, mixture = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for place, (own, style) in enumerate(
        zip(ranked, figures.styles(names).values(), strict=True)
    ):
        rating = _present(own, "rating")
        ratings.errorbar(
            rating.mean,
            place,
            xerr=rating.half_width,
            fmt=style.marker,
            color=style.color,
            capsize=3,
        )
    ratings.axvline(0, color="#666666", linewidth=1.0, linestyle="--", zorder=1)
    ratings.set_yticks(places, names)
    ratings.set_ylim(len(ranked) - 0.4, -0.6)
    ratings.set_xlabel("Bradley-Terry rating (nats), 95% intervals")
    weights = [_present(own, "nash") for own in ranked]
    shares = [_present(own, "nash_share") for own in ranked]
    mixture.barh(places, weights, height=0.55, color="#56B4E9", label="weight")
    mixture.plot(
        shares, places, "D", color="black", markersize=4, label="share of draws in it"
    )
    mixture.set_xlim(-0.03, 1.03)
    mixture.set_xlabel("Nash mixture")
    mixture.legend(fontsize=8, frameon=False)
    for axes in (ratings, mixture):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _present(summary: Summary, field: str):
    """A field that what is drawn must have."""
    return checks.present(getattr(summary, field), f"{field} of {summary.method}")
