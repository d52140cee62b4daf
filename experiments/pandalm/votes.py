"""Votes of several people on pairs of answers: comparisons, and how far they agree."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from nashalign import data, evaluation


@dataclasses.dataclass(frozen=True)
class Ballot:
    """People's votes on pairs of answers of two models each.

    Attributes:
      names: of the M models.
      first: `[n]` number of the model that wrote one answer.
      second: `[n]` number of the model that wrote the other.
      votes: `[n, V]` of each person, 1 for the first model's answer, 0 for the second
        one's, 1/2 for a tie.
      clusters: `[n]` what is answered: the instruction.
    """

    names: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    votes: np.ndarray
    clusters: tuple[str, ...]

    def pairs(self, voter: int | None = None) -> evaluation.Pairs:
        """Returns the comparisons, by one person's votes or by the mean of all."""
        votes = self.votes.mean(axis=1) if voter is None else self.votes[:, voter]
        return evaluation.Pairs(self.first, self.second, votes, self.clusters)


def ballot(records: Sequence[data.Record]) -> Ballot:
    """Returns the votes of records of pairs.

    Args:
      records: with `votes` and `authors`, as many votes each.

    Raises:
      ValueError: a record lacks either, or has others' number of votes.
    """
    numbers = {len(own.votes or ()) for own in records}
    if len(numbers) != 1 or 0 in numbers or any(own.authors is None for own in records):
        raise ValueError(
            f"records have {sorted(numbers)} votes; all must have the same number, and "
            "say which model wrote which answer"
        )
    authors = [own.authors or ("", "") for own in records]
    names = tuple(sorted({name for pair in authors for name in pair}))
    first, second = (
        np.array([names.index(pair[side]) for pair in authors]) for side in (0, 1)
    )
    return Ballot(
        names=names,
        first=first,
        second=second,
        votes=np.array([own.votes for own in records], np.float64),
        clusters=tuple(own.prompt for own in records),
    )


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far people agree about the same pairs.

    Attributes:
      unanimous: share of the pairs about which all say the same.
      agreed: by two people's numbers, share of the pairs about which both do.
      kappa: their mean agreement above chance.
      ties: share of the votes that are ties.
    """

    unanimous: evaluation.Interval[float]
    agreed: dict[tuple[int, int], evaluation.Interval[float]]
    kappa: float
    ties: float


def agreement(own: Ballot) -> Agreement:
    r"""Returns how far people agree.

    .. math:: \kappa = \frac{p - e}{1 - e}, \qquad e = t^2 + (1 - t)^2 / 2

    with p the mean share of agreeing pairs of people and t the share of ties: chance
    draws ties as often as people do, and either answer as often as the other, since
    which of the two is the first means nothing (Scott 1955, Fleiss 1971).

    Args:
      own: the votes, of two people or more.
    """
    votes = own.votes
    pairs = list(itertools.combinations(range(votes.shape[1]), 2))
    same = {(i, j): votes[:, i] == votes[:, j] for i, j in pairs}
    ties = float((votes == 0.5).mean())
    chance = ties**2 + (1 - ties) ** 2 / 2
    observed = float(np.mean(list(same.values())))

    def interval(shares):
        return evaluation.mean_interval(shares * 1.0, clusters=own.clusters)

    return Agreement(
        unanimous=interval((votes == votes[:, :1]).all(axis=1)),
        agreed={pair: interval(shares) for pair, shares in same.items()},
        kappa=(observed - chance) / (1 - chance),
        ties=ties,
    )
