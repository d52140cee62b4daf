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

from nashalign import games


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


def empirical_game(preference: chex.Array) -> EmpiricalGame:
    r"""Nash mixture of the policies, and each one's exploitability within the set.

    .. math:: \text{exploitability}_i = \max_j W_{ji} - \tfrac{1}{2}

    A policy that no other of the set beats has 0; policies outside the set may beat it
    all the same. Estimated win rates go in as they are: a maximum over noisy opponents
    is a little too large, and ties make the mixture jump. Read both next to the
    matrix's intervals.

    Args:
      preference: `[M, M]` mean preference of row over column, antisymmetric about 1/2
        (the mean of `win_rate_matrix`).

    Returns:
      `EmpiricalGame`.

    Raises:
      ValueError: a win rate outside [0, 1], NaN or not antisymmetric.
    """
    chex.assert_rank(preference, 2)
    preference = games.check(preference)
    # Zero and not -0.0 or a rounding below it: j = i is among the opponents.
    exploitability = np.maximum(preference.max(axis=0) - 0.5, 0.0)
    return EmpiricalGame(
        nash=games.nash(preference),
        exploitability=exploitability,
        intransitive_share=float(games.intransitive_share(preference)),
    )
