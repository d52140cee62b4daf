r"""What a judge goes by besides the texts, and whether it agrees: with itself, people.

Of a pair of responses y, z, a judge is asked in both orders: `s_y` is what it gives to
y shown first, `s_z` to z shown first, each P(the first one is better). What it says of
the pair is

.. math:: p = \tfrac12 \big(s_y + 1 - s_z\big)

as in Guo et al. 2024 (arXiv:2402.04792). A judge that reads the texts alone has
:math:`s_z = 1 - s_y`; one that reads their places alone has :math:`s_z = s_y`. All
intervals are of 95%, over clusters of pairs.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nashalign import checks, games
from nashalign.evaluation import calibration, intervals
from nashalign.types import Array

Share = intervals.Interval[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Orders:
    """What a judge says of pairs in both orders.

    Attributes:
      y_first: `[n]` P(y is better) where y is shown first, in [0, 1].
      z_first: `[n]` P(z is better) where z is shown first, in [0, 1].

    Raises:
      ValueError: they are not of the same pairs, or no probabilities.
    """

    y_first: np.ndarray
    z_first: np.ndarray

    def __post_init__(self):
        """Checks the numbers."""
        for name in ("y_first", "z_first"):
            own = np.asarray(checks.numeric(getattr(self, name), name), np.float64)
            if own.ndim != 1 or not ((own >= 0) & (own <= 1)).all():
                raise ValueError(f"{name} must be a list of probabilities")
            object.__setattr__(self, name, own)
        if len(self.y_first) != len(self.z_first):
            raise ValueError(
                f"y is shown first in {len(self.y_first)} pairs, and z in "
                f"{len(self.z_first)}; ask about each pair in both orders"
            )

    @property
    def preferred(self) -> np.ndarray:
        """`[n]` P(y beats z), both orders averaged."""
        return (self.y_first + 1 - self.z_first) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class People:
    """How a judge and people agree; a tie is the toss of a coin on either side.

    Attributes:
      calibration: of the judge against the votes; its accuracy is the share of the
        votes that the judge's verdicts agree with.
      among: the same of one voter with another one on the same pair, over pairs with
        two or more; None where there are none.
      longer: mean share of votes for the longer response, less one half.
    """

    calibration: calibration.Calibration
    among: Share | None
    longer: Share | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    r"""What a judge goes by.

    Attributes:
      number: pairs.
      first: mean of :math:`s_y` and :math:`s_z`, less one half, in [-1/2, 1/2]: how
        much more probable an answer is for being shown first.
      y_first: mean :math:`s_y`.
      z_first: mean :math:`s_z`.
      same: share of pairs in which the same response wins in both orders; the others
        are decided by place. A tie is the toss of a coin.
      longer: mean p of the longer response, less one half; None where all lengths are
        equal.
      circles: share of triples of responses to a prompt that beat each other in a
        circle; None where fewer than two prompts have three responses.
      people: None where nobody has voted.
    """

    number: int
    first: Share
    y_first: Share
    z_first: Share
    same: Share
    longer: Share | None
    circles: Share | None
    people: People | None


def audit_judge(
    orders: Orders,
    lengths: Array,
    *,
    votes: Sequence[Sequence[float]] | None = None,
    tables: Sequence[Array] = (),
    clusters: intervals.Clusters | None = None,
) -> Audit:
    """Measures what a judge goes by.

    Args:
      orders: what it says of `n` pairs.
      lengths: `[n, 2]` of y and of z, in any unit.
      votes: of each pair one or more people's, 1 for y, 0 for z, 0.5 for a tie.
      tables: of each prompt with three responses or more, what the judge says of every
        two of them, `[N, N]`, row over column.
      clusters: `[n]` name of each pair's cluster, such as its prompt's; None, each its
        own.

    Raises:
      ValueError: fewer than two pairs or clusters, or arrays of other lengths.
    """
    number, p = len(orders.y_first), orders.preferred
    lengths = np.asarray(lengths, np.float64)
    if lengths.shape != (number, 2):
        raise ValueError(
            f"lengths are {list(lengths.shape)}, and there are {number} pairs: "
            f"[{number}, 2]"
        )
    index = intervals.cluster_index(clusters, number)

    def mean(values):
        return intervals.mean_interval(values, clusters=index)

    one, other = verdicts(orders.y_first), 1 - verdicts(orders.z_first)
    return Audit(
        number=number,
        first=mean((orders.y_first + orders.z_first - 1) / 2),
        y_first=mean(orders.y_first),
        z_first=mean(orders.z_first),
        same=mean(agreement(one, other)),
        longer=_longer(p, lengths, index),
        circles=_circles(tables),
        people=None if votes is None else _people(p, votes, lengths, index),
    )


def verdicts(preferred: np.ndarray) -> np.ndarray:
    """Returns 1 where the first one wins, 0 where it loses, one half where neither."""
    return 0.5 + np.sign(preferred - 0.5) / 2


def agreement(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns how probably two verdicts agree, ties decided by a coin each."""
    return one * other + (1 - one) * (1 - other)


def _longer(preferred, lengths, index) -> Share | None:
    """Mean preference for the longer response, less one half."""
    own = lengths[:, 0] != lengths[:, 1]
    if len(np.unique(index[own])) < 2:
        return None
    favoured = np.where(lengths[:, 0] > lengths[:, 1], preferred, 1 - preferred)
    return intervals.mean_interval(favoured[own] - 0.5, clusters=index[own])


def _circles(tables) -> Share | None:
    """Share of triples that are circles, each prompt's share counting the same."""
    shares = [
        float(games.intransitive_share(np.asarray(table)))
        for table in tables
        if len(table) > 2
    ]
    return intervals.mean_interval(np.array(shares)) if len(shares) > 1 else None


def _people(preferred, votes, lengths, index) -> People:
    """How a judge and people agree."""
    if len(votes) != len(preferred) or not all(map(len, votes)):
        raise ValueError(
            f"there are votes on {len(votes)} pairs, and {len(preferred)} pairs; give "
            "each at least one vote"
        )
    shares = np.array([np.mean(own) for own in votes])
    pairs = np.array([len(own) > 1 for own in votes])
    among = None
    if len(np.unique(index[pairs])) > 1:
        several = [np.asarray(own, float) for own in votes if len(own) > 1]
        agreed = np.array([_among(own) for own in several])
        among = intervals.mean_interval(agreed, clusters=index[pairs])
    return People(
        calibration=calibration.measure_calibration(preferred, shares, clusters=index),
        among=among,
        longer=_longer(shares, lengths, index),
    )


def _among(votes: np.ndarray) -> float:
    """How probably two different voters on a pair agree."""
    first, second = np.triu_indices(len(votes), 1)
    return float(agreement(votes[first], votes[second]).mean())
