"""The annotators of a token game: look a response up in the table of all responses.

A token game has a vocabulary so small that every response can be written down
(`sampling.enumerate_responses`), so that its preference is a matrix and everything has
an exact answer. Both annotators can be traced, and keep the precision of their numbers.
"""

import dataclasses

import chex
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.types import Array, Prompts, Responses, pytree

_ROUNDING = 1e-5


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class GamePreference:
    """The preference matrix of a token game, the same for every prompt.

    Attributes:
      table: `[1, Y, T]` all responses, as enumerated.
      preference: `[Y, Y]`, P(row beats column), antisymmetric about 1/2.

    Raises:
      ValueError: the matrix is no preference over the table's responses.
    """

    table: Responses
    preference: Array

    def __post_init__(self):
        """Checks that the matrix is a preference over the table."""
        _require_entries(self.table, self.preference, "preference", 2)
        if checks.known(self.preference):
            matrix = np.asarray(self.preference)
            lawful = (matrix >= -_ROUNDING) & (matrix <= 1 + _ROUNDING)
            lawful &= np.abs(matrix + matrix.T - 1) <= _ROUNDING
            if not lawful.all():
                row, column = (int(place) for place in np.argwhere(~lawful)[0])
                raise ValueError(
                    f"preference[{row}, {column}] = {matrix[row, column]:.6g} is no "
                    "probability, or not the complement of its mirror image: rows must "
                    "hold P(row beats column), with P + P^T = 1"
                )

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> Array:
        """P(y beats z) from the matrix, `[B, M]`; NaN where one is not in the table.

        Args:
          key: not used.
          prompts: not read.
          y: `[B, M, T]`, with the table's T.
          z: `[B, M, T]`.

        Returns:
          `[B, M]` in [0, 1], in the precision of the matrix.
        """
        chex.assert_equal_shape([y.tokens, z.tokens])
        del key, prompts
        rows, columns = locate(self.table, y), locate(self.table, z)
        preferred = self.preference[rows, columns]
        return jnp.where((rows >= 0) & (columns >= 0), preferred, jnp.nan)


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class GameReward:
    """The rewards of a token game, the same for every prompt.

    Attributes:
      table: `[1, Y, T]` all responses, as enumerated.
      rewards: `[Y]`.

    Raises:
      ValueError: there is not a finite reward for each of the table's responses.
    """

    table: Responses
    rewards: Array

    def __post_init__(self):
        """Checks that there is a finite reward for each response of the table."""
        _require_entries(self.table, self.rewards, "rewards", 1)
        if checks.known(self.rewards):
            checks.number(self.rewards, "rewards")

    def score(self, key: chex.PRNGKey, prompts: Prompts, responses: Responses) -> Array:
        """Rewards from the table, `[B, N]`; NaN where a response is not in it.

        Args:
          key: not used.
          prompts: not read.
          responses: `[B, N, T]`, with the table's T.

        Returns:
          `[B, N]`, in the precision of the rewards.
        """
        del key, prompts
        indices = locate(self.table, responses)
        return jnp.where(indices >= 0, self.rewards[indices], jnp.nan)


def _require_entries(table, values, name, rank):
    """Requires numbers for each response of a table, or for each pair of them."""
    checks.numeric(values, name)
    wanted = (table.tokens.shape[1],) * rank
    if np.shape(values) != wanted:
        raise ValueError(
            f"{name} has shape {list(np.shape(values))}; for the {wanted[0]} responses "
            f"of the table it must be {list(wanted)}"
        )


def locate(table: Responses, responses: Responses) -> Array:
    """Index of each response in the table of all responses.

    Args:
      table: `[1, Y, T]` distinct responses.
      responses: `[B, N, T]`; tokens under a false mask do not matter.

    Returns:
      `[B, N]` int32 in 0..Y-1, or -1 where the table has no such response.
    """
    num_tokens = responses.tokens.shape[-1]
    chex.assert_shape(table.tokens, (1, None, num_tokens))
    known = jnp.where(table.mask, table.tokens, -1)[:, None]
    asked = jnp.where(responses.mask, responses.tokens, -1)[:, :, None]
    same = jnp.all(known == asked, -1)
    return jnp.where(same.any(-1), jnp.argmax(same, -1), -1).astype(jnp.int32)
