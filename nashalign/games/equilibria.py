r"""Equilibria: the Nash policies of finite games without regularisation, exactly.

A policy is a Nash policy if no response beats it: A pi <= 0 with A = P - 1/2. These are
the linear inequalities of a polytope, of one point in almost every game. A vertex of it
is found by a linear program, the whole of it by its vertices.

Everything here is NumPy in float64 on the host.
"""

import chex
import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.spatial

from nashalign.games import exact, preferences
from nashalign.types import Array

# By how much a Nash policy may be exploitable, a probability.
TOLERANCE = 1e-10


def nash(preference: Array) -> np.ndarray:
    r"""Returns a Nash policy of each game, by linear programming.

    .. math:: \pi \in \arg\max_p \min_z P(p > z)

    The Nash policy of a game drawn at random is unique. Where it is not, this is a
    vertex of the set of Nash policies: whichever the simplex method stops at, HiGHS's,
    or one that is exact on as many responses as it needs, up to sixty, where ties are
    too near for that; not the one of maximal entropy (that is the limit of
    `regularized_nash` for a uniform reference and vanishing tau). `nash_vertices`
    returns all.

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B, Y]` policy, float64, with exact zeros and an exploitability below 1e-10 (in
      the antisymmetric part of a preference that is only symmetric to float32).

    Raises:
      ValueError: if the preference breaks a law of preferences.
      ArithmeticError: if the linear program fails, or misses that exploitability.
    """
    preference = preferences.check(preference)
    games = preference.reshape(-1, *preference.shape[-2:])
    policies = np.empty(games.shape[:-1])
    for policy, game in zip(policies, games, strict=True):
        policy[:] = _solve_program((game - game.T) / 2)
    return policies.reshape(preference.shape[:-1])


def nash_vertices(preference: Array) -> np.ndarray:
    r"""Returns the vertices of the set of all Nash policies of a game.

    .. math:: \{\pi \ge 0 : \sum_y \pi(y) = 1, (P - 1/2) \pi \le 0\}

    Every Nash policy is a mixture of them. Their number may grow exponentially with the
    dimension of the set; meant for a dimension up to about eight.

    Args:
      preference: `[Y, Y]` preference, of one game.

    Returns:
      `[V, Y]` policies, float64, in lexicographic order, V >= 1.

    Raises:
      ValueError: if the preference breaks a law of preferences.
      ArithmeticError: if a linear program fails.
    """
    preference = preferences.check(preference)
    chex.assert_rank(preference, 2)
    game = (preference - preference.T) / 2
    size = len(game)
    # A response that some Nash policy plays is played by the mean of these.
    highest = [_solve_program(game, favoured) for favoured in range(size)]
    centre = np.mean(highest, axis=0)
    # Slacks at a policy pi: each must be >= 0.
    bounds = np.vstack([np.eye(size), -game])
    slack = bounds @ centre
    met = slack < 1e-9
    directions = scipy.linalg.null_space(
        np.vstack([bounds[met], np.ones(size)]), rcond=1e-9
    )
    if directions.shape[1] == 0:
        return centre[None]
    slopes, slack = bounds[~met] @ directions, slack[~met]
    corners = _corners(slopes, slack)
    vertices = np.maximum(centre + corners @ directions.T, 0)
    vertices = np.array([_polish(vertex, game) for vertex in vertices])
    _, first = np.unique(vertices.round(8), axis=0, return_index=True)
    return vertices[first]


def _corners(slopes, slack):
    """Returns the vertices of `slopes x + slack >= 0`, which contains 0 inside."""
    if slopes.shape[1] == 1:
        falling, rising = slopes[:, 0] < -1e-12, slopes[:, 0] > 1e-12
        upper = (-slack[falling] / slopes[falling, 0]).min()
        lower = (-slack[rising] / slopes[rising, 0]).max()
        return np.array([[lower], [upper]])
    halfspaces = np.column_stack([-slopes, -slack])
    inside = np.zeros(slopes.shape[1])
    return scipy.spatial.HalfspaceIntersection(halfspaces, inside).intersections


def _solve_program(game, favoured=None):
    """Returns a vertex of the Nash policies of an antisymmetric game `[Y, Y]`.

    Of all, one that plays the favoured response most often, if there is one.
    """
    largest = np.abs(game).max()
    # A multiple of a game has the same Nash policies, and may be above what is seen.
    answer = _program(game / largest if largest else game, favoured)
    if favoured is None and (answer is None or (game @ answer).max() > TOLERANCE):
        answer = _solve_exactly(game, answer)
    if answer is None:
        raise ArithmeticError("the linear program of a game failed")
    if (game @ answer).max() > TOLERANCE:
        raise ArithmeticError(f"Nash policy is exploitable by {(game @ answer).max()}")
    return answer


def _solve_exactly(game, start):
    """Returns a Nash policy that is exact on the responses it needs; None past a limit.

    Those that a start plays, and one by one the best response to what is exact on those
    so far (the double oracle of McMahan et al. 2003).
    """
    chosen = [0] if start is None else np.flatnonzero(start).tolist()
    while len(chosen) <= exact.MOST_RESPONSES:
        policy = np.zeros(len(game))
        policy[chosen] = exact.solve(game[np.ix_(chosen, chosen)])
        payoffs = game @ policy
        if payoffs.max() <= TOLERANCE:
            return policy
        chosen.append(int(payoffs.argmax()))
    return start


def _program(game, favoured):
    """Returns what the linear program finds, good or not; None where it fails."""
    size = len(game)
    cost = np.zeros(size)
    if favoured is not None:
        cost[favoured] = -1.0
    answer = scipy.optimize.linprog(
        cost,
        A_ub=game,
        b_ub=np.zeros(size),
        A_eq=np.ones((1, size)),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    if not answer.success:
        return None
    found = np.maximum(answer.x, 0) / np.maximum(answer.x, 0).sum()
    # Polishing takes small weights for zeros, and may be the worse for it.
    return min(_polish(found, game), found, key=lambda p: (game @ p).max())


def _polish(policy, game):
    """Returns the policy with the constraints that bind at it met to rounding."""
    played = policy > 1e-9
    binding = np.abs(game @ policy) < 1e-9
    system = np.vstack([game[np.ix_(binding, played)], np.ones(played.sum())])
    target = np.append(np.zeros(binding.sum()), 1.0)
    correction = np.linalg.lstsq(system, target - system @ policy[played])[0]
    polished = np.zeros_like(policy)
    polished[played] = np.maximum(policy[played] + correction, 0)
    return polished / polished.sum()
