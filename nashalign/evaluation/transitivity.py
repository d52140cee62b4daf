"""Is the game among policies transitive, and with what certainty?

The majority relation says which of two policies wins more often than not. It may hold
a cycle, in which no policy is the best one, for two reasons: the policies are
intransitive, or two of them are so close that chance has turned a comparison round.
Draws of the data tell these apart: a cycle of chance comes and goes with the draws.

The share of the draws without a cycle is no p-value. Between policies that are equal
the comparisons of a draw fall either way, and of three such every fourth draw has a
cycle.
"""

import collections
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np

from nashalign import games
from nashalign.evaluation.intervals import Interval
from nashalign.types import Array


class Transitivity(NamedTuple):
    """What draws of a game say of its majority relation.

    Attributes:
      acyclic: share of the draws in which it has no cycle.
      winner: `[M]` share of the draws in which the policy beats every other one, the
        Condorcet winner; the rest of the draws have none.
      ranking: the order that most draws have, best first, among the draws that are an
        order; empty where none is.
      ranking_share: share of the draws that have it.
      cycle: the three policies that most often beat each other in a circle, each the
        next, the last the first; empty where none do.
      cycle_share: share of the draws in which they do.
    """

    acyclic: float
    winner: np.ndarray
    ranking: tuple[int, ...]
    ranking_share: float
    cycle: tuple[int, ...]
    cycle_share: float


def transitivity(drawn: Array) -> Transitivity:
    """What draws of a win-rate matrix say of its majority relation.

    Args:
      drawn: `[D, M, M]` win rates, antisymmetric about 1/2, such as `game_draws`.

    Raises:
      ValueError: a draw is no preference.
    """
    chex.assert_rank(drawn, 3)
    drawn = games.check(drawn, name="drawn")
    num_policies = drawn.shape[1]
    winners = games.condorcet_winner(drawn)
    acyclic = games.acyclic(drawn)
    ranking, ranking_share = _ranking(drawn, acyclic)
    cycle, cycle_share = _cycle(drawn)
    return Transitivity(
        acyclic=float(acyclic.mean()),
        winner=(winners[:, None] == np.arange(num_policies)).mean(axis=0),
        ranking=ranking,
        ranking_share=ranking_share,
        cycle=cycle,
        cycle_share=cycle_share,
    )


def certain_cycles(win_rates: Interval[np.ndarray]) -> list[tuple[int, ...]]:
    """The triples that beat each other in a circle, by more than their intervals.

    Args:
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.

    Returns:
      Tuples of three policies, each of which beats the next, the last the first, with
      the whole interval above 1/2.
    """
    beats = win_rates.mean - win_rates.half_width > 0.5
    circles = _circles(len(beats))
    return [own for own in circles if all(beats[edge] for edge in _edges(own))]


def transitivity_sentences(
    names: Sequence[str],
    found: Transitivity,
    win_rates: Interval[np.ndarray],
    *,
    over: str = "prompts",
) -> str:
    """Says in a paragraph whether the game is transitive, and with what certainty.

    Args:
      names: of the M policies.
      found: of draws of their game.
      win_rates: `Interval` of `[M, M]`, from `win_rate_matrix`.
      over: what was drawn.
    """
    best = int(found.winner.argmax())
    certain = certain_cycles(win_rates)
    said = [
        f"In {found.acyclic:.1%} of the bootstrap draws of {over} the majority "
        "relation has no cycle.",
        f"{names[best]} beats every other one in {found.winner[best]:.1%} of them, and "
        f"in {max(1 - found.winner.sum(), 0.0):.1%} nobody does.",
    ]
    if found.ranking:
        order = " > ".join(names[own] for own in found.ranking)
        said.append(f"The most frequent order is {order} ({found.ranking_share:.1%}).")
    if found.cycle:
        circle = " > ".join(names[own] for own in (*found.cycle, found.cycle[0]))
        said.append(f"The most frequent cycle is {circle} ({found.cycle_share:.1%}).")
    if certain:
        circles = (" > ".join(names[i] for i in (*own, own[0])) for own in certain)
        said.append(f"Cycles by more than their intervals: {'; '.join(circles)}.")
    elif len(names) > 2:
        said.append("There is no cycle whose three intervals all exclude a tie.")
    return " ".join(said)


def _ranking(drawn: np.ndarray, acyclic: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The most frequent order, and its share of all draws."""
    wins = (drawn > 0.5).sum(axis=-1)
    # Without cycle and ties every policy has another number of wins.
    every = np.arange(drawn.shape[1])
    orders = acyclic & (np.sort(wins, axis=-1) == every).all(axis=-1)
    found = collections.Counter(map(tuple, np.argsort(-wins[orders], axis=-1).tolist()))
    if not found:
        return (), 0.0
    [(order, times)] = found.most_common(1)
    return order, times / len(drawn)


def _cycle(drawn: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The circle of three that is most frequent, and its share of all draws."""
    beats = drawn > 0.5
    shares = {
        own: float(np.all([beats[:, i, j] for i, j in _edges(own)], axis=0).mean())
        for own in _circles(drawn.shape[1])
    }
    cycle = max(shares, key=shares.__getitem__, default=())
    return (cycle, shares[cycle]) if cycle and shares[cycle] else ((), 0.0)


def _circles(num_policies: int) -> list[tuple[int, ...]]:
    """Every way in which three policies may beat each other in a circle."""
    triples = itertools.combinations(range(num_policies), 3)
    return [own for i, j, k in triples for own in ((i, j, k), (i, k, j))]


def _edges(circle: tuple[int, ...]) -> list[tuple[int, int]]:
    """Who beats whom in a circle."""
    return list(zip(circle, (*circle[1:], circle[0]), strict=True))
