r"""How often a judge is right, and whether it knows how often.

A judge says P(y beats z) = `p` of a pair whose share of votes for y is `q`. Which of
the two comes first means nothing, so each pair is read from the side that the judge
prefers:

.. math:: c = \max(p, 1 - p), \qquad r = q \text{ if } p > 1/2,\ 1 - q \text{ if }
    p < 1/2,\ 1/2 \text{ otherwise}

`c`, its confidence, is in [1/2, 1]; `r` is how right it was. Calibrated is a judge of
whose answers of confidence c a share c is right.
"""

import dataclasses
from typing import NamedTuple

import matplotlib.axes
import numpy as np

from nashalign import checks
from nashalign.evaluation import figures, intervals
from nashalign.types import Array

_DRAWS = 1000
_LEAST = 1e-7


class Bin(NamedTuple):
    """Pairs of about one confidence.

    Attributes:
      confidence: their mean c.
      right: mean r, with an interval; they are of one cluster where it is 1 to a side.
      number: pairs.
    """

    confidence: float
    right: intervals.Interval[float]
    number: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    r"""What a judge's answers are worth; all intervals are of 95%, over clusters.

    Attributes:
      accuracy: mean r, in [0, 1]; a coin has one half.
      attainable: mean of max(q, 1 - q): of one who knows the votes' shares.
      overconfidence: mean c - r, in [-1/2, 1]; above zero says too much.
      cross_entropy: mean -q log p - (1 - q) log(1 - p), nats; a coin has log 2.
      error: expected calibration error, the mean over bins of \|c - r\| weighted by
        their pairs (Naeini et al. 2015), in [0, 1]. Chance alone makes it positive.
      error_range: ends of the 95% percentile interval of `error`, by a bootstrap of
        clusters; chance counts twice in it, so that it reaches too high.
      bins: what a reliability diagram shows.
    """

    accuracy: intervals.Interval[float]
    attainable: float
    overconfidence: intervals.Interval[float]
    cross_entropy: intervals.Interval[float]
    error: float
    error_range: tuple[float, float]
    bins: tuple[Bin, ...]


def measure_calibration(
    said: Array,
    votes: Array,
    *,
    clusters: intervals.Clusters | None = None,
    num_bins: int = 10,
    seed: int = 0,
) -> Calibration:
    """Measures a judge's answers against votes on the same pairs.

    Args:
      said: `[n]` the judge's P(y beats z), in [0, 1].
      votes: `[n]` share of the votes for y, in [0, 1]; a tie is one half of a vote.
      clusters: `[n]` name of each pair's cluster, such as its prompt's; None, each its
        own.
      num_bins: bins of equal width of the confidence; those without a pair are left
        out.
      seed: of the bootstrap.

    Raises:
      ValueError: fewer than two pairs or clusters, or a number that is no probability.
    """
    checks.whole(num_bins, "num_bins")
    p, q = _probabilities(said, "said"), _probabilities(votes, "votes")
    if p.shape != q.shape:
        raise ValueError(f"said is of {len(p)} pairs and votes of {len(q)}")
    index = intervals.cluster_index(clusters, len(p))
    confidence = np.maximum(p, 1 - p)
    right = np.where(p > 0.5, q, 1 - q)
    right[p == 0.5] = 0.5
    sure = np.clip(p, _LEAST, 1 - _LEAST)
    entropy = -q * np.log(sure) - (1 - q) * np.log(1 - sure)
    places = np.minimum(((confidence - 0.5) * 2 * num_bins).astype(int), num_bins - 1)
    gaps = np.zeros((len(p), num_bins))
    gaps[np.arange(len(p)), places] = confidence - right

    def mean(values):
        return intervals.mean_interval(values, clusters=index)

    return Calibration(
        accuracy=mean(right),
        attainable=float(np.maximum(q, 1 - q).mean()),
        overconfidence=mean(confidence - right),
        cross_entropy=mean(entropy),
        error=float(np.abs(gaps.mean(0)).sum()),
        error_range=_bootstrapped(gaps, index, seed),
        bins=tuple(
            _bin(confidence, right, index, places == place)
            for place in np.unique(places)
        ),
    )


def reliability_figure(found: Calibration, *, title: str = "") -> figures.Figure:
    """Draws how often answers of each confidence are right, and how many there are.

    Args:
      found: of `measure_calibration`.
      title: head of the figure.
    """
    figure = figures.Figure(figsize=(4.6, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    draw_reliability(above, found)
    above.set_title(title, fontsize=10)
    x = [own.confidence for own in found.bins]
    below.bar(x, [own.number for own in found.bins], width=0.03, color="#56B4E9")
    figures.finish_axes(below, "what the judge says, its confidence", "pairs")
    return figure


def draw_reliability(axes: matplotlib.axes.Axes, found: Calibration) -> None:
    """Draws how often answers of each confidence are right.

    Args:
      axes: the panel.
      found: of `measure_calibration`.
    """
    axes.plot([0.5, 1], [0.5, 1], color="#666666", linewidth=1, linestyle="--")
    axes.errorbar(
        [own.confidence for own in found.bins],
        [own.right.mean for own in found.bins],
        yerr=[own.right.half_width for own in found.bins],
        color="#0072B2",
        marker="o",
        capsize=3,
        linewidth=1.5,
    )
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0.48, 1.02)
    figures.finish_axes(axes, "", "share that is right")


def _probabilities(values: Array, name: str) -> np.ndarray:
    """Numbers `[n]` that are probabilities."""
    # A truth value is the vote of one voter.
    if getattr(values, "dtype", None) != np.bool_:
        checks.numeric(values, name)
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"{name} must be a list of numbers in [0, 1]")
    return found


def _bin(confidence, right, index, own) -> Bin:
    """Pairs of a bin, and how far their share may be from what it seems."""
    whole = len(np.unique(index[own])) < 2
    share = (
        intervals.Interval(float(right[own].mean()), 1.0)
        if whole
        else intervals.mean_interval(right[own], clusters=index[own])
    )
    return Bin(float(confidence[own].mean()), share, int(own.sum()))


def _bootstrapped(gaps: np.ndarray, index: np.ndarray, seed: int):
    """Ends of the interval of the calibration error."""
    sums, sizes = intervals.cluster_sums(gaps, index), np.bincount(index)
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        own = generator.integers(len(sums), size=len(sums))
        drawn.append(np.abs(sums[own].sum(0)).sum() / sizes[own].sum())
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
