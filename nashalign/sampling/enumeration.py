"""Token games: every response of a tiny vocabulary, with its exact probability.

With at most a few tokens over a few symbols, expectations over responses are finite
sums. The enumerator stands where the sampler would, and the same update then computes
its own expectation, for a real transformer.
"""

import itertools
import types
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks, policies
from nashalign.sampling.decoding import Behaviour
from nashalign.types import Array, Prompts, Responses


def enumerate_responses(
    vocabulary: int, max_length: int, eos_id: int | Sequence[int]
) -> Responses:
    """All responses of a token game, shortest first, as the table of one prompt.

    A response ends at its first EOS, or is cut at `max_length`; a cut response is an
    outcome like any other, so that the probabilities sum to one.

    Args:
      vocabulary: number of tokens, EOS among them.
      max_length: maximal number of tokens in a response.
      eos_id: the token that ends a response, or all of them.

    Returns:
      A table `[1, Y, T]`, padded with the (first) EOS.

    Raises:
      ValueError: if there is no token, or the end is none of them.
    """
    checks.whole(vocabulary, "vocabulary")
    checks.whole(max_length, "max_length")
    ends = np.atleast_1d(eos_id).tolist()
    if not all(0 <= end < vocabulary for end in ends):
        raise ValueError(f"eos_id {eos_id} is no token of a vocabulary of {vocabulary}")
    others = [token for token in range(vocabulary) if token not in ends]
    rows = [
        (*prefix, end)
        for length in range(max_length)
        for prefix in itertools.product(others, repeat=length)
        for end in ends
    ]
    cut = list(itertools.product(others, repeat=max_length))
    tokens = np.full((len(rows) + len(cut), max_length), ends[0], np.int32)
    lengths = np.array([len(row) for row in rows + cut])
    for index, row in enumerate(rows + cut):
        tokens[index, : len(row)] = row
    truncated = np.arange(len(tokens)) >= len(rows)
    return Responses(
        tokens=jnp.asarray(tokens)[None],
        mask=jnp.asarray(np.arange(max_length) < lengths[:, None])[None],
        truncated=jnp.asarray(truncated)[None],
    )


def exact_log_probs(
    policy: policies.Policy,
    params: Mapping[str, policies.Params],
    behaviour: Behaviour,
    prompts: Prompts,
    responses: Responses,
    *,
    contexts: Mapping[str, Prompts] = types.MappingProxyType({}),
) -> Array:
    """Log-probability of each response under a behaviour, in one pass.

    The distribution that `sample` draws from, without its loop.

    Args:
      policy: the model that all named parameters belong to.
      params: name -> parameters.
      behaviour: `{name: logits [B, N, T, V]} -> logits`, as in `sample`.
      prompts: `B` prompts.
      responses: `[B, N, T]` responses.
      contexts: name -> the prompts that this policy reads instead.

    Returns:
      `[B, N]` nats.
    """
    logits = {
        name: _logits(policy, values, contexts.get(name, prompts), responses)
        for name, values in params.items()
    }
    drawn = jax.nn.log_softmax(behaviour(logits), -1)
    chosen = jnp.take_along_axis(drawn, responses.tokens[..., None], -1)[..., 0]
    return jnp.sum(jnp.where(responses.mask, chosen, 0.0), -1)


def _logits(policy, params, prompts, responses):
    """Logits `[B, N, T, V]` that each token of the responses is drawn from."""
    hidden = policies.read(policy, params, prompts, responses)
    return policies.precise(policy.logits(params, hidden))
