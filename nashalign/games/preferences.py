"""Preferences: the matrices P(y beats z) of finite games, and the laws they obey.

A preference `[*B, Y, Y]` holds in row `y`, column `z` the probability that response `y`
is preferred to response `z`. Whoever compares, the two orders of a question are one
question, so that P(y beats z) + P(z beats y) = 1 and the diagonal is 1/2. Nothing else
is assumed: a preference need not come from a reward, and may run in circles.

Everything here is NumPy in float64 on the host, where games are made and checked.
"""

import chex
import numpy as np


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


def check_policy(policy: chex.Array, name: str) -> np.ndarray:
    """Returns a policy in float64 if it is one and has full support.

    Args:
      policy: `[*B, Y]` probabilities, positive, adding up to 1 within 1e-5 (float32).
      name: what an error calls it.

    Returns:
      `[*B, Y]` float64.

    Raises:
      ValueError: naming the first entry that is not positive, or the wrong sum.
    """
    policy = np.asarray(policy, np.float64)
    positive = (policy > 0) & np.isfinite(policy)
    if not np.all(positive):
        entry = tuple(int(axis) for axis in np.argwhere(~positive)[0])
        raise ValueError(
            f"{name}{list(entry)} = {policy[entry]:.6g}, but must be positive: a "
            "response of probability 0 is left out of the game instead"
        )
    total = policy.sum(axis=-1, keepdims=True)
    if np.abs(total - 1).max() > 1e-5:
        worst = total.flat[np.abs(total - 1).argmax()]
        raise ValueError(f"{name} must add up to 1 over responses, not to {worst:.6g}")
    return policy


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


def from_votes(wins: chex.Array, *, prior: float = 0.5) -> np.ndarray:
    r"""Returns the preference estimated from counts of votes.

    .. math:: P_{yz} = \frac{n_{yz} + a}{n_{yz} + n_{zy} + 2 a}

    Args:
      wins: `[*B, Y, Y]` number of votes n for the row over the column, >= 0; the
        diagonal is not looked at.
      prior: votes a that each side is given beforehand, > 0; the default is Jeffreys's.
        A pair without a vote is a tie.

    Returns:
      `[*B, Y, Y]` preference.

    Raises:
      ValueError: if a count is negative or not a number, or the prior not positive.
    """
    wins = np.asarray(wins, np.float64)
    if not prior > 0:
        raise ValueError(f"prior must be positive, not {prior}")
    if not np.all(wins >= 0):
        entry = tuple(int(axis) for axis in np.argwhere(~(wins >= 0))[0])
        raise ValueError(f"wins{list(entry)} = {wins[entry]:.6g} is no number of votes")
    losses = np.swapaxes(wins, -1, -2)
    preference = (wins + prior) / (wins + losses + 2 * prior)
    np.einsum("...yy->...y", preference)[...] = 0.5
    return check(preference)


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


def _refuse(values, broken, law):
    """Raises with the first entry at which a law is broken."""
    if np.any(broken):
        entry = tuple(int(axis) for axis in np.argwhere(broken)[0])
        raise ValueError(
            f"preference{list(entry)} = {values[entry]:.6g} {law}: rows must hold "
            "P(row beats column), with P + P^T = 1"
        )
