"""Autoregressive decoding: one compiled loop, one cache per policy.

A response is drawn from a *behaviour*, a function of the next-token logits of one or
more named policies: the policy itself, or its token-level mixture with the reference.
The loop returns each named policy's log-probabilities of what was drawn, so that none
needs a second pass.

A draw depends on the key, the example id, the response's index and the position, and on
nothing else: it survives another batch layout, padding, device count, and resuming.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks, data, policies
from nashalign.sampling import rows
from nashalign.sampling.drawing import draw
from nashalign.types import Array, Prompts, Responses

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
      stops: texts that end a response as well, with the token that completes one; a
        value of `data.Tokenizer.stopping`.
      slots: prompts that are written to at the same time; the others wait until a row's
        response has ended, and take its place. Fewer need less memory, and lose less to
        responses of unequal length. All at once where it is None.

    Raises:
      TypeError: if one of them is no number.
      ValueError: if the length is less than one, or the temperature not positive.
    """

    max_length: int
    eos_id: tuple[int, ...] | int
    pad_id: int
    temperature: float = 1.0
    stops: data.Stops | None = None
    slots: int | None = None

    def __post_init__(self):
        """Checks the numbers, and makes a tuple of one end token."""
        checks.whole(self.max_length, "max_length")
        checks.whole(self.pad_id, "pad_id", least=0)
        checks.setting(self.temperature, "temperature", above=0)
        if self.slots is not None:
            checks.whole(self.slots, "slots")
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
        exceeds the context. Traced, log-probabilities are NaN from there on. Or
        `decoding.stops` are for another vocabulary.
    """
    checks.whole(num_responses, "num_responses")
    _require_stops(decoding, policy)
    read = {name: contexts.get(name, prompts) for name in params}
    room = {
        name: _room(policy, own, decoding, _called(name, contexts))
        for name, own in read.items()
    }
    batch = len(prompts.tokens)
    size = batch if decoding.slots is None else min(decoding.slots, batch)
    readers = rows.readers(params, read)
    queue = rows.Queue(
        keys=_row_keys(key, prompts.ids, num_responses),
        room=room,
        **_waiting(policy, readers, read, size),
    )
    start = _start(policy, readers, read, num_responses, decoding, size)

    def advance(loop):
        loop = _advance(policy, readers, behaviour, queue, decoding, loop)
        if size == batch:
            return loop
        return rows.refill(policy, queue, loop, decoding.pad_id)

    end = jax.lax.while_loop(lambda loop: jnp.any(loop.alive), advance, start)
    found = rows.collect(end)
    responses = Responses(
        tokens=found.tokens, mask=found.mask, truncated=found.truncated
    )
    return responses, found.log_probs


def _waiting(policy, readers, read, size):
    """Caches and first tokens of the prompts behind the first rows'."""
    caches, first = {}, {}
    for names, values in readers.items():
        rest = rows.blocks(read, names, slice(size, None))
        if len(rest.tokens):
            caches[names], token = policy.prefill(values, rest, room=0)
            first |= rows.by_name(names, token)
    return {"caches": caches, "first": first}


def _start(policy, readers, read, num_responses, decoding, size):
    """The rows before the first token."""
    batch = len(next(iter(read.values())).tokens)
    shape, length = (size, num_responses), decoding.max_length
    caches, last, dtypes = {}, {}, {}
    for names, values in readers.items():
        first = rows.blocks(read, names, slice(size))
        caches[names], token = policies.prefill(
            policy, values, first, num_responses=num_responses, room=length
        )
        last |= rows.by_name(names, token.astype(jnp.int32), shape)
        dtypes |= dict.fromkeys(names, _precision(values))
        if size < batch:
            # The first put may change a cache's form, which a loop may not.
            own = np.zeros(1, int)
            other = policy.take(caches[names], own)
            caches[names] = policy.put(caches[names], own, other)
    empty = functools.partial(
        rows.blank, length=length, dtypes=dtypes, pad_id=decoding.pad_id
    )
    return rows.Rows(
        prompt=jnp.repeat(jnp.arange(size)[:, None], num_responses, 1),
        position=jnp.zeros(shape, jnp.int32),
        alive=jnp.ones(shape, bool),
        matched=jnp.zeros(shape, jnp.int32),
        last=last,
        caches=caches,
        written=empty(shape),
        waiting=jnp.full(num_responses, size),
        done=empty((batch, num_responses)) if size < batch else None,
    )


def _called(name, contexts):
    """What an error calls the prompts that a policy reads."""
    return f"contexts[{name!r}]" if name in contexts else "prompts"


def _room(policy, prompts, decoding, name):
    """How many tokens `[B]` fit behind each prompt; none where one is no token."""
    longest = decoding.max_length
    policies.require_prompts(policy, prompts, longest, name, f"max_length {longest}")
    fit = policies.fits(policy, prompts.tokens, prompts.mask)[:, -1]
    return jnp.where(fit, policy.context - jnp.sum(prompts.mask, -1), 0)


def _advance(policy, readers, behaviour, queue, decoding, loop):
    """One token: every policy reads the last one, the behaviour draws the next."""
    logits, caches = {}, {}
    for names, values in readers.items():
        row_logits, caches[names] = policy.decode(
            values,
            jnp.concatenate([loop.last[name].reshape(-1, 1) for name in names]),
            jnp.tile(loop.alive.reshape(-1, 1), (len(names), 1)),
            loop.caches[names],
        )
        logits |= rows.by_name(names, row_logits, (*loop.alive.shape, -1))
    column = jnp.arange(loop.alive.shape[1])[None]
    keys = _fold(queue.keys[loop.prompt, column], loop.position)
    drawn = draw(keys, _sharpened(behaviour(logits), decoding.temperature))
    tokens = jnp.where(loop.alive, drawn, decoding.pad_id).astype(jnp.int32)
    chosen = {
        name: jnp.where(
            loop.position < queue.room[name][loop.prompt],
            _log_prob(values, tokens),
            jnp.nan,
        )
        for name, values in logits.items()
    }
    matched, stopped = _matched(decoding.stops, loop.matched, tokens)
    ended = stopped | jnp.isin(tokens, jnp.asarray(decoding.eos_id, jnp.int32))
    going_on = loop.alive & ~ended
    cut = going_on & (loop.position + 1 == decoding.max_length)
    places = jnp.arange(decoding.max_length)[None, None]
    here = loop.alive[..., None] & (places == loop.position[..., None])

    def write(row, value):
        return jnp.where(here, value[..., None], row)

    written = loop.written
    return dataclasses.replace(
        loop,
        position=loop.position + loop.alive,
        alive=going_on & ~cut,
        matched=matched,
        last=dict.fromkeys(loop.last, tokens),
        caches=caches,
        written=rows.Written(
            tokens=write(written.tokens, tokens),
            mask=written.mask | here,
            truncated=written.truncated | cut,
            log_probs=jax.tree.map(write, written.log_probs, chosen),
        ),
    )


def _matched(stops, state, tokens):
    """The state `[S, N]` behind tokens, and whether a stop text is complete."""
    if stops is None:
        return state, False
    state = jnp.asarray(stops.table)[state, tokens].astype(jnp.int32)
    return state, state == len(stops.table) - 1


def _require_stops(decoding, policy):
    """Requires that stop texts are read off the tokens that the policy writes."""
    stops = decoding.stops
    if stops is not None and stops.table.shape[1] != policy.vocabulary:
        raise ValueError(
            f"decoding.stops are for {stops.table.shape[1]} tokens, and the policy has "
            f"{policy.vocabulary}; give Tokenizer.stopping its vocabulary."
        )


def _sharpened(logits, temperature):
    """Logits at a temperature, however low: the largest stays 0, none overflows."""
    return (logits - jnp.max(logits, -1, keepdims=True)) / temperature


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


def _fold(keys, positions):
    """The keys `[B, N]` of rows at their positions in the response."""
    return jax.vmap(jax.vmap(jax.random.fold_in))(keys, positions)
