r"""Structure: how far a preference is from one that a ranking or a reward could hold.

A pair whose probabilities differ from 1/2 by rounding alone, up to 1e-9, is a tie.

Everything here is NumPy in float64 on the host.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse.csgraph
import scipy.special

from nashalign.games import arguments, preferences
from nashalign.types import Array


def intransitive_share(preference: Array) -> np.ndarray:
    """Returns the share of triples of responses that form a cycle.

    A triple is a cycle if each of its responses beats another with probability above
    1/2. Ties make no cycle, and fewer than three responses no triple (share 0).

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B]` share in [0, 1]; at most a little above 1/4 for many responses.
    """
    beats = (_margins(preference) > 0).astype(np.float64)
    num_responses = beats.shape[-1]
    num_triples = num_responses * (num_responses - 1) * (num_responses - 2) / 6
    # A cycle of three is walked from each of its members, in one direction only.
    cycles = np.einsum("...xy,...yx->...", beats @ beats, beats) / 3
    return cycles / max(num_triples, 1)


def acyclic(preference: Array) -> np.ndarray:
    """Returns whether the majority relation has no cycle, of any length.

    Its edges are "beats with a probability above 1/2"; ties are none. Where it has no
    cycle and no ties, it is a ranking: the preference is transitive.

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B]` bool.
    """
    beats = (_margins(preference) > 0).astype(np.float64)
    walks = beats
    # A walk of as many steps as there are responses has been somewhere twice.
    for _ in range(beats.shape[-1] - 1):
        walks = np.minimum(walks @ beats, 1.0)
    return np.asarray(~walks.any(axis=(-1, -2)))


def condorcet_winner(preference: Array) -> np.ndarray:
    """Returns the response that beats every other one, if there is one.

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B]` index of the response, -1 where none wins every comparison with a
      probability above 1/2.
    """
    wins = (_margins(preference) > 0).sum(axis=-1)
    winner = wins.argmax(axis=-1)
    return np.where(wins.max(axis=-1) == wins.shape[-1] - 1, winner, -1)


def top_cycle(preference: Array) -> np.ndarray:
    """Returns the smallest set of responses that beat all the others.

    Also the Smith set (Smith 1973): every response in it beats every response outside
    with a probability above 1/2. It is a Condorcet winner alone, if there is one, and
    the support of every Nash policy lies inside it.

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B, Y]` bool, whether a response belongs to it.
    """
    margins = _margins(preference)
    members = np.empty(margins.shape[:-1], bool)
    for index in np.ndindex(margins.shape[:-2]):
        # Along the edges "is not beaten by", the set is the one component that reaches
        # all the others.
        holds = margins[index] >= 0
        _, component = scipy.sparse.csgraph.connected_components(
            holds, connection="strong"
        )
        # A member of the set wins more comparisons than anyone outside it.
        strongest = (margins[index] > 0).sum(axis=-1).argmax()
        members[index] = component == component[strongest]
    return members


class BradleyTerryFit(NamedTuple):
    """The Bradley-Terry preference nearest to a preference.

    Attributes:
      rewards: `[*B, Y]` rewards r, nats, of mean 0.
      divergence: `[*B]` mean of `KL(P(y > z) || sigmoid(r_y - r_z))` over ordered
        pairs, nats; 0 where the preference is a reward's.
      error: `[*B]` largest `|P(y > z) - sigmoid(r_y - r_z)|`, a probability.
    """

    rewards: np.ndarray
    divergence: np.ndarray
    error: np.ndarray


def fit_bradley_terry(
    preference: Array, weights: Array | None = None
) -> BradleyTerryFit:
    r"""Returns the rewards that explain a preference best, and how well they do.

    .. math:: \arg\min_r - \sum_{yz} w_y w_z P_{yz} \log \sigma(r_y - r_z)

    What a reward model learns from any number of votes on pairs drawn with these
    weights (Bradley & Terry 1952). By Newton's method, until every response wins as
    often as it should, up to 1e-13.

    Args:
      preference: `[*B, Y, Y]` preference, strictly inside (0, 1): a response that never
        loses has no finite reward.
      weights: `[Y]` or `[*B, Y]` policy that writes the pairs, positive everywhere; the
        uniform one by default.

    Returns:
      The fit; its divergence and error are over all pairs, unweighted.

    Raises:
      ValueError: if the preference breaks a law, or some probability is 0 or 1.
      ArithmeticError: if the fit does not converge.
    """
    preference = preferences.check(preference)
    if not np.all((preference > 0) & (preference < 1)):
        raise ValueError("a Bradley-Terry fit needs probabilities strictly in (0, 1)")
    size = preference.shape[-1]
    if weights is None:
        weights = np.full(size, 1 / size)
    arguments.game(weights=weights, preference=preference)
    weights = preferences.check_policy(np.asarray(weights), "weights")
    rewards = np.zeros(preference.shape[:-1])
    # Each response's equation over its own weight, so that rare ones are fitted too.
    others = np.broadcast_to(weights[..., None, :], preference.shape)
    for _ in range(10_000):
        fitted = scipy.special.expit(rewards[..., :, None] - rewards[..., None, :])
        gradient = (others * (fitted - preference)).sum(axis=-1)
        if np.abs(gradient).max(initial=0) < 1e-13:
            break
        curvature = others * fitted * (1 - fitted)
        # The last term holds the rewards' weighted mean where it is.
        hessian = np.eye(size) * curvature.sum(axis=-1, keepdims=True) - curvature
        hessian = hessian + others * curvature.sum(axis=-1).mean()
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # Newton's steps are too long where fitted probabilities are near 0 or 1.
        longest = np.abs(step).max(axis=-1, keepdims=True, initial=1.0)
        rewards = rewards - step / longest
    else:
        raise ArithmeticError(
            "the Bradley-Terry fit does not converge: a response hardly ever wins, or "
            "hardly ever loses"
        )
    rewards = rewards - rewards.mean(axis=-1, keepdims=True)
    fitted = scipy.special.expit(rewards[..., :, None] - rewards[..., None, :])
    ratio = scipy.special.rel_entr(preference, fitted)
    both = ratio + np.swapaxes(ratio, -1, -2)
    return BradleyTerryFit(
        rewards,
        both.sum(axis=(-1, -2)) / max(size * (size - 1), 1),
        np.abs(preference - fitted).max(axis=(-1, -2)),
    )


def _margins(preference):
    """Returns P - 1/2, antisymmetric, with ties exactly 0, `[*B, Y, Y]`."""
    preference = preferences.check(preference)
    margins = (preference - np.swapaxes(preference, -1, -2)) / 2
    return np.where(np.abs(margins) > 1e-9, margins, 0.0)
