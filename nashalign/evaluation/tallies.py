r"""Who won against whom, counted by clusters of prompts, and drawn again by them.

Not every prompt need have an answer of every policy: of people's votes there is one
pair of policies a record. What is counted is enough for everything that is asked of the
policies together (win rates, ratings, the game), and a bootstrap that draws clusters
keeps what belongs together.

Notation: `M` policies, `G` clusters.
"""

from typing import NamedTuple

import chex
import numpy as np

from nashalign import checks, games
from nashalign.evaluation import intervals, win_rates
from nashalign.evaluation.intervals import Clusters, Interval
from nashalign.types import Array, Indices


class Tally(NamedTuple):
    """Wins and comparisons of every pair of policies, by cluster.

    Attributes:
      wins: `[G, M, M]` sum of P(row beats column); a tie is half a win of each.
      counts: `[G, M, M]` number of comparisons, symmetric; the sum of both wins.
    """

    wins: np.ndarray
    counts: np.ndarray


class Pairs(NamedTuple):
    """Comparisons of two policies each, `n` of them.

    Attributes:
      first: `[n]` number of one policy.
      second: `[n]` number of the other.
      preferred: `[n]` P(the first beats the second), in [0, 1]; of several votes the
        mean, with a tie as 1/2.
      clusters: `[n]` name of each comparison's cluster; None, each its own.
    """

    first: Indices
    second: Indices
    preferred: Array
    clusters: Clusters | None = None


def tally_table(preferences: Array, clusters: Clusters | None = None) -> Tally:
    """Counts a table in which every policy meets every other on every prompt.

    Args:
      preferences: `[num_prompts, M, M]` as for `win_rate_matrix`.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.

    Raises:
      ValueError: as `win_rate_matrix`.
    """
    preferences = np.asarray(checks.numeric(preferences, "preferences"))
    chex.assert_rank(preferences, 3)
    preferences = games.check(preferences, name="preferences")
    index = intervals.cluster_index(clusters, len(preferences))
    wins = intervals.cluster_sums(preferences, index)
    sizes = np.bincount(index).astype(np.float64)
    return Tally(wins, np.broadcast_to(sizes[:, None, None], wins.shape))


def tally_pairs(pairs: Pairs, num_policies: int) -> Tally:
    """Counts comparisons of two policies each.

    Args:
      pairs: the comparisons.
      num_policies: M.

    Raises:
      ValueError: a preference is no probability, a policy is compared with itself or is
        none of the M, or there are fewer than two comparisons or clusters.
    """
    first, second, preferred = _checked(pairs, num_policies)
    index = intervals.cluster_index(pairs.clusters, len(preferred))
    wins = np.zeros((index.max() + 1, num_policies, num_policies))
    np.add.at(wins, (index, first, second), preferred)
    np.add.at(wins, (index, second, first), 1 - preferred)
    counts = np.zeros_like(wins)
    np.add.at(counts, (index, first, second), 1.0)
    np.add.at(counts, (index, second, first), 1.0)
    return Tally(wins, counts)


def win_rates_of_pairs(
    pairs: Pairs, num_policies: int, *, confidence: float = 0.95
) -> Interval[np.ndarray]:
    """Mean preference of row over column, each over the comparisons of that pair.

    `win_rate_matrix` where not every policy meets every other on every prompt: clusters
    are those of the comparisons of one pair, each mean with its own t interval.

    Args:
      pairs: the comparisons.
      num_policies: M.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `Interval` of `[M, M]` means and half-widths, 1/2 and 0 on the diagonal.

    Raises:
      ValueError: as `tally_pairs`, or a pair has fewer than two clusters.
    """
    first, second, preferred = _checked(pairs, num_policies)
    clusters = np.arange(len(first)) if pairs.clusters is None else pairs.clusters
    names = np.asarray(clusters)
    mean = np.full((num_policies, num_policies), 0.5)
    half_width = np.zeros_like(mean)
    for i, j in win_rates.pairs_of(num_policies):
        forth, back = ((first == a) & (second == b) for a, b in ((i, j), (j, i)))
        values = np.where(forth, preferred, 1 - preferred)[forth | back]
        if len(set(names[forth | back].tolist())) < 2:
            raise ValueError(
                f"policies {i} and {j} are compared on {len(values)} prompts of fewer "
                "than two clusters: an interval needs two; compare them on more"
            )
        found = intervals.mean_interval(
            values, clusters=names[forth | back].tolist(), confidence=confidence
        )
        mean[i, j], mean[j, i] = found.mean, 1 - found.mean
        half_width[i, j] = half_width[j, i] = found.half_width
    return Interval(mean, half_width)


def redraw(tally: Tally, num_draws: int, generator: np.random.Generator) -> Tally:
    """Draws of the clusters, as many as there are, with replacement.

    Args:
      tally: the counts.
      num_draws: how many draws, `D`.
      generator: of the draws.

    Returns:
      Sums over the drawn clusters, `[D, M, M]` each.

    Raises:
      ValueError: num_draws < 1.
    """
    if num_draws < 1:
        raise ValueError(f"num_draws is {num_draws}; it must be at least 1.")
    num_clusters = len(tally.wins)
    even = np.full(num_clusters, 1 / num_clusters)
    times = generator.multinomial(num_clusters, even, num_draws)
    return Tally(*(np.tensordot(times, own, axes=1) for own in tally))


def rates(wins: Array, counts: Array) -> np.ndarray:
    """Win rates `[*S, M, M]` of sums, antisymmetric about 1/2.

    Args:
      wins: `[*S, M, M]` as of a `Tally`.
      counts: `[*S, M, M]`; where there is no comparison the rate is 1/2.
    """
    wins, counts = np.asarray(wins, np.float64), np.asarray(counts, np.float64)
    found = np.divide(wins, counts, out=np.full(wins.shape, 0.5), where=counts > 0)
    return 0.5 + np.clip((found - found.swapaxes(-1, -2)) / 2, -0.5, 0.5)


def _checked(pairs: Pairs, num_policies: int):
    """The numbers of the policies, and the preferences, `[n]` each."""
    checks.whole(num_policies, "num_policies", least=2)
    first, second = (np.asarray(own, np.int64) for own in pairs[:2])
    preferred = np.asarray(checks.numeric(pairs.preferred, "preferred"), np.float64)
    chex.assert_equal_shape([first, second, preferred])
    wrong = (preferred < 0) | (preferred > 1) | np.isnan(preferred)
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"preferred[{place}] is {preferred[place]:.6g}, not a probability"
        )
    both = np.stack([first, second])
    outside = ((both < 0) | (both >= num_policies)).any(axis=0)
    wrong = outside | (first == second)
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"comparison {place} is of policies {first[place]} and {second[place]}; "
            f"they must be two of the {num_policies}, counted from 0"
        )
    return first, second, preferred
