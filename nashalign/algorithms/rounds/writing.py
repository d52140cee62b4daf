"""What a policy writes between rounds, by one program for all prompts of one shape."""

import functools

import chex
import jax

from nashalign import policies, sampling
from nashalign.types import Array, Prompts, Responses


@functools.partial(jax.jit, static_argnames=("policy", "decoding", "number"))
def write(
    policy: policies.Policy,
    decoding: sampling.Decoding,
    number: int,
    params: policies.Params,
    key: chex.PRNGKey,
    prompts: Prompts,
) -> tuple[Responses, Array]:
    """Returns a policy's responses `[B, N, T]`, and their tokens' log-probabilities.

    Args:
      policy: the model family.
      decoding: how responses are drawn.
      number: of responses to each prompt.
      params: of the policy.
      key: of the draws; folded with the prompts' ids.
      prompts: `B` of them.
    """
    drawn, log_probs = sampling.sample(
        policy,
        {"policy": params},
        lambda logits: logits["policy"],
        key,
        prompts,
        num_responses=number,
        decoding=decoding,
    )
    return drawn, log_probs["policy"]
