r"""Who beats whom: the matrix of win rates among policies.

Notation: `M` policies, `x` a prompt, `P(i beats j | x)` the annotator's preference for
policy i's response over policy j's, averaged over the responses sampled for the prompt.
A win rate is the mean over prompts. It is *not* the probability that i is the better
policy: that is a statement about the interval.

The whole matrix is kept: ratings (`ratings`) put all policies on one line, and so hide
what a general preference can say. `empirical_game` reads it as it is.
"""

import itertools
from collections.abc import Callable

import chex
import numpy as np

from nashalign import checks, games
from nashalign.evaluation import intervals
from nashalign.types import Array


def preference_table(
    compare: Callable[[int, int], Array], num_policies: int
) -> np.ndarray:
    """Ask for each pair of policies once; the other half follows by antisymmetry.

    Args:
      compare: function of two policies' indices (i, j), i < j, that returns
        `[num_prompts]` or `[num_prompts, N]` P(i's response beats j's), one number for
        each of the prompt's N response pairs; these are averaged here.
      num_policies: M, at least 2.

    Returns:
      `[num_prompts, M, M]` preferences, 1/2 on the diagonal.

    Raises:
      TypeError: an answer holds no numbers.
      ValueError: an answer is no probability or of another shape, or there are fewer
        than two policies.
    """
    checks.whole(num_policies, "num_policies", least=2)
    pairs = pairs_of(num_policies)
    answers = {
        pair: np.asarray(
            checks.number(compare(*pair), f"compare{pair}", least=0, most=1), np.float64
        )
        for pair in pairs
    }
    shapes = {pair: answer.shape for pair, answer in answers.items()}
    for pair, shape in shapes.items():
        if shape != shapes[pairs[0]] or not 1 <= len(shape) <= 2 or not all(shape):
            raise ValueError(
                f"compare{pair} has shape {list(shape)}, and compare{pairs[0]} "
                f"{list(shapes[pairs[0]])}: all must be [num_prompts] or [num_prompts, "
                "N], of the same prompts"
            )
    table = np.full((len(answers[pairs[0]]), num_policies, num_policies), 0.5)
    for (i, j), answer in answers.items():
        table[:, i, j] = answer.reshape(len(answer), -1).mean(axis=1)
        table[:, j, i] = 1.0 - table[:, i, j]
    return table


def pairs_of(num_policies: int) -> list[tuple[int, int]]:
    """Every pair of policies once, `(i, j)` with i < j."""
    return list(itertools.combinations(range(num_policies), 2))


def win_rate_matrix(
    preferences: Array,
    *,
    clusters: intervals.Clusters | None = None,
    seeds: intervals.Variance[np.ndarray] | None = None,
    confidence: float = 0.95,
) -> intervals.Interval[np.ndarray]:
    r"""Mean preference of row over column, with t intervals over prompts and seeds.

    .. math:: W_{ij} = \frac{1}{n} \sum_x P(i \text{ beats } j \mid x)

    Exactly antisymmetric: `W + W^T = 1`, and the half-widths are symmetric. The
    intervals hold cell by cell; they are not simultaneous over the matrix.
    Calandriello et al. 2024, table 2 (arXiv:2403.08635), whose spread is over seeds.

    Args:
      preferences: `[num_prompts, M, M]` P(row's response beats column's), in [0, 1],
        `preferences[x] + preferences[x].T == 1`; several responses averaged before.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      seeds: `[M]` variance that each policy's seeds add, of `average_runs`; those of
        row and column add up. None: the intervals are over prompts alone.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval` of `[M, M]` means and half-widths, as of `mean_interval`.

    Raises:
      ValueError: a preference outside [0, 1], NaN or not antisymmetric to 1e-6, or
        fewer than two prompts or clusters.
    """
    preferences = np.asarray(checks.numeric(preferences, "preferences"))
    chex.assert_rank(preferences, 3)
    preferences = games.check(preferences, name="preferences")
    # Float32 annotators round: split what is missing to one between the two orders.
    excess = preferences + preferences.swapaxes(1, 2) - 1.0
    if seeds is not None:
        both = np.add.outer(seeds.value, seeds.value)
        np.fill_diagonal(both, 0.0)
        seeds = intervals.Variance(both, seeds.degrees)
    return intervals.mean_interval(
        preferences - excess / 2, clusters=clusters, seeds=seeds, confidence=confidence
    )
