"""A policy as a value: pure functions from parameters and tokens to logits.

Everything outside this room sees a language model as a `Policy`, a bundle of pure
functions over a pytree of parameters. The model families behind it (`llama.py`) are
`flax.nnx` modules; a user brings any other by filling in the same functions.

Caches are arguments and results, never hidden state, so that they can be carried by a
`while_loop`, repeated for the responses of one prompt, and kept one per policy.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from nashalign.policies import capacity
from nashalign.policies.logits import precise
from nashalign.types import Prompts, Responses

Params = Any
Cache = Any

# Positions whose logits exist at the same time while log-probabilities are computed.
_TIME_CHUNK = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """A language model's pure functions.

    Attributes:
      init: `(key) -> params`, fresh parameters.
      init_cache: `(params, batch_size, length) -> cache`, room for `length` tokens in
        each of `batch_size` rows, in the parameters' precision.
      hidden: `(params, tokens, mask, cache) -> (hidden [B, S, D], cache)`, reads `S`
        more tokens (`[B, S]`, with their mask) after those in the cache. A cache of
        None is a sequence from its start; None is returned. Masked tokens are not
        attended to and take no position, so padding on either side changes nothing.
      logits: `(params, hidden [..., D]) -> [..., V]`, next-token logits.
      vocabulary: `V`.
      width: `D`.
      context: the largest number of tokens in a row, prompt and response together.
    """

    init: Callable[[chex.PRNGKey], Params]
    init_cache: Callable[[Params, int, int], Cache]
    hidden: Callable[..., tuple[chex.Array, Cache]]
    logits: Callable[[Params, chex.Array], chex.Array]
    vocabulary: int
    width: int
    context: int

    def apply(self, params: Params, tokens: chex.Array, mask: chex.Array) -> chex.Array:
        """Returns next-token logits `[B, S, V]` of whole sequences `[B, S]`.

        They are in at least float32, and NaN behind a token outside the vocabulary and
        beyond the context.
        """
        hidden, _ = self.hidden(params, tokens, mask, None)
        hidden = capacity.states(capacity.fits(self, tokens, mask), hidden)
        return precise(self.logits(params, hidden))

    def decode(
        self, params: Params, tokens: chex.Array, mask: chex.Array, cache: Cache
    ) -> tuple[chex.Array, Cache]:
        """Returns logits `[B, S, V]` of `S` more tokens, and the longer cache."""
        hidden, cache = self.hidden(params, tokens, mask, cache)
        return precise(self.logits(params, hidden)), cache


def prefill(
    policy: Policy,
    params: Params,
    prompts: Prompts,
    *,
    num_prompt_tokens: int,
    num_responses: int,
    room: int,
) -> Cache:
    """Reads each prompt once and returns a cache of `B * num_responses` rows.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts of `P` tokens.
      num_prompt_tokens: how many of the `P` columns are read: `P - 1` where the last
        prompt token is fed as the first input of the response, as in decoding.
      num_responses: rows made from each prompt, adjacent.
      room: tokens that can be added to each row.
    """
    batch = prompts.tokens.shape[0]
    cache = policy.init_cache(params, batch, num_prompt_tokens + room)
    if num_prompt_tokens:
        tokens = prompts.tokens[:, :num_prompt_tokens]
        mask = prompts.mask[:, :num_prompt_tokens]
        _, cache = policy.hidden(params, tokens, mask, cache)
    return repeat_cache(cache, num_responses)


def repeat_cache(cache: Cache, num_responses: int) -> Cache:
    """Repeats each row of a cache for the `num_responses` responses of its prompt.

    Its `mask` has the rows on axis 0, other arrays on axis 1 behind the layers; arrays
    of rank 0 (counters) are shared by all rows.
    """
    return {
        name: value if value.ndim == 0 else jnp.repeat(value, num_responses, _row(name))
        for name, value in cache.items()
    }


def _row(name: str) -> int:
    """The row axis of a cache entry."""
    return 0 if name == "mask" else 1


def extend(
    policy: Policy,
    params: Params,
    prompts: Prompts,
    tokens: chex.Array,
    mask: chex.Array,
) -> chex.Array:
    """Hidden states of `N` continuations of each prompt, whose forward pass they share.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts of `P` tokens, read once each.
      tokens: `[B, N, S]` continuations.
      mask: `[B, N, S]` bool, false on padding.

    Returns:
      `[B, N, S, D]`, the state after each of the continuation's tokens.

    Raises:
      ValueError: a token is outside the vocabulary, or beyond the context. Traced, its
        state and all after it are NaN.
    """
    capacity.require_continued(policy, prompts, tokens, mask, "tokens")
    width = prompts.tokens.shape[1]
    hidden = _extend(policy, params, prompts, tokens, mask, width)
    return capacity.states(capacity.continued(policy, prompts, tokens, mask), hidden)


def _extend(policy, params, prompts, tokens, mask, num_prompt_tokens):
    """`extend` after the first `num_prompt_tokens` columns of the prompts."""
    chex.assert_equal_shape([tokens, mask])
    batch, num_responses, length = tokens.shape
    cache = prefill(
        policy,
        params,
        prompts,
        num_prompt_tokens=num_prompt_tokens,
        num_responses=num_responses,
        room=length,
    )
    rows = (batch * num_responses, length)
    hidden, _ = policy.hidden(params, tokens.reshape(rows), mask.reshape(rows), cache)
    return hidden.reshape(*tokens.shape, -1)


def shifted_inputs(prompts: Prompts, responses: Responses) -> tuple:
    """What the model reads to predict a response: the last prompt token, then `y[:-1]`.

    Returns:
      Tokens and mask, `[B, N, T]` each.
    """
    shape = responses.tokens.shape[:2] + (1,)
    last = jnp.broadcast_to(prompts.tokens[:, -1][:, None, None], shape)
    tokens = jnp.concatenate([last, responses.tokens[..., :-1]], -1)
    # An input is read where the token it predicts is real.
    return tokens, responses.mask


def read(
    policy: Policy, params: Params, prompts: Prompts, responses: Responses
) -> chex.Array:
    """The states from which each token of the responses is predicted.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts, whose forward pass the responses share.
      responses: `[B, N, T]` responses.

    Returns:
      `[B, N, T, D]`; what comes from a state reads the tokens before its own only.

    Raises:
      ValueError: a token is outside the vocabulary, or beyond the context. Traced, its
        state and all after it are NaN.
    """
    own = (responses.tokens, responses.mask)
    capacity.require_continued(policy, prompts, *own, "responses.tokens")
    tokens, mask = shifted_inputs(prompts, responses)
    width = prompts.tokens.shape[1]
    hidden = _extend(policy, params, prompts, tokens, mask, width - 1)
    return capacity.states(capacity.continued(policy, prompts, *own), hidden)


def log_probs(
    policy: Policy, params: Params, prompts: Prompts, responses: Responses
) -> chex.Array:
    r"""Per-token log-probabilities of responses, at temperature 1.

    .. math:: \log \pi(y_t \mid x, y_{<t})

    Their sum over `T` is the log-probability of the response; theory needs that sum,
    not the mean.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts.
      responses: `[B, N, T]` responses.

    Returns:
      `[B, N, T]` nats, zero where masked.

    Raises:
      ValueError: a token is outside the vocabulary, or prompt and response together
        exceed the context. Traced, log-probabilities are NaN from there on.
    """
    hidden = read(policy, params, prompts, responses)
    return log_probs_of(policy, params, hidden, responses)


def log_probs_of(
    policy: Policy, params: Params, hidden: chex.Array, responses: Responses
) -> chex.Array:
    """`log_probs` from the states `[B, N, T, D]` of `read`.

    Logits of at most 64 positions exist at a time, and are made again in the backward
    pass.
    """

    def chosen(params, hidden, tokens):
        logits = precise(policy.logits(params, hidden))
        picked = jnp.take_along_axis(logits, tokens[..., None], -1)[..., 0]
        return picked - jax.nn.logsumexp(logits, -1)

    found = _in_chunks(chosen, params, hidden, responses.tokens)
    return jnp.where(responses.mask, found, 0.0)


def token_kl(
    policy: Policy,
    params: tuple[Params, Params],
    hidden: tuple[chex.Array, chex.Array],
    responses: Responses,
) -> chex.Array:
    r"""KL divergence of two policies' next-token distributions along responses.

    .. math:: \sum_v p(v \mid x, y_{<t}) \log\frac{p(v \mid x, y_{<t})}
              {q(v \mid x, y_{<t})}

    Its sum over `T`, averaged over responses of `p`, is the KL of whole responses.
    Logits of at most 64 positions exist at a time.

    Args:
      policy: the model.
      params: of p and of q.
      hidden: states `[B, N, T, D]` of p and of q, from `read`.
      responses: `[B, N, T]` responses.

    Returns:
      `[B, N, T]` nats, >= 0, zero where masked; infinite where q masks what p does not.
    """

    def divergence(params, p, q):
        log_p = jax.nn.log_softmax(precise(policy.logits(params[0], p)))
        log_q = jax.nn.log_softmax(precise(policy.logits(params[1], q)))
        # What p masks adds nothing, whatever q says of it.
        there = jnp.logical_not(jnp.isneginf(log_p))
        log_ratio = jnp.where(there, log_p, 0.0) - jnp.where(there, log_q, 0.0)
        return jnp.sum(jnp.exp(log_p) * log_ratio, -1)

    found = _in_chunks(divergence, params, *hidden)
    return jnp.where(responses.mask, found, 0.0)


def log_collision(
    policy: Policy, params: Params, hidden: chex.Array, responses: Responses
) -> chex.Array:
    r"""Log-probability that two draws of the next token are the same, along responses.

    .. math:: \log \sum_v \pi(v \mid x, y_{<t})^2

    Logits of at most 64 positions exist at a time.

    Args:
      policy: the model.
      params: its parameters.
      hidden: states `[B, N, T, D]` from `read`.
      responses: `[B, N, T]` responses.

    Returns:
      `[B, N, T]` nats, <= 0, zero where masked.
    """

    def of_states(params, hidden):
        logits = precise(policy.logits(params, hidden))
        return jax.nn.logsumexp(2 * jax.nn.log_softmax(logits), -1)

    found = _in_chunks(of_states, params, hidden)
    return jnp.where(responses.mask, found, 0.0)


def _in_chunks(function, params, *arrays):
    """`function(params, *arrays)` `[B, N, T]`, 64 positions at a time, recomputed."""
    length = arrays[0].shape[2]
    chunks = [
        jax.checkpoint(function)(
            params, *(array[:, :, t : t + _TIME_CHUNK] for array in arrays)
        )
        for t in range(0, length, _TIME_CHUNK)
    ]
    return jnp.concatenate(chunks, -1)
