r"""Ratings: every policy's strength on one line (Bradley & Terry 1952, Biometrika 39).

.. math:: P(i \text{ beats } j) = \sigma(r_i - r_j)

with sigma the logistic function and r in nats of log-odds: a difference of 1 is a win
rate of .73, and 174 points of Elo. Only differences are identified; the mean of all
ratings is 0 here. A rating cannot say that three policies beat each other in a
circle; the win-rate matrix can, and stands beside it.

The likelihood has a maximum where, however the policies are divided in two, each side
has won something against the other (Ford 1957, American Mathematical Monthly 64). Where
that fails some rating is infinite, which is said, or made finite by a prior.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse.csgraph
import scipy.special
import scipy.stats

from nashalign import checks
from nashalign.evaluation import tallies
from nashalign.evaluation.intervals import Interval
from nashalign.types import Array

_PRIOR = 1.0
"""Ties added to each pair where the comparisons alone leave a rating infinite."""


class Ratings(NamedTuple):
    """Bradley-Terry ratings with intervals.

    Attributes:
      ratings: `Interval` of `[M]` ratings, nats, of mean 0.
      prior: ties that were added to each pair that was compared; 0 where none had to
        be. They draw the ratings together.
    """

    ratings: Interval[np.ndarray]
    prior: float


def bradley_terry(
    wins: Array, *, prior: float = 0.0, names: Sequence[str] = ()
) -> np.ndarray:
    r"""Ratings of maximum likelihood.

    .. math:: \arg\max_r \sum_{ij} w_{ij} \log \sigma(r_i - r_j), \qquad \sum_i r_i = 0

    Wins may be sums of probabilities, and a tie is half a win of each. By Newton's
    method, until every policy wins as often as it has, up to 1e-10 of its comparisons.

    Args:
      wins: `[*B, M, M]` how often row has beaten column, at least 0; the diagonal is
        not read. Pairs need not all have been compared.
      prior: ties added to each pair that was compared, at least 0.
      names: of the policies, for messages; their numbers by default.

    Returns:
      `[*B, M]` ratings, nats, of mean 0.

    Raises:
      ValueError: wins are negative or not finite, or leave a rating infinite; says
        whose.
      ArithmeticError: the fit does not converge.
    """
    wins = np.asarray(checks.numeric(wins, "wins"), np.float64)
    if wins.ndim < 2 or wins.shape[-1] != wins.shape[-2]:
        raise ValueError(f"wins has shape {list(wins.shape)}; it must be [*B, M, M]")
    if not np.isfinite(wins).all() or (wins < 0).any():
        raise ValueError("wins holds a negative number, or one that is not finite")
    checks.setting(prior, "prior", least=0)
    wins = with_ties(wins, prior)
    infinite = ~bounded(wins)
    if infinite.any():
        raise ValueError(_unbounded(wins[infinite][0], prior, names))
    return _maximise(wins)


def rate(
    tally: tallies.Tally,
    *,
    num_draws: int = 1000,
    seed: int = 0,
    prior: float | None = None,
    confidence: float = 0.95,
    names: Sequence[str] = (),
) -> Ratings:
    """Bradley-Terry ratings, with intervals from draws of the clusters.

    The half-width is that quantile of Student's t times the standard deviation of the
    ratings over bootstrap draws, with the degrees of freedom of `mean_interval`.

    Args:
      tally: who won against whom, by cluster.
      num_draws: of the bootstrap.
      seed: of the draws.
      prior: ties added to each pair that was compared; None: none if the data and all
        draws leave every rating finite, else 1.
      confidence: coverage aimed at, in (0, 1).
      names: as for `bradley_terry`.

    Raises:
      ValueError: as `bradley_terry`; with a prior, where some policies have never met
        the others.
    """
    checks.setting(confidence, "confidence", above=0, below=1)
    drawn = tallies.redraw(tally, num_draws, np.random.default_rng(seed))
    whole = tally.wins.sum(axis=0)
    if prior is None:
        finite = bounded(whole) & bounded(drawn.wins).all()
        prior = 0.0 if finite else _PRIOR
    ratings = bradley_terry(whole, prior=prior, names=names)
    # Of a pair that a draw has not drawn, the ties are there all the same.
    ties = with_ties(whole, prior) - whole
    draws = bradley_terry(drawn.wins + ties, names=names)
    sizes = tally.counts.sum(axis=(1, 2))
    degrees = sizes.sum() ** 2 / (sizes**2).sum() - 1
    quantile = scipy.stats.t.ppf((1 + confidence) / 2, degrees)
    return Ratings(Interval(ratings, quantile * draws.std(axis=0, ddof=1)), prior)


def with_ties(wins: np.ndarray, number: float) -> np.ndarray:
    """Wins `[*B, M, M]` with so many ties more for each pair that was compared."""
    compared = wins + wins.swapaxes(-1, -2) > 0
    return wins + np.where(compared, number / 2, 0.0)


def bounded(wins: np.ndarray) -> np.ndarray:
    """Whether every rating is finite: Ford's condition, `[*B]` bool.

    Args:
      wins: `[*B, M, M]` how often row has beaten column.
    """
    reached = (np.asarray(wins) > 0) | np.eye(wins.shape[-1], dtype=bool)
    for _ in range(int(np.ceil(np.log2(max(wins.shape[-1], 2))))):
        reached = reached @ reached
    return np.asarray(reached.all(axis=(-1, -2)))


def _unbounded(wins: np.ndarray, prior: float, names: Sequence[str]) -> str:
    """Why a rating is infinite, of one matrix `[M, M]`."""
    shown = list(names) or [str(number) for number in range(len(wins))]
    number, part = scipy.sparse.csgraph.connected_components(
        wins > 0, directed=True, connection="strong"
    )
    for own in range(number):
        inside, outside = part == own, part != own
        if not wins[np.ix_(outside, inside)].any():
            best = [shown[place] for place in np.flatnonzero(inside)]
            break
    met = wins[np.ix_(inside, outside)].any()
    why = "never lose to" if met else "have never met"
    others = [shown[place] for place in np.flatnonzero(outside)]
    end = f"give a prior above {prior:g}" if met else "compare them"
    return (
        f"there are no finite ratings: {', '.join(best)} {why} {', '.join(others)}; "
        f"{end}, or leave one side out"
    )


def _maximise(wins: np.ndarray) -> np.ndarray:
    """The maximum of the likelihood, of wins that have one."""
    size = wins.shape[-1]
    wins = np.where(np.eye(size, dtype=bool), 0.0, wins)
    counts = wins + wins.swapaxes(-1, -2)
    ratings = np.zeros(wins.shape[:-1])
    enough = 1e-10 * counts.sum(axis=-1)
    for _ in range(1000):
        won = scipy.special.expit(ratings[..., :, None] - ratings[..., None, :])
        gradient = (wins - counts * won).sum(axis=-1)
        if (np.abs(gradient) <= enough).all():
            return ratings - ratings.mean(axis=-1, keepdims=True)
        curvature = counts * won * (1 - won)
        # The last term holds the ratings' mean where it is.
        hessian = np.eye(size) * curvature.sum(axis=-1, keepdims=True) - curvature
        hessian = hessian + curvature.sum(axis=(-1, -2), keepdims=True) / size**2
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # Newton's steps are too long where one side nearly always wins.
        ratings = ratings + step / np.abs(step).max(axis=-1, keepdims=True, initial=1.0)
    raise ArithmeticError(
        "the ratings do not converge: a policy hardly ever wins, or hardly ever loses"
    )
