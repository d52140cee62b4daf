"""Autoregressive decoding: one compiled loop, one cache per policy.

A response is drawn from a *behaviour*, a function of the next-token logits of one or
more named policies: the policy itself, or its token-level mixture with the reference.
The loop returns each named policy's log-probabilities of what was drawn, so that none
needs a second pass.

A draw depends on the key, the example id, the response's index and the position, and on
nothing else: it survives another batch layout, padding, device count, and resuming.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks, policies
from nashalign.types import Array, Prompts, Responses, pytree

Behaviour = Callable[[Mapping[str, Array]], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How responses end and how sharply they are drawn.

    Attributes:
      max_length: tokens after which a response is cut, at least one.
      eos_id: the tokens that end a response, each of which then belongs to it: all
        that the model was trained to end with. One may be given by itself.
      pad_id: what fills the space after the end; masked everywhere.
      temperature: of the behaviour, > 0 and finite; a very small one is greedy.
        Log-probabilities are always at 1.

    Raises:
      TypeError: if one of them is no number.
      ValueError: if the length is less than one, or the temperature not positive.
    """

    max_length: int
    eos_id: tuple[int, ...] | int
    pad_id: int
    temperature: float = 1.0

    def __post_init__(self):
        """Checks the numbers, and makes a tuple of one end token."""
        checks.whole(self.max_length, "max_length")
        checks.whole(self.pad_id, "pad_id", least=0)
        checks.setting(self.temperature, "temperature", above=0)
        given: Any = self.eos_id
        several = np.ndim(given) and not isinstance(given, str)
        ends = given if several else (given,)
        # An end that is no token ends nothing: responses are then all of one length.
        ends = tuple(checks.whole(end, "eos_id", least=-1) for end in ends)
        object.__setattr__(self, "eos_id", ends)


def sample(
    policy: policies.Policy,
    params: Mapping[str, policies.Params],
    behaviour: Behaviour,
    key: chex.PRNGKey,
    prompts: Prompts,
    *,
    contexts: Mapping[str, Prompts] = types.MappingProxyType({}),
    num_responses: int,
    decoding: Decoding,
) -> tuple[Responses, dict[str, Array]]:
    """Draws `N` responses to each prompt from a behaviour.

    Args:
      policy: the model that all named parameters belong to.
      params: name -> parameters of each policy that the behaviour looks at.
      behaviour: `{name: logits [B, N, V]} -> logits [B, N, V]` of what is drawn from.
      key: consumed; folded with example id, response index and position.
      prompts: `B` prompts, each read once per named policy.
      contexts: name -> the prompts that this policy reads instead; ids do not matter.
      num_responses: `N`, at least one.
      decoding: end of sequence, maximal length, temperature.

    Returns:
      The responses, and name -> per-token log-probabilities `[B, N, T]` in nats, zero
      where masked.

    Raises:
      ValueError: a prompt has a token outside the vocabulary, or with `max_length` more
        exceeds the context. Traced, log-probabilities are NaN from there on.
    """
    checks.whole(num_responses, "num_responses")
    batch = prompts.tokens.shape[0]
    keys = _row_keys(key, prompts.ids, num_responses)
    shape = (batch, num_responses, decoding.max_length)
    read = {name: contexts.get(name, prompts) for name in params}
    room = {
        name: _room(policy, own, decoding, _called(name, contexts))
        for name, own in read.items()
    }
    begun = {
        name: policies.prefill(
            policy,
            values,
            read[name],
            num_responses=num_responses,
            room=decoding.max_length,
        )
        for name, values in params.items()
    }
    start = _Loop(
        position=jnp.zeros((), jnp.int32),
        last={name: first.astype(jnp.int32) for name, (_, first) in begun.items()},
        alive=jnp.ones((batch, num_responses), bool),
        tokens=jnp.full(shape, decoding.pad_id, jnp.int32),
        mask=jnp.zeros(shape, bool),
        log_probs={
            name: jnp.zeros(shape, _precision(values))
            for name, values in params.items()
        },
        caches={name: cache for name, (cache, _) in begun.items()},
    )

    def unfinished(loop):
        return (loop.position < decoding.max_length) & jnp.any(loop.alive)

    def advance(loop):
        return _advance(policy, params, behaviour, keys, room, decoding, loop)

    end = jax.lax.while_loop(unfinished, advance, start)
    responses = Responses(tokens=end.tokens, mask=end.mask, truncated=end.alive)
    return responses, end.log_probs


@pytree
@dataclasses.dataclass(frozen=True)
class _Loop:
    """What the decoding loop carries."""

    position: Array
    last: dict[str, Array]
    alive: Array
    tokens: Array
    mask: Array
    log_probs: dict[str, Array]
    caches: dict[str, policies.Cache]


def _called(name, contexts):
    """What an error calls the prompts that a policy reads."""
    return f"contexts[{name!r}]" if name in contexts else "prompts"


def _room(policy, prompts, decoding, name):
    """How many tokens `[B]` fit behind each prompt; none where one is no token."""
    longest = decoding.max_length
    policies.require_prompts(policy, prompts, longest, name, f"max_length {longest}")
    fit = policies.fits(policy, prompts.tokens, prompts.mask)[:, -1]
    return jnp.where(fit, policy.context - jnp.sum(prompts.mask, -1), 0)


def _advance(policy, params, behaviour, keys, room, decoding, loop):
    """One position: every policy reads the last token, the behaviour draws the next."""
    batch, num_responses = loop.alive.shape
    logits, caches = {}, {}
    for name, values in params.items():
        row_logits, caches[name] = policy.decode(
            values,
            loop.last[name][:, None],
            loop.alive.reshape(-1, 1),
            loop.caches[name],
        )
        logits[name] = row_logits.reshape(batch, num_responses, -1)
    keys = _fold(keys, loop.position)
    drawn = jax.vmap(jax.vmap(jax.random.categorical))(
        keys, behaviour(logits) / decoding.temperature
    )
    tokens = jnp.where(loop.alive, drawn, decoding.pad_id).astype(jnp.int32)
    chosen = {
        name: jnp.where(
            loop.position < room[name][:, None], _log_prob(values, tokens), jnp.nan
        )
        for name, values in logits.items()
    }
    chosen = jax.tree.map(lambda x: jnp.where(loop.alive, x, 0.0), chosen)
    ends = jnp.asarray(decoding.eos_id, jnp.int32)

    def write(row, column):
        return row.at[:, :, loop.position].set(column)

    return _Loop(
        position=loop.position + 1,
        last=dict.fromkeys(loop.last, tokens.reshape(-1)),
        alive=loop.alive & ~jnp.isin(tokens, ends),
        tokens=write(loop.tokens, tokens),
        mask=write(loop.mask, loop.alive),
        log_probs=jax.tree.map(write, loop.log_probs, chosen),
        caches=caches,
    )


def _precision(params):
    """Of a policy's log-probabilities: at least float32, whatever it is in."""
    return jnp.promote_types(jax.tree.leaves(params)[0].dtype, jnp.float32)


def _log_prob(logits, tokens):
    """Log-probability of one token per row, `[B, N]`."""
    picked = jnp.take_along_axis(logits, tokens[..., None], -1)[..., 0]
    return picked - jax.nn.logsumexp(logits, -1)


def _row_keys(key, ids, num_responses):
    """Keys `[B, N]` from example ids and response indices."""
    rows = jax.vmap(jax.random.fold_in, (None, 0))(key, ids)
    indices = jnp.arange(num_responses)
    return jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(rows, indices)


def _fold(keys, position):
    """The same keys at one position of the response."""
    return jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (0, None))(keys, position)
