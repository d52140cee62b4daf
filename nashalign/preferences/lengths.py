"""Rewards that do not pay for length: a penalty a token, and how large it must be.

Learned rewards and implicit ones (log-ratios of a policy) grow with the length of the
response, and a policy that is trained on them writes ever more. A linear penalty

    r(y) - penalty |y|

takes that out to first order. |y| is the number of the response's own tokens, its <eos>
included; a response that was cut at the maximal length has none, and its |y| is that of
what there is.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.preferences import annotators
from nashalign.types import Array, Numeric, Prompts, Responses, pytree


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class LengthPenalised:
    """Another annotator's rewards, less a penalty a token.

    Attributes:
      annotator: has a `score`.
      penalty: `[]`, in units of the annotator's reward a token; 0 leaves it as it is.
    """

    annotator: annotators.RewardAnnotator
    penalty: Numeric

    @property
    def host(self) -> bool:
        """Whether the annotator answers on the host."""
        return annotators.on_host(self.annotator)

    def score(self, key: chex.PRNGKey, prompts: Prompts, responses: Responses) -> Array:
        """`r(y) - penalty |y|`, `[B, N]`.

        Args:
          key: the annotator's.
          prompts: `B` prompts.
          responses: `[B, N, T]`.

        Returns:
          `[B, N]`, in the annotator's unit of reward.
        """
        rewards = self.annotator.score(key, prompts, responses)
        return rewards - self.penalty * jnp.sum(responses.mask, -1)


def length_penalty(
    rewards: Array,
    lengths: Array,
    grid: Array,
    where: Array | None = None,
) -> Array:
    r"""The penalty whose best responses are no longer than its worst ones, on average.

    .. math:: \arg\min_{\alpha \in \text{grid}}
        \left| \operatorname{mean}_x (|y_w| - |y_l|) \right|, \qquad
        y_w, y_l = \arg\max_y, \arg\min_y \; r(y) - \alpha |y|

    The whole grid is tried, and the first of equally good penalties taken. The paper's
    code goes up the grid and stops as soon as the size of the gap grows. That is the
    same: with a larger penalty no best response is longer and no worst one shorter, so
    that the gap never grows, and its size has no second minimum.

    The penalty is in units of these rewards for a unit of these lengths. The paper's
    code counts characters, and its rewards are log-ratios that are not multiplied by
    beta. Chen et al. 2024 (arXiv:2406.09760).

    Args:
      rewards: `[B, K]` of K responses to each prompt.
      lengths: `[B, K]`, tokens.
      grid: `[A]` penalties to be tried, in any order; the paper's are 0 to 1 by 0.001.
      where: `[B, K]` bool, the responses that may be best and worst; all by default.
        Leave out those that were cut: their lengths are not known. A prompt with fewer
        than two has no gap.

    Returns:
      `[]`, an element of the grid.
    """
    rewards, lengths, grid = (
        jnp.asarray(checks.numeric(value, name))
        for value, name in ((rewards, "rewards"), (lengths, "lengths"), (grid, "grid"))
    )
    chex.assert_rank([rewards, grid], [2, 1])
    chex.assert_equal_shape([rewards, lengths])
    grid = checks.number(grid, "grid")
    if where is None:
        rewards = checks.number(rewards, "rewards")
    where = jnp.ones(rewards.shape, bool) if where is None else where

    def gap(penalty):
        scores = rewards - penalty * lengths
        best = jnp.argmax(jnp.where(where, scores, -jnp.inf), -1)
        worst = jnp.argmin(jnp.where(where, scores, jnp.inf), -1)
        pair = jnp.stack([best, worst], -1)
        best, worst = jnp.take_along_axis(lengths, pair, -1).T
        return jnp.abs(jnp.mean(best - worst))

    # One penalty at a time: all at once would be the table [A, B, K].
    return grid[jnp.argmin(jax.lax.map(gap, grid))]
