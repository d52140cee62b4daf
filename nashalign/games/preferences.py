"""Preferences: the matrices P(y beats z) of finite games, and the laws they obey.

A preference `[*B, Y, Y]` holds in row `y`, column `z` the probability that response `y`
is preferred to response `z`. Whoever compares, the two orders of a question are one
question, so that P(y beats z) + P(z beats y) = 1 and the diagonal is 1/2. Nothing else
is assumed: a preference need not come from a reward, and may run in circles.

Everything here is NumPy in float64 on the host, where games are made and checked.
"""

import numpy as np

from nashalign import checks
from nashalign.types import Array

# By how much a law of preferences, or a policy's sum, may be missed: for float32.
TOLERANCE, SUM_TOLERANCE = 1e-6, 1e-5

# Entries that are compared at a time: what a check of a large game needs in memory.
_MOST_ENTRIES = 4_000_000


def check(
    preference: Array, *, tolerance: float = TOLERANCE, name: str = "preference"
) -> np.ndarray:
    r"""Returns the preference in float64 if it obeys the laws of a preference.

    .. math:: 0 \le P_{yz} \le 1, \quad P_{yz} + P_{zy} = 1, \quad P_{yy} = 1/2

    Args:
      preference: `[*B, Y, Y]` probabilities.
      tolerance: by how much a law may be missed, a probability; the default allows for
        float32.
      name: what an error calls it.

    Returns:
      `[*B, Y, Y]` the same numbers, float64.

    Raises:
      ValueError: naming the first entry that breaks a law.
    """
    preference = np.asarray(checks.numeric(preference, name), np.float64)
    refuse(preference, name, tolerance)
    return preference


def require_square(shape: tuple[int, ...], name: str) -> None:
    """Raises a ValueError if a shape is not that of a preference, `[*B, Y, Y]`."""
    if len(shape) < 2 or shape[-1] != shape[-2] or not shape[-1]:
        raise ValueError(
            f"a preference has shape [*B, Y, Y], not {list(shape)} as {name}"
        )


def refuse(preference: np.ndarray, name: str, tolerance: float) -> None:
    """Raises a ValueError if an array is no preference, without a copy of it.

    Args:
      preference: `[*B, Y, Y]` numbers of any precision.
      name: what an error calls it.
      tolerance: by how much a law may be missed, a probability.
    """
    require_square(preference.shape, name)
    size = preference.shape[-1]
    transposed = np.swapaxes(preference, -1, -2)
    stride = max(1, _MOST_ENTRIES * size // max(preference.size, 1))
    for start in range(0, size, stride):
        rows = preference[..., start : start + stride, :]
        mirrored = transposed[..., start : start + stride, :]
        inside = (rows >= -tolerance) & (rows <= 1 + tolerance)
        antisymmetric = np.abs(rows + mirrored - 1) <= tolerance
        if np.all(inside & antisymmetric):
            continue
        itself = np.eye(size, dtype=bool)[start : start + stride]
        for broken, law in (
            (~inside, "is not a probability in [0, 1]"),
            (~antisymmetric & itself, "is not 1/2"),
            (~antisymmetric, "and its mirror image do not add up to 1"),
        ):
            if np.any(broken):
                entry = [int(axis) for axis in np.argwhere(broken)[0]]
                value = rows[tuple(entry)]
                entry[-2] += start
                raise ValueError(
                    f"{name}{entry} = {value:.6g} {law}: rows must hold P(row beats "
                    "column), with P + P^T = 1"
                )


def check_policy(policy: Array, name: str) -> np.ndarray:
    """Returns a policy in float64 if it is one and has full support.

    Args:
      policy: `[*B, Y]` probabilities, positive, adding up to 1 within 1e-5 (float32).
      name: what an error calls it.

    Returns:
      `[*B, Y]` float64.

    Raises:
      ValueError: naming the first entry that is not positive, or the wrong sum.
    """
    policy = np.asarray(checks.numeric(policy, name), np.float64)
    if not np.all(policy > 0):
        entry = tuple(int(axis) for axis in np.argwhere(~(policy > 0))[0])
        raise ValueError(
            f"{name}{list(entry)} = {policy[entry]:.6g}, but must be positive: a "
            "response of probability 0 is left out of the game instead"
        )
    return check_distribution(policy, name)


def check_distribution(policy: Array, name: str) -> np.ndarray:
    """Returns a policy in float64 if it is one; it may have zeros.

    Args:
      policy: `[*B, Y]` probabilities, adding up to 1 within 1e-5 (float32).
      name: what an error calls it.

    Returns:
      `[*B, Y]` float64.

    Raises:
      ValueError: naming the first entry that is no probability, or the wrong sum.
    """
    policy = np.asarray(checks.numeric(policy, name), np.float64)
    if policy.ndim < 1 or not policy.shape[-1]:
        raise ValueError(
            f"a policy has shape [*B, Y], not {list(policy.shape)} as {name}"
        )
    wrong = ~((policy >= 0) & (policy < np.inf))
    if np.any(wrong):
        entry = tuple(int(axis) for axis in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}{list(entry)} = {policy[entry]:.6g} is no probability: a policy "
            "holds how probable each response is"
        )
    total = policy.sum(axis=-1, keepdims=True)
    if np.abs(total - 1).max(initial=0) > SUM_TOLERANCE:
        worst = total.flat[np.abs(total - 1).argmax()]
        raise ValueError(f"{name} must add up to 1 over responses, not to {worst:.6g}")
    return policy


def from_rewards(rewards: Array) -> np.ndarray:
    r"""Returns the Bradley-Terry preference of rewards.

    .. math:: P_{yz} = \sigma(r_y - r_z)

    Bradley & Terry 1952.

    Args:
      rewards: `[*B, Y]` rewards, nats.

    Returns:
      `[*B, Y, Y]` preference, without any cycle.

    Raises:
      ValueError: if a reward is not finite.
    """
    rewards = np.asarray(checks.number(rewards, "rewards"), np.float64)
    _require_axis(rewards, "rewards")
    difference = rewards[..., :, None] - rewards[..., None, :]
    # tanh keeps the two orders antisymmetric to the last bit, and never overflows.
    return check(0.5 + 0.5 * np.tanh(difference / 2))


def from_votes(wins: Array, *, prior: float = 0.5) -> np.ndarray:
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
    wins = np.asarray(checks.numeric(wins, "wins"), np.float64)
    checks.setting(prior, "prior", above=0)
    require_square(wins.shape, "wins")
    if not np.all(wins >= 0) or np.any(np.isinf(wins)):
        entry = tuple(int(i) for i in np.argwhere(~(wins >= 0) | np.isinf(wins))[0])
        raise ValueError(f"wins{list(entry)} = {wins[entry]:.6g} is no number of votes")
    losses = np.swapaxes(wins, -1, -2)
    preference = (wins + prior) / (wins + losses + 2 * prior)
    np.einsum("...yy->...y", preference)[...] = 0.5
    return check(preference)


def population(preferences: Array, weights: Array) -> np.ndarray:
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
    preferences = np.asarray(checks.numeric(preferences, "preferences"), np.float64)
    refuse(preferences, "preferences", TOLERANCE)
    weights = np.asarray(checks.numeric(weights, "weights"), np.float64)
    if preferences.ndim < 3 or weights.shape != preferences.shape[:1]:
        raise ValueError(
            f"preferences {list(preferences.shape)} and weights {list(weights.shape)} "
            "must be [K, *B, Y, Y] and [K], of the same annotators"
        )
    if not (np.all(weights >= 0) and np.isclose(weights.sum(), 1)):
        raise ValueError(f"weights must be >= 0 and add up to 1, not {weights}")
    return np.tensordot(weights, preferences, axes=1)


def _require_axis(values, name):
    """Raises if there is not one number for each of at least one response."""
    if values.ndim < 1 or not values.shape[-1]:
        raise ValueError(f"{name} must have shape [*B, Y], not {list(values.shape)}")
