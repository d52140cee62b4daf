"""Rotary positions, and how their frequencies are scaled for a longer context.

A pair of a head's columns is turned by `position * frequency` (Su et al. 2021,
arXiv:2104.09864). A scaling is a value that changes the frequencies `[H/2]`; what it
does depends on no text, so that a cache holds what was turned once and for all.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from nashalign.types import Array


class Scaling(Protocol):
    """Changes the frequencies, and by how much cosines and sines are multiplied."""

    def scale(self, frequencies: Array, theta: float) -> Array:
        """Return the scaled frequencies `[H/2]`, of which the first is the highest."""
        ...

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear:
    """Positions of a longer context, squeezed into the one of training.

    Chen et al. 2023 (arXiv:2306.15595).

    Attributes:
      factor: how many times longer it is.
    """

    factor: float

    magnitude = 1.0

    def scale(self, frequencies: Array, theta: float) -> Array:
        """Return every frequency divided by the factor."""
        del theta
        return frequencies / self.factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Llama3:
    """Low frequencies are divided, high ones kept, and those between are blended.

    Dubey et al. 2024 (arXiv:2407.21783).

    Attributes:
      factor: that low frequencies are divided by.
      low_freq_factor: up to so many turns in the original context are low.
      high_freq_factor: from so many turns on they are high; more than the low one.
      original_max_position_embeddings: the original context, tokens.

    Raises:
      ValueError: the high factor is not above the low one.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    magnitude = 1.0

    def __post_init__(self):
        """Checks that there is something between low and high."""
        low, high = self.low_freq_factor, self.high_freq_factor
        if high <= low:
            raise ValueError(
                f"high_freq_factor is {high}; it must be above low_freq_factor, {low}"
            )

    def scale(self, frequencies: Array, theta: float) -> Array:
        """Return the frequencies, each with its share of the division."""
        del theta
        low, high = self.low_freq_factor, self.high_freq_factor
        turns = self.original_max_position_embeddings * frequencies / (2 * np.pi)
        kept = jnp.clip((turns - low) / (high - low), 0.0, 1.0)
        return kept * frequencies + (1 - kept) * frequencies / self.factor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Yarn:
    """As `Llama3`, blended by the frequency's place, with a sharper attention.

    Peng et al. 2023 (arXiv:2309.00071).

    Attributes:
      factor: that low frequencies are divided by.
      original_max_position_embeddings: the original context, tokens.
      beta_fast: from so many turns in it on, frequencies are kept.
      beta_slow: up to so many turns they are divided.
      attention_factor: what cosines and sines are multiplied by; None is the paper's
        `0.1 log(factor) + 1`.
      truncate: whether the places of the two are rounded outwards.
    """

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    truncate: bool = True

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * float(np.log(self.factor)) + 1.0 if self.factor > 1 else 1.0

    def scale(self, frequencies: Array, theta: float) -> Array:
        """Return the frequencies, each with its share of the division."""
        number = len(frequencies)
        first, last = (
            self._place(turns, number, theta)
            for turns in (self.beta_fast, self.beta_slow)
        )
        if self.truncate:
            first, last = np.floor(first), np.ceil(last)
        first, last = max(first, 0), min(last, 2 * number - 1)
        width = last - first if last != first else 1e-3
        divided = jnp.clip((jnp.arange(number) - first) / width, 0.0, 1.0)
        return (1 - divided) * frequencies + divided * frequencies / self.factor

    def _place(self, turns, number, theta):
        """Which frequency makes so many turns in the original context."""
        length = self.original_max_position_embeddings
        return number * np.log(length / (turns * 2 * np.pi)) / np.log(theta)


@dataclasses.dataclass(frozen=True)
class Still:
    """No turn at all: a layer without positions.

    Kazemnejad et al. 2023 (arXiv:2305.19466).
    """

    magnitude = 1.0

    def scale(self, frequencies: Array, theta: float) -> Array:
        """Return frequencies of zero."""
        del theta
        return 0 * frequencies


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotary:
    """How the heads of a layer turn.

    Attributes:
      theta: base of the frequencies.
      scaling: of the frequencies; None where there is none.
      width: how many of a head's columns turn, the first ones; None is all of them.
    """

    theta: float = 10_000.0
    scaling: Scaling | None = None
    width: int | None = None


Rotation = tuple[jax.Array, jax.Array]


def rotation(positions: Array, own: Rotary, *, head: int) -> Rotation:
    """Return cosines and sines `[B, S, 1, W/2]` of positions, of `W` columns that turn.

    Args:
      positions: `[B, S]`.
      own: how heads turn.
      head: width of a head.
    """
    half = (head if own.width is None else own.width) // 2
    frequencies = own.theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    magnitude = 1.0
    if own.scaling is not None:
        scaled = own.scaling.scale(frequencies, own.theta)
        frequencies = jnp.asarray(scaled, jnp.float32)
        magnitude = own.scaling.magnitude
    angles = positions[..., None].astype(jnp.float32) * frequencies[None, None]
    cosines, sines = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]
    return cosines * magnitude, sines * magnitude


def rotations(
    positions: Array, rotaries: tuple[Rotary, ...], *, head: int
) -> tuple[Callable[[Any], Rotation | None], np.ndarray | None]:
    """Return what layers turn by.

    Args:
      positions: `[B, S]`.
      rotaries: of each layer, or one of all of them, or none.
      head: width of a head.

    Returns:
      `(kind) -> rotation`, None where there is none; and the kind of each layer, if
      they are of several.
    """
    kinds = tuple(dict.fromkeys(rotaries))
    found = [rotation(positions, own, head=head) for own in kinds]
    if len(kinds) < 2:
        return lambda kind: found[0] if found else None, None
    cosines, sines = (jnp.stack(own) for own in zip(*found, strict=True))
    numbers = np.array([kinds.index(own) for own in rotaries])
    return lambda kind: (cosines[kind], sines[kind]), numbers
