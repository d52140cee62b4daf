"""In which type a policy computes, whatever its parameters are kept in."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from nashalign.policies.policy import Params, Policy


@functools.lru_cache(64)
def computing_in(policy: Policy, dtype: str | None) -> Policy:
    """Returns a policy that rounds its parameters to a type before it computes.

    The parameters stay what they are: a gradient follows the rounding back to them, so
    that steps shorter than it are not lost. Logits are in at least float32, as are
    log-probabilities and whatever is made of them.

    Args:
      policy: the policy.
      dtype: name of a floating type, such as `"bfloat16"`; None is the parameters' own,
        and returns the policy as it is.
    """
    if dtype in (None, policy.compute_dtype):
        return policy
    kept = policy.without_remat

    def prefill(params, prompts, *, room):
        return policy.prefill(cast(params, dtype), prompts, room=room)

    def hidden(params, tokens, mask, cache):
        return policy.hidden(cast(params, dtype), tokens, mask, cache)

    def logits(params, hidden):
        return policy.logits(cast(params, dtype), hidden)

    return dataclasses.replace(
        policy,
        prefill=prefill,
        hidden=hidden,
        logits=logits,
        compute_dtype=dtype,
        without_remat=None if kept is None else computing_in(kept, dtype),
    )


def cast(params: Params, dtype: str | None) -> Params:
    """Returns parameters in a floating type; as they are where it is None."""
    if dtype is None:
        return params

    def rounded(leaf):
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if floating else leaf

    return jax.tree.map(rounded, params)
