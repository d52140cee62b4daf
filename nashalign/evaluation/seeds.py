r"""Training seeds: how much they move a number, and averages over them.

A method is trained with a few seeds, and its number is their mean. How far three seeds
scatter tells little about one method, and a bootstrap of them is too sure of itself;
taken together, the seeds of all methods tell enough. So the variance over seeds is
pooled over methods, which are taken to vary alike, and has Student's quantiles.

Notation: `M` methods, `S_m` runs of method m that differ by their seed alone, `R` runs
in all.
"""

import math
from collections.abc import Collection, Sequence

import chex
import numpy as np
import scipy.stats

from nashalign import games
from nashalign.evaluation.intervals import Clusters, Interval, Variance, mean_interval
from nashalign.types import Array, Indices


def pooled_variance(groups: Sequence[Array]) -> Variance | None:
    r"""Variance of one run over training seeds, pooled over methods.

    .. math:: \frac{\sum_m \sum_s (v_{ms} - \bar v_m)^2}{\sum_m (S_m - 1)}

    Methods are taken to vary alike: three seeds of one say next to nothing (Student's
    quantile at two degrees of freedom is 4.3), those of six methods have twelve.

    Args:
      groups: for each method, or each of its settings, `[S_m, *K]` the means over
        prompts of its runs; with `*K`, of several quantities.

    Returns:
      `Variance` of one run, `[*K]`; None where no group has two runs.

    Raises:
      ValueError: a value that is not finite.
    """
    groups = [np.asarray(group, np.float64) for group in groups]
    degrees = sum(len(group) - 1 for group in groups)
    if degrees < 1:
        return None
    squares = sum(
        np.sum((group - np.mean(group, axis=0)) ** 2, axis=0) for group in groups
    )
    if not np.isfinite(squares).all():
        raise ValueError("The mean of a run over its prompts is not finite.")
    return Variance(squares / degrees, float(degrees))


def seed_intervals(
    runs: Sequence[Array],
    *,
    clusters: Clusters | None = None,
    known: Variance | None = None,
    confidence: float = 0.95,
) -> list[Interval[float]]:
    """Mean of each method over its seeds and prompts, with an interval over both.

    Args:
      runs: for each method `[S_m, num_prompts]`, a row a training seed.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      known: variance of one run over seeds, from elsewhere; used where no method has
        two. None: intervals are over prompts alone then.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      List of `Interval`, one a method.

    Raises:
      ValueError: as `mean_interval`.
    """
    runs = [np.asarray(own, np.float64) for own in runs]
    variance = pooled_variance([own.mean(axis=1) for own in runs]) or known
    return [
        mean_interval(
            own.mean(axis=0),
            clusters=clusters,
            seeds=of_mean(variance, len(own)),
            confidence=confidence,
        )
        for own in runs
    ]


def of_mean(variance: Variance | None, num_seeds: int) -> Variance | None:
    """Variance of the mean of some runs.

    Args:
      variance: of one run, or None where it is not known.
      num_seeds: number of the runs.

    Returns:
      `Variance`, or None.
    """
    if variance is None:
        return None
    return Variance(np.divide(variance.value, num_seeds)[()], variance.degrees)


def widen(
    interval: Interval[float],
    seeds: Variance[float] | None,
    *,
    confidence: float = 0.95,
) -> Interval[float]:
    """An interval over prompts alone, made one over seeds too.

    Half-widths add in squares, each with its own quantile; that is at least as wide as
    what Satterthwaite's degrees of freedom give.

    Args:
      interval: over prompts, of any kind.
      seeds: variance of its mean due to seeds; None leaves the interval as it is.
      confidence: coverage that the interval aims at.

    Returns:
      `Interval`.
    """
    if seeds is None:
        return interval
    quantile = scipy.stats.t.ppf((1 + confidence) / 2, seeds.degrees)
    reach = math.hypot(interval.half_width, quantile * math.sqrt(seeds.value))
    return Interval(interval.mean, reach)


def average_runs(
    preferences: Array,
    methods: Indices,
    *,
    fixed: Collection[int] = (),
    known: Variance[float] | None = None,
) -> tuple[np.ndarray, Variance[np.ndarray] | None]:
    r"""Preferences between methods, from those between all their runs.

    .. math:: P_x(i, j) = \frac{1}{S_i S_j} \sum_{r \in i} \sum_{r' \in j} P_x(r, r')

    Every run of one method meets every run of the other. Both methods vary: with the
    effects of their seeds additive, a win rate's variance due to seeds is `sigma^2 (1 /
    S_i + 1 / S_j)`. The variance sigma^2 of one run is pooled over all methods and all
    their opponents; since the opponents are the same, they add no degrees of freedom.

    Args:
      preferences: `[num_prompts, R, R]` P(row's response beats column's), in [0, 1].
      methods: `[R]` number of the method that each run is of, from 0, each with a run.
      fixed: methods that no seed has a part in, such as the start policy.
      known: variance of one run's win rate over seeds, from elsewhere; used where no
        method has two runs.

    Returns:
      Preferences `[num_prompts, M, M]`; and the `Variance` `[M]` of each method's own
      part, for `win_rate_matrix`, None where it is not known.

    Raises:
      ValueError: what `games.check` refuses.
    """
    preferences = games.check(preferences, name="preferences")
    methods = np.asarray(methods)
    chex.assert_shape(preferences, (None, len(methods), len(methods)))
    counts = np.bincount(methods)
    share = (methods == np.arange(len(counts))[:, None]) / counts[:, None]
    table = share @ preferences @ share.T
    # Each run against each method: [R, M].
    won = preferences.mean(axis=0) @ share.T
    groups = [
        np.delete(won[methods == method], method, axis=1)
        for method in range(len(counts))
        if method not in fixed
    ]
    pooled = pooled_variance(groups)
    if pooled is not None:
        pooled = Variance(float(np.mean(pooled.value)), pooled.degrees)
    variance = pooled or known
    if variance is None:
        return table, None
    own = np.array([0.0 if m in fixed else 1 / n for m, n in enumerate(counts)])
    return table, Variance(variance.value * own, variance.degrees)
