"""What a model has room for: tokens of its vocabulary, and as many as its context.

Where tokens are there to be looked at, what does not fit is an error, whose sentence
names the argument. Traced, its states become NaN from the first such token on, and so
does what is computed from them.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.types import Array, Prompts


class Limits(Protocol):
    """What a model has room for; a `Policy` says it."""

    @property
    def vocabulary(self) -> int:
        """How many tokens it knows."""
        ...

    @property
    def context(self) -> int:
        """The largest number of tokens in a row, prompt and response together."""
        ...


def require_prompts(
    policy: Limits,
    prompts: Prompts,
    more: int,
    name: str = "prompts",
    following: str = "",
) -> None:
    """Requires prompts whose tokens the model knows, with room behind each.

    Args:
      policy: the model: its `vocabulary` and `context`.
      prompts: `B` prompts; traced ones are let through.
      more: tokens that are to follow each.
      name: what an error calls the prompts.
      following: what an error calls those tokens.

    Raises:
      ValueError: naming the first token that the model does not know, or the longest
        prompt where the context ends too early.
    """
    if not checks.known(prompts):
        return
    mask = np.asarray(prompts.mask, bool)
    _require_known(policy, np.asarray(prompts.tokens), mask, f"{name}.tokens")
    lengths = mask.sum(-1)
    if lengths.size and lengths.max() + more > policy.context:
        raise ValueError(
            f"{name} of up to {lengths.max()} tokens and {following or more} together "
            f"exceed the context of the policy, {policy.context} tokens: shorten either"
        )


def require_continued(
    policy: Limits, prompts: Prompts, tokens: Array, mask: Array, name: str
) -> None:
    """Requires continuations `[B, N, S]` of prompts that the model has room for.

    Args:
      policy: the model: its `vocabulary` and `context`.
      prompts: `B` prompts.
      tokens: `[B, N, S]`; traced ones are let through.
      mask: `[B, N, S]`, false on padding.
      name: what an error calls the tokens.

    Raises:
      ValueError: naming the first token that the model does not know, or the longest
        row where the context ends too early.
    """
    require_prompts(policy, prompts, 0)
    if not checks.known(prompts, tokens, mask):
        return
    mask = np.asarray(mask, bool)
    _require_known(policy, np.asarray(tokens), mask, name)
    lengths = np.asarray(prompts.mask).sum(-1)[:, None] + mask.sum(-1)
    if lengths.size and lengths.max() > policy.context:
        raise ValueError(
            f"{name} and their prompts, up to {lengths.max()} tokens together, exceed "
            f"the context of the policy, {policy.context} tokens: shorten either"
        )


def fits(policy: Limits, tokens: Array, mask: Array) -> jax.Array:
    """Whether each token, and all before it in its row, is one the model has room for.

    Args:
      policy: the model: its `vocabulary` and `context`.
      tokens: `[*B, S]`.
      mask: `[*B, S]`, false on padding, which always fits.

    Returns:
      `[*B, S]` bool.
    """
    mask = jnp.asarray(mask, bool)
    unknown = _unknown(policy, tokens, mask)
    return (jnp.cumsum(unknown, -1) == 0) & (jnp.cumsum(mask, -1) <= policy.context)


def fits_behind(
    policy: Limits, prompts: Prompts, tokens: Array, mask: Array
) -> jax.Array:
    """`fits` of the tokens `[B, N, S]` of continuations, behind their prompts."""
    shape = (*tokens.shape[:2], prompts.tokens.shape[1])
    before = [
        jnp.broadcast_to(jnp.asarray(x)[:, None], shape)
        for x in (prompts.tokens, prompts.mask)
    ]
    rows = [
        jnp.concatenate(pair, -1) for pair in zip(before, (tokens, mask), strict=True)
    ]
    return fits(policy, *rows)[..., shape[-1] :]


def states(fit: Array, hidden: Array) -> jax.Array:
    """States `[..., D]` where tokens fit; else NaN."""
    return jnp.where(fit[..., None], hidden, jnp.nan)


def _unknown(policy, tokens, mask):
    """Whether each token is outside the vocabulary, and no padding."""
    return mask & ((tokens < 0) | (tokens >= policy.vocabulary))


def _require_known(policy, tokens, mask, name):
    """Requires ids of the vocabulary, but where they are padding."""
    wrong = _unknown(policy, tokens, mask)
    if wrong.any():
        place = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name}{place.tolist()} is {tokens[tuple(place)]}, which is no token of "
            f"the policy's vocabulary, 0 to {policy.vocabulary - 1}"
        )
