r"""The game among the policies themselves: who survives, and by how much one loses.

A row of the win-rate matrix is a policy, a column its opponent. The matrix is a finite
symmetric game, and what is asked of it is what `games` asks of any other: which mixture
of the policies no policy beats, and how much the best opponent wins against each.
Averages over opponents are deliberately absent: they move when a weak policy is entered
twice, the Nash mixture does not (Balduzzi et al. 2018, arXiv:1806.02643).
"""

from typing import NamedTuple

import chex
import numpy as np

from nashalign import checks, games
from nashalign.evaluation import intervals, tallies
from nashalign.types import Array


class EmpiricalGame(NamedTuple):
    """What a win-rate matrix says when it is read as a game.

    Attributes:
      nash: `[M]` the mixture of the policies that none of them beats.
      exploitability: `[M]` what the best opponent of the set wins against each policy
        beyond one half, in [0, 1/2].
      intransitive_share: share of the triples of policies that beat each other in a
        circle, in [0, 1]; 0 with fewer than three policies.
    """

    nash: np.ndarray
    exploitability: np.ndarray
    intransitive_share: float


def empirical_game(preference: Array) -> EmpiricalGame:
    r"""Nash mixture of the policies, and each one's exploitability within the set.

    .. math:: \text{exploitability}_i = \max_j W_{ji} - \tfrac{1}{2}

    A policy that no other of the set beats has 0; policies outside the set may beat it
    all the same. Estimated win rates go in as they are: a maximum over noisy opponents
    is a little too large, and ties make the mixture jump: `game_shares` says how often.

    Args:
      preference: `[M, M]` mean preference of row over column, antisymmetric about 1/2
        (the mean of `win_rate_matrix`).

    Returns:
      `EmpiricalGame`.

    Raises:
      ValueError: a win rate outside [0, 1], NaN or not antisymmetric.
    """
    preference = np.asarray(checks.numeric(preference, "preference"))
    chex.assert_rank(preference, 2)
    preference = games.check(preference)
    # Zero and not -0.0 or a rounding below it: j = i is among the opponents.
    exploitability = np.maximum(preference.max(axis=0) - 0.5, 0.0)
    return EmpiricalGame(
        nash=games.nash(preference),
        exploitability=exploitability,
        intransitive_share=float(games.intransitive_share(preference)),
    )


class GameShares(NamedTuple):
    """How often a policy is what `empirical_game` says, over draws of the data.

    Attributes:
      nash: `[M]` share of the draws in which the policy has weight in the Nash mixture,
        or is unbeaten.
      unbeaten: `[M]` share of the draws in which no other policy beats it: its
        exploitability is 0, and it is a Nash policy by itself.
    """

    nash: np.ndarray
    unbeaten: np.ndarray


def game_shares(
    preferences: Array,
    *,
    clusters: intervals.Clusters | None = None,
    seeds: intervals.Variance[np.ndarray] | None = None,
    num_draws: int = 1000,
    seed: int = 0,
) -> GameShares:
    """Shares of bootstrap draws in which a policy is in the Nash mixture, and unbeaten.

    Args:
      preferences: `[num_prompts, M, M]` as for `win_rate_matrix`.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      seeds: `[M]` variance that each policy's seeds add, of `average_runs`; None for
        prompts alone.
      num_draws: how many.
      seed: of the draws.

    Returns:
      `GameShares`.

    Raises:
      ValueError: as `win_rate_matrix`, or num_draws < 1.
    """
    tally = tallies.tally_table(preferences, clusters)
    drawn = game_draws(tally, seeds=seeds, num_draws=num_draws, seed=seed)
    return shares_of(drawn)


def game_draws(
    tally: tallies.Tally,
    *,
    seeds: intervals.Variance[np.ndarray] | None = None,
    num_draws: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Bootstrap draws of the win-rate matrix.

    A draw takes as many clusters of prompts as there are, with replacement, and moves
    each policy by a normal effect of its seeds, which adds to what it wins and to what
    its opponents lose; win rates stay in [0, 1]. The effects' variance is itself drawn,
    from its estimate's degrees of freedom: three seeds are too few to be drawn from.

    Args:
      tally: who won against whom, by cluster.
      seeds: `[M]` variance that each policy's seeds add; None for prompts alone.
      num_draws: how many, `D`.
      seed: of the draws.

    Returns:
      `[D, M, M]` win rates, antisymmetric about 1/2.

    Raises:
      ValueError: num_draws < 1.
    """
    generator = np.random.default_rng(seed)
    drawn = tallies.rates(*tallies.redraw(tally, num_draws, generator))
    if seeds is not None:
        chex.assert_shape(seeds.value, drawn.shape[1:2])
        spread = np.sqrt(seeds.degrees / generator.chisquare(seeds.degrees, num_draws))
        moved = generator.normal(0, np.sqrt(seeds.value), (num_draws, len(seeds.value)))
        moved *= spread[:, None]
        drawn = drawn + moved[:, :, None] - moved[:, None, :]
    return 0.5 + np.clip((drawn - drawn.swapaxes(1, 2)) / 2, -0.5, 0.5)


def shares_of(drawn: Array) -> GameShares:
    """Shares of draws in which a policy is in the Nash mixture, and unbeaten.

    Args:
      drawn: `[D, M, M]` win rates, antisymmetric about 1/2, such as `game_draws`.
    """
    drawn = np.asarray(drawn)
    unbeaten = drawn.max(axis=1) <= 0.5 + _ROUNDING
    nash = np.array([_support(*draw) for draw in zip(drawn, unbeaten, strict=True)])
    return GameShares(nash=nash.mean(axis=0), unbeaten=unbeaten.mean(axis=0))


def _support(preference, unbeaten):
    """The policies with weight in a Nash mixture of one draw, `[M]` bool."""
    # Who is unbeaten is a Nash policy; mixtures are looked for where nobody is.
    return unbeaten if unbeaten.any() else games.nash(preference) > _ROUNDING


_ROUNDING = 1e-9
