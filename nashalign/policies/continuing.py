"""Responses that have begun: what goes on behind a prompt and its response's start.

To a decoder that is a longer prompt. To a model whose prompts are read apart from its
responses it is not, so nobody appends one to the other: they go on from here.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from nashalign.policies.policy import Policy
from nashalign.types import Prompts


def begin(prompts: Prompts, prefix: Sequence[int], *, length: int) -> Prompts:
    """Returns prompts with the beginning of a response behind each.

    Args:
      prompts: `B` prompts of `P` tokens.
      prefix: the response's first tokens, the same for all; there may be none.
      length: columns for them, padded on the left, so that prefixes of any length up to
        that are of one shape.

    Returns:
      Prompts of `P + length` columns, for `continuing(policy, P)`.
    """
    size, batch = len(prefix), len(prompts.tokens)
    begun = np.zeros((batch, length), np.int32)
    begun[:, length - size :] = prefix
    mask = np.broadcast_to(np.arange(length) >= length - size, begun.shape)
    return dataclasses.replace(
        prompts,
        tokens=jnp.concatenate([prompts.tokens, begun], 1),
        mask=jnp.concatenate([prompts.mask, mask], 1),
    )


@functools.lru_cache(64)
def continuing(policy: Policy, width: int) -> Policy:
    """Returns a policy that goes on with the responses that its prompts end with.

    Args:
      policy: the policy.
      width: how many columns of its prompts are that; the others are the beginnings of
        responses, as `begin` puts them there.
    """

    def prefill(params, prompts, *, room):
        own, begun = (
            dataclasses.replace(
                prompts, tokens=prompts.tokens[:, part], mask=prompts.mask[:, part]
            )
            for part in (slice(width), slice(width, None))
        )
        size = begun.tokens.shape[1]
        cache, first = policy.prefill(params, own, room=room + size)
        if not size:
            return cache, first
        # The last token is held back; where none has been written, the first one is.
        some = jnp.any(jnp.asarray(begun.mask), -1)
        tokens = jnp.concatenate([first[:, None], begun.tokens[:, :-1]], 1)
        mask = jnp.concatenate([some[:, None], begun.mask[:, :-1]], 1)
        _, cache = policy.hidden(params, tokens, mask, cache)
        return cache, jnp.where(some, begun.tokens[:, -1], first)

    kept = policy.without_remat
    return dataclasses.replace(
        policy,
        prefill=prefill,
        without_remat=None if kept is None else continuing(kept, width),
    )
