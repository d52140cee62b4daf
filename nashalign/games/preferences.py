"""Preferences: the matrices P(y beats z) of finite games, and the laws they obey.

A preference `[*B, Y, Y]` holds in row `y`, column `z` the probability that response `y`
is preferred to response `z`. Whoever compares, the two orders of a question are one
question, so that P(y beats z) + P(z beats y) = 1 and the diagonal is 1/2. Nothing else
is assumed: a preference need not come from a reward, and may run in circles.

Everything here is NumPy in float64 on the host, where games are made and checked.
"""

import numbers
from collections.abc import Sequence

import chex
import numpy as np

# Three dice, each of which beats the next with probability 5/9.
CYCLIC_DICE = ((2, 4, 9), (1, 6, 8), (3, 5, 7))


def check(preference: chex.Array, *, tolerance: float = 1e-6) -> np.ndarray:
    r"""Returns the preference in float64 if it obeys the laws of a preference.

    .. math:: 0 \le P_{yz} \le 1, \quad P_{yz} + P_{zy} = 1, \quad P_{yy} = 1/2

    Args:
      preference: `[*B, Y, Y]` probabilities.
      tolerance: by how much a law may be missed, a probability; the default allows for
        float32.

    Returns:
      `[*B, Y, Y]` the same numbers, float64.

    Raises:
      ValueError: naming the first entry that breaks a law.
    """
    preference = np.asarray(preference, np.float64)
    if preference.ndim < 2 or preference.shape[-1] != preference.shape[-2]:
        raise ValueError(
            f"a preference has shape [*B, Y, Y], not {list(preference.shape)}"
        )
    transposed = np.swapaxes(preference, -1, -2)
    inside = (preference >= -tolerance) & (preference <= 1 + tolerance)
    _refuse(preference, ~inside, "is not a probability in [0, 1]")
    diagonal = np.abs(preference - 0.5) > tolerance
    _refuse(preference, diagonal & np.eye(len(transposed.T), dtype=bool), "is not 1/2")
    antisymmetric = np.abs(preference + transposed - 1) <= tolerance
    _refuse(preference, ~antisymmetric, "and its mirror image do not add up to 1")
    return preference


def rock_paper_scissors(strength: float = 1.0) -> np.ndarray:
    """Returns the 3-cycle in which each response beats the next one.

    Args:
      strength: probability in [1/2, 1] with which it does so.

    Returns:
      `[3, 3]` preference; its Nash policy is uniform.
    """
    step = np.roll(np.eye(3), 1, axis=1)
    return check(0.5 + (strength - 0.5) * (step - step.T))


def dice(faces: Sequence[Sequence[float]] = CYCLIC_DICE) -> np.ndarray:
    """Returns the probability that one die shows more than another, ties halved.

    Args:
      faces: `[Y, F]` the numbers on each die; those of the default form a 3-cycle.

    Returns:
      `[Y, Y]` preference.
    """
    faces = np.asarray(faces, np.float64)
    chex.assert_rank(faces, 2)
    difference = faces[:, None, :, None] - faces[None, :, None, :]
    return check((0.5 + 0.5 * np.sign(difference)).mean(axis=(-1, -2)))


def from_rewards(rewards: chex.Array) -> np.ndarray:
    r"""Returns the Bradley-Terry preference of rewards.

    .. math:: P_{yz} = \sigma(r_y - r_z)

    Bradley & Terry 1952.

    Args:
      rewards: `[*B, Y]` rewards, nats.

    Returns:
      `[*B, Y, Y]` preference, without any cycle.
    """
    rewards = np.asarray(rewards, np.float64)
    difference = rewards[..., :, None] - rewards[..., None, :]
    # tanh keeps the two orders antisymmetric to the last bit, and never overflows.
    return check(0.5 + 0.5 * np.tanh(difference / 2))


def random_preference(seed: int, shape: int | Sequence[int]) -> np.ndarray:
    """Returns preferences whose pairs are independent and uniform on [0, 1].

    The dense random games of Zhou et al. 2025 (EGPO, arXiv:2503.08942).

    Args:
      seed: of NumPy's generator; the same seed and shape give the same game.
      shape: `(*B, Y)`, or just `Y`.

    Returns:
      `[*B, Y, Y]` preference.
    """
    shape = (shape,) if isinstance(shape, numbers.Integral) else tuple(shape)
    draws = np.random.default_rng(seed).uniform(size=(*shape, shape[-1]))
    upper = np.triu(draws, 1)
    lower = np.swapaxes(np.triu(1 - draws, 1), -1, -2)
    return check(upper + lower + 0.5 * np.eye(shape[-1]))


def population(preferences: chex.Array, weights: chex.Array) -> np.ndarray:
    r"""Returns the preference of a population: the weighted mean of its annotators'.

    .. math:: P_{yz} = \sum_k w_k P^{(k)}_{yz}

    A mean of transitive preferences may be cyclic (Condorcet 1785).

    Args:
      preferences: `[K, *B, Y, Y]` the preference of each kind of annotator.
      weights: `[K]` shares of the population, at least 0, adding up to 1.

    Returns:
      `[*B, Y, Y]` preference.

    Raises:
      ValueError: if the weights are not a distribution over the annotators.
    """
    preferences = check(preferences)
    weights = np.asarray(weights, np.float64)
    chex.assert_shape(weights, preferences.shape[:1])
    if not (np.all(weights >= 0) and np.isclose(weights.sum(), 1)):
        raise ValueError(f"weights must be >= 0 and add up to 1, not {weights}")
    return np.tensordot(weights, preferences, axes=1)


def intransitive_share(preference: chex.Array) -> np.ndarray:
    """Returns the share of triples of responses that form a cycle.

    A triple is a cycle if each of its responses beats another with probability above
    1/2. Ties make no cycle, and fewer than three responses no triple (share 0).

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B]` share in [0, 1]; at most a little above 1/4 for many responses.
    """
    preference = check(preference)
    num_responses = preference.shape[-1]
    num_triples = num_responses * (num_responses - 1) * (num_responses - 2) / 6
    beats = (preference > 0.5).astype(np.float64)
    # A cycle of three is walked from each of its members, in one direction only.
    cycles = np.einsum("...xy,...yx->...", beats @ beats, beats) / 3
    return cycles / max(num_triples, 1)


def _refuse(preference, broken, law):
    """Raises with the first entry at which a law is broken."""
    if np.any(broken):
        entry = tuple(int(axis) for axis in np.argwhere(broken)[0])
        raise ValueError(
            f"preference{list(entry)} = {preference[entry]:.6g} {law}: rows must hold "
            "P(row beats column), with P + P^T = 1"
        )
