"""Families of games: the ones that papers use, and random ones of any size.

Everything here is NumPy in float64 on the host, and obeys the laws of `preferences`.
"""

from collections.abc import Sequence

import numpy as np

from nashalign import checks
from nashalign.games import preferences
from nashalign.types import Array

# Three dice, each of which beats the next with probability 5/9.
CYCLIC_DICE = ((2, 4, 9), (1, 6, 8), (3, 5, 7))

Shape = int | Sequence[int]


def rock_paper_scissors(strength: float = 1.0) -> np.ndarray:
    """Returns the 3-cycle in which each response beats the next one.

    Args:
      strength: probability in [1/2, 1] with which it does so.

    Returns:
      `[3, 3]` preference; its Nash policy is uniform.
    """
    checks.setting(strength, "strength", least=0.5, most=1)
    step = np.roll(np.eye(3), 1, axis=1)
    return preferences.check(0.5 + (strength - 0.5) * (step - step.T))


def dice(faces: Sequence[Sequence[float]] = CYCLIC_DICE) -> np.ndarray:
    """Returns the probability that one die shows more than another, ties halved.

    Args:
      faces: `[Y, F]` the numbers on each die; those of the default form a 3-cycle.

    Returns:
      `[Y, Y]` preference.
    """
    shown = np.asarray(checks.number(faces, "faces"), np.float64)
    if shown.ndim != 2 or not shown.size:
        raise ValueError(f"faces must have shape [Y, F], not {list(shown.shape)}")
    difference = shown[:, None, :, None] - shown[None, :, None, :]
    return preferences.check((0.5 + 0.5 * np.sign(difference)).mean(axis=(-1, -2)))


def three_cycle(
    first: float = 0.9, second: float = 0.9, third: float = 0.8
) -> np.ndarray:
    r"""Returns the cycle in which b beats a, c beats b and a beats c.

    With the defaults, the game of Liu et al. 2024 (COMAL, arXiv:2410.23223), whose Nash
    policy is (4, 3, 4) / 11. It is the winning margin of the other two, as shares:
    proportional to (second, third, first) - 1/2.

    Args:
      first: P(b > a), in [1/2, 1].
      second: P(c > b), in [1/2, 1].
      third: P(a > c), in [1/2, 1].

    Returns:
      `[3, 3]` preference of a, b, c.
    """
    for name, chance in dict(first=first, second=second, third=third).items():
        checks.setting(chance, name, least=0.5, most=1)
    return preferences.check(
        np.array(
            [
                [0.5, 1 - first, third],
                [first, 0.5, 1 - second],
                [1 - third, second, 0.5],
            ]
        )
    )


def random_preference(seed: int, shape: Shape) -> np.ndarray:
    """Returns preferences whose pairs are independent and uniform on [0, 1].

    The dense random games of Zhou et al. 2025 (EGPO, arXiv:2503.08942).

    Args:
      seed: of NumPy's generator; the same seed and shape give the same game.
      shape: `(*B, Y)`, or just `Y`.

    Returns:
      `[*B, Y, Y]` preference.
    """
    shape = _as_shape(shape)
    draws = np.random.default_rng(seed).uniform(size=(*shape, shape[-1]))
    upper = np.triu(draws, 1)
    lower = np.swapaxes(np.triu(1 - draws, 1), -1, -2)
    return preferences.check(upper + lower + 0.5 * np.eye(shape[-1]))


def planted(seed: int, nash: Array, *, strength: float = 1.0) -> np.ndarray:
    r"""Returns games of which a given policy is a Nash policy, against which all tie.

    .. math:: A = M - M \pi 1^T + 1 (M \pi)^T, \quad M = -M^T

    scaled so that the largest of A is half the strength: then A pi = 0, as
    pi M pi = 0.

    Args:
      seed: of NumPy's generator, which draws M normal.
      nash: `[*B, Y]` policy pi; with full support and an odd number of responses it is
        almost surely the only Nash policy.
      strength: in (0, 1]; 1 lets the most unequal pair of each game be certain.

    Returns:
      `[*B, Y, Y]` preference.

    Raises:
      ValueError: if the policy is not positive everywhere.
    """
    nash = preferences.check_policy(nash, "nash")
    if nash.shape[-1] < 3:
        raise ValueError(
            f"nash has {nash.shape[-1]} responses; where fewer than three have a "
            "positive policy that all tie with, nothing is left to draw"
        )
    nash = nash / nash.sum(axis=-1, keepdims=True)
    draws = np.random.default_rng(seed).normal(size=(*nash.shape, nash.shape[-1]))
    skew = draws - np.swapaxes(draws, -1, -2)
    advantages = np.matmul(skew, nash[..., None])
    skew = skew - advantages + np.swapaxes(advantages, -1, -2)
    return _scaled(skew, strength)


def low_rank(
    seed: int, shape: Shape, *, rank: int, strength: float = 1.0
) -> np.ndarray:
    r"""Returns games in which a few pairs of qualities decide.

    .. math:: A = \sum_{k=1}^{rank} u_k v_k^T - v_k u_k^T

    scaled so that the largest of A is half the strength (the disc games of
    Balduzzi et al. 2019, arXiv:1901.08106). A has twice the rank.

    Args:
      seed: of NumPy's generator, which draws u and v normal.
      shape: `(*B, Y)`, or just `Y`; at least two responses.
      rank: number of pairs of qualities, >= 1.
      strength: in (0, 1].

    Returns:
      `[*B, Y, Y]` preference.
    """
    checks.whole(rank, "rank")
    draws = np.random.default_rng(seed).normal(size=(2, *_as_shape(shape), rank))
    products = np.einsum("...yk,...zk->...yz", *draws)
    return _scaled(products - np.swapaxes(products, -1, -2), strength)


def block_cyclic(
    seed: int, shape: Shape, *, num_blocks: int = 3, strength: float = 0.8
) -> np.ndarray:
    """Returns games of blocks that beat each other in a cycle, random inside.

    A response of block i beats any of block i + 1 (of the last, one of the first) with
    a probability of 1/2 + strength / 2; all other pairs are drawn uniformly from
    [1/2 - (1 - strength) / 2, 1/2 + (1 - strength) / 2].

    Args:
      seed: of NumPy's generator.
      shape: `(*B, Y)`, or just `Y`; responses are dealt to blocks in turn.
      num_blocks: length of the cycle, >= 3.
      strength: in [0, 1].

    Returns:
      `[*B, Y, Y]` preference.

    Raises:
      ValueError: if there are fewer than three blocks.
    """
    if checks.whole(num_blocks, "num_blocks") < 3:
        raise ValueError(f"num_blocks is {num_blocks}; a cycle needs at least three")
    checks.setting(strength, "strength", least=0, most=1)
    noise = random_preference(seed, shape)
    block = np.arange(noise.shape[-1]) % num_blocks
    ahead = (block[None, :] - block[:, None]) % num_blocks
    cycle = (ahead == 1).astype(float) - (ahead == num_blocks - 1)
    inside = (1 - strength) * (noise - 0.5) * (cycle == 0)
    return preferences.check(0.5 + inside + strength / 2 * cycle)


def _as_shape(shape):
    """Returns a shape as a tuple, the number of responses last."""
    if not isinstance(shape, list | tuple):
        shape = (checks.whole(shape, "shape"),)
    if not shape:
        raise ValueError("shape must end with the number of responses, and is empty")
    return tuple(checks.whole(size, "an entry of shape") for size in shape)


def _scaled(skew, strength):
    """Returns the preference whose largest advantage is half the strength."""
    checks.setting(strength, "strength", above=0, most=1)
    if skew.shape[-1] < 2:
        raise ValueError("a game of one response has no advantage to scale; take more")
    largest = np.abs(skew).max(axis=(-1, -2), keepdims=True)
    return preferences.check(0.5 + strength / 2 * skew / largest)
