"""Prompts that end with a score: what a policy is shown of the answer it is to give.

A prompt is conditioned by appending one of `Setup.levels`, the token strings of scores
from the lowest to the highest.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp

from nashalign.types import Array, Numeric, Prompts

# `[L, C]` token strings of scores; as tuples they can be part of what is static.
Levels = Array | Sequence[Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Conditioning:
    """Prompts end with the level of a reward; the policy is asked for the best one.

    Attributes:
      lowest: the setting at which the first level begins.
      highest: the setting at which the last level ends.
    """

    lowest: str = "lowest"
    highest: str = "highest"

    @property
    def formula(self) -> str:
        """In words."""
        return f"level of the reward, from {self.lowest} to {self.highest}"

    def level(
        self, settings: Mapping[str, Numeric], rewards: Array, number: int
    ) -> Array:
        """Returns which of `number` levels, shared out evenly, each reward is in."""
        low, high = settings[self.lowest], settings[self.highest]
        share = (rewards - low) / (high - low)
        return jnp.clip(jnp.floor(share * number), 0, number - 1).astype(jnp.int32)

    def in_order(self, settings: Mapping[str, Numeric]) -> str | None:
        """What is wrong with the ends; a condition of rows."""
        low, high = settings[self.lowest], settings[self.highest]
        if low < high:
            return None
        return f"{self.lowest} is {low}; it must be below {self.highest}, {high}."


def condition(prompts: Prompts, levels: Levels, level: Array | int) -> Prompts:
    """Appends a level's tokens to each prompt.

    Args:
      prompts: `B` prompts of `P` tokens.
      levels: `[L, C]` token strings.
      level: `[B]` or a number, which of them.

    Returns:
      Prompts of `P + C` tokens.
    """
    level = jnp.broadcast_to(level, prompts.ids.shape)
    tokens = jnp.asarray(levels, prompts.tokens.dtype)[level]
    return dataclasses.replace(
        prompts,
        tokens=jnp.concatenate([prompts.tokens, tokens], 1),
        mask=jnp.concatenate([prompts.mask, jnp.ones_like(tokens, bool)], 1),
    )
