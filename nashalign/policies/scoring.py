"""What policies say of given responses: states, log-probabilities, divergences.

Each prompt is read once, however many responses it has, and each of them in one pass
after it.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nashalign.policies import capacity
from nashalign.policies.logits import precise
from nashalign.policies.policy import Params, Policy, prefill
from nashalign.types import Array, Prompts, Responses

# Logits that exist at the same time, as far as there are at least so many positions:
# 16 MiB in float32. More would be no faster, fewer positions make poor matrix products.
_LOGITS, _POSITIONS = 2**22, 128


def extend(
    policy: Policy,
    params: Params,
    prompts: Prompts,
    tokens: Array,
    mask: Array,
) -> jax.Array:
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
    return extend_from_end(policy, params, prompts, tokens, mask)[:, :, 1:]


def extend_from_end(
    policy: Policy,
    params: Params,
    prompts: Prompts,
    tokens: Array,
    mask: Array,
) -> jax.Array:
    """`extend`, with the state at the end of the prompt before the others.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts of `P` tokens, read once each.
      tokens: `[B, N, S]` continuations.
      mask: `[B, N, S]` bool, false on padding.

    Returns:
      `[B, N, 1 + S, D]`.

    Raises:
      ValueError: see `extend`.
    """
    capacity.require_continued(policy, prompts, tokens, mask, "tokens")
    # The prompt's last token is read with the continuation, whose own states follow.
    end = [(0, 0), (0, 0), (1, 0)]
    read = jnp.pad(mask, end, constant_values=True)
    hidden, _ = _after_prompts(policy, params, prompts, tokens, read)
    own = (jnp.pad(tokens, end), jnp.pad(mask, end))
    return capacity.states(capacity.fits_behind(policy, prompts, *own), hidden)


def extend_pairs(
    policy: Policy,
    params: Params,
    prompts: Prompts,
    tokens: Array,
    mask: Array,
    pairs: Sequence[tuple[int, int]],
) -> tuple[jax.Array, jax.Array]:
    """Hidden states of continuations, and of some that are read behind another.

    Each continuation is read once after its prompt, however many are read behind it.
    Where it is as many for each, and pairs are in order, a sharded batch stays where
    it is.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts of `P` tokens, read once each.
      tokens: `[B, N, S]` continuations.
      mask: `[B, N, S]` bool, false on padding.
      pairs: places of two continuations, of which the second is read behind the first.

    Returns:
      `[B, N, S, D]`, the state after each token of a continuation, and
      `[B, len(pairs), S, D]`, that after each token of the second one of a pair.

    Raises:
      ValueError: a token is outside the vocabulary, or beyond the context. Traced, its
        state and all after it are NaN.
    """
    before, behind = np.asarray(pairs).T
    number, size = tokens.shape[1:]
    both, both_mask = (
        jnp.concatenate([x[:, before], x[:, behind]], -1) for x in (tokens, mask)
    )
    capacity.require_continued(policy, prompts, both, both_mask, "tokens of a pair")
    seen = jnp.pad(mask, [(0, 0), (0, 0), (1, 0)], constant_values=True)
    hidden, cache = _after_prompts(policy, params, prompts, tokens, seen, size + 1)
    hidden = hidden[:, :, 1:]
    rows = (np.arange(len(tokens))[:, None] * number + before).reshape(-1)
    more, _ = policy.hidden(
        params,
        tokens[:, behind].reshape(-1, size),
        mask[:, behind].reshape(-1, size),
        policy.take(cache, rows),
    )
    more = more.reshape(len(tokens), -1, size, more.shape[-1])
    fit = capacity.fits_behind(policy, prompts, tokens, mask)
    fit_pairs = capacity.fits_behind(policy, prompts, both, both_mask)[..., size:]
    return capacity.states(fit, hidden), capacity.states(fit_pairs, more)


def _after_prompts(policy, params, prompts, tokens, mask, room=0):
    """States of reading first tokens and `S - 1` tokens after them, and what is kept.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts.
      tokens: `[B, N, S - 1]`.
      mask: `[B, N, S]` bool: that of the first tokens and of these.
      room: `S` where something is read behind them; else none, as a cache with room
        would be read, empty as it is, with every token.

    Returns:
      `[B, N, S, D]`, and a cache of `B N` rows.
    """
    batch, number, length = mask.shape
    cache, first = prefill(policy, params, prompts, num_responses=number, room=room)
    following = tokens.reshape(batch * number, length - 1)
    inputs = jnp.concatenate([first[:, None], following], 1)
    hidden, cache = policy.hidden(params, inputs, mask.reshape(inputs.shape), cache)
    return hidden.reshape(*mask.shape, -1), cache


def read(
    policy: Policy, params: Params, prompts: Prompts, responses: Responses
) -> Array:
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
    # An input is read where the token it predicts is real.
    inputs = responses.tokens[..., :-1]
    hidden, _ = _after_prompts(policy, params, prompts, inputs, responses.mask)
    return capacity.states(capacity.fits_behind(policy, prompts, *own), hidden)


def log_probs(
    policy: Policy, params: Params, prompts: Prompts, responses: Responses
) -> Array:
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
    policy: Policy, params: Params, hidden: Array, responses: Responses
) -> Array:
    """`log_probs` from the states `[B, N, T, D]` of `read`.

    At most four million logits exist at a time, or those of 128 positions, or of one
    position of each response, and they are made again in the backward pass.
    """

    def chosen(params, hidden, tokens):
        logits = precise(policy.logits(params, hidden))
        picked = jnp.take_along_axis(logits, tokens[..., None], -1)[..., 0]
        return picked - jax.nn.logsumexp(logits, -1)

    found = _in_chunks(policy, chosen, params, hidden, responses.tokens)
    return jnp.where(responses.mask, found, 0.0)


def token_kl(
    policy: Policy,
    params: tuple[Params, Params],
    hidden: tuple[Array, Array],
    responses: Responses,
) -> Array:
    r"""KL divergence of two policies' next-token distributions along responses.

    .. math:: \sum_v p(v \mid x, y_{<t}) \log\frac{p(v \mid x, y_{<t})}
              {q(v \mid x, y_{<t})}

    Its sum over `T`, averaged over responses of `p`, is the KL of whole responses.
    No more logits exist at a time than in `log_probs_of`.

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

    found = _in_chunks(policy, divergence, params, *hidden)
    return jnp.where(responses.mask, found, 0.0)


def log_collision(
    policy: Policy, params: Params, hidden: Array, responses: Responses
) -> Array:
    r"""Log-probability that two draws of the next token are the same, along responses.

    .. math:: \log \sum_v \pi(v \mid x, y_{<t})^2

    No more logits exist at a time than in `log_probs_of`.

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

    found = _in_chunks(policy, of_states, params, hidden)
    return jnp.where(responses.mask, found, 0.0)


def _in_chunks(policy, function, params, *arrays):
    """`function(params, *arrays)` `[B, N, T]`, recomputed in the backward pass.

    A chunk is some positions of every response, so that a sharded batch stays where it
    is. A loop over chunks reuses their memory, which separate ones would not.
    """
    batch, number, length = arrays[0].shape[:3]
    positions = max(_POSITIONS, _LOGITS // policy.vocabulary)
    size = max(1, positions // max(1, batch * number))
    function = jax.checkpoint(functools.partial(function, params))
    if size >= length:
        return function(*arrays)
    count = -(-length // size)

    def chunks(array):
        padding = [(0, 0)] * array.ndim
        padding[2] = (0, count * size - length)
        array = jnp.pad(array, padding)
        array = array.reshape(batch, number, count, size, *array.shape[3:])
        return jnp.moveaxis(array, 2, 0)

    found = jax.lax.map(lambda own: function(*own), tuple(map(chunks, arrays)))
    return jnp.moveaxis(found, 0, 2).reshape(batch, number, -1)[..., :length]
