"""The rows of the decoding loop: what each writes, and who takes the place of the done.

A loop has `S` rows for each of the `N` responses of a prompt. Where there are more
prompts than rows the others wait: a row whose response has ended takes the next prompt
of its column, and the loop goes on at full width. What a row draws depends on its own
prompt, index and position alone, so that waiting changes no response.
"""

import dataclasses
from collections.abc import Mapping

import chex
import jax
import jax.numpy as jnp

from nashalign import policies
from nashalign.types import Array, Prompts, pytree

Names = tuple[str, ...]


def readers(
    params: Mapping[str, policies.Params], read: Mapping[str, Prompts]
) -> dict[Names, policies.Params]:
    """Returns who reads the rows, by the names of the policies that each stands for.

    Policies that differ in their adapters alone read their rows in one pass, so that
    their base is read once a token.

    Args:
      params: of each policy, by name.
      read: the prompts of each.
    """
    shared = policies.lora.together(params)
    widths = {prompts.tokens.shape for prompts in read.values()}
    if shared is not None and len(widths) == 1:
        return {tuple(params): shared}
    return {(name,): values for name, values in params.items()}


def blocks(read: Mapping[str, Prompts], names: Names, part: slice) -> Prompts:
    """Returns part of each policy's prompts, one policy's behind the other's."""
    own = [jax.tree.map(lambda leaf: leaf[part], read[name]) for name in names]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *own)


def by_name(
    names: Names, values: Array, shape: tuple[int, ...] = (-1,)
) -> dict[str, jax.Array]:
    """Returns what was read, by the policies in whose blocks it comes.

    Args:
      names: of the blocks.
      values: with the blocks on its leading axis.
      shape: that each is given.
    """
    own = jnp.split(values, len(names))
    return {name: one.reshape(shape) for name, one in zip(names, own, strict=True)}


@pytree
@dataclasses.dataclass(frozen=True)
class Written:
    """Responses as far as they are written.

    Attributes:
      tokens: `[*B, N, T]`.
      mask: `[*B, N, T]` bool.
      truncated: `[*B, N]` bool, cut at the maximal length.
      log_probs: name -> `[*B, N, T]` nats.
    """

    tokens: Array
    mask: Array
    truncated: Array
    log_probs: dict[str, Array]


@pytree
@dataclasses.dataclass(frozen=True)
class Queue:
    """The prompts that wait behind the first `S`.

    Attributes:
      keys: `[B, N]`, one a response.
      room: name -> `[B]` tokens that fit behind each prompt.
      caches: names -> of those that wait, `B - S` rows for each name.
      first: name -> `[B - S]` the token that each is read on from.
    """

    keys: chex.PRNGKey
    room: Mapping[str, Array]
    caches: dict[Names, policies.Cache]
    first: dict[str, Array]


@pytree
@dataclasses.dataclass(frozen=True)
class Rows:
    """What the decoding loop carries.

    Attributes:
      prompt: `[S, N]` the prompt that a row writes to.
      position: `[S, N]` tokens that the row has written.
      alive: `[S, N]` bool, rows that go on.
      matched: `[S, N]` how much of a stop text is written; see `data.Stops`.
      last: name -> `[S, N]` the token that is read next.
      caches: names -> of `S N` rows for each name.
      written: what the rows have written.
      waiting: `[N]` the next prompt of each column; `B` where none waits.
      done: `[B, N]` responses that have left their row; None where no prompt waits.
    """

    prompt: Array
    position: Array
    alive: Array
    matched: Array
    last: dict[str, Array]
    caches: dict[Names, policies.Cache]
    written: Written
    waiting: Array
    done: Written | None


def blank(
    shape: tuple[int, ...], length: int, dtypes: Mapping[str, jnp.dtype], pad_id: int
) -> Written:
    """Returns responses of which nothing is written."""
    return Written(
        tokens=jnp.full((*shape, length), pad_id, jnp.int32),
        mask=jnp.zeros((*shape, length), bool),
        truncated=jnp.zeros(shape, bool),
        log_probs={
            name: jnp.zeros((*shape, length), dtype) for name, dtype in dtypes.items()
        },
    )


def refill(policy: policies.Policy, queue: Queue, rows: Rows, pad_id: int) -> Rows:
    """Puts the next prompts into rows that have ended, one row after another."""

    def free(rows):
        return ~rows.alive & (rows.waiting < len(queue.keys))[None]

    def replace(rows):
        row = jnp.argmax(free(rows).reshape(-1))
        place = jnp.divmod(row, rows.alive.shape[1])
        return _replaced(policy, queue, _left(rows, place), row, place, pad_id)

    return jax.lax.while_loop(lambda rows: jnp.any(free(rows)), replace, rows)


def collect(rows: Rows) -> Written:
    """Returns all responses `[B, N]`, of which the last are still in their rows."""
    if rows.done is None:
        return rows.written
    column = jnp.arange(rows.prompt.shape[1])[None]
    return _set(rows.done, (rows.prompt, column), rows.written)


def _left(rows, place):
    """The rows, one of whose responses is put where the done ones are."""
    own = jax.tree.map(lambda leaf: leaf[place], rows.written)
    done = _set(rows.done, (rows.prompt[place], place[1]), own)
    return dataclasses.replace(rows, done=done)


def _set(written: Written, place, own: Written) -> Written:
    """Responses with others in some of their places."""
    return jax.tree.map(lambda leaf, new: leaf.at[place].set(new), written, own)


def _replaced(policy, queue, rows, row, place, pad_id):
    """The rows, one of which begins with the next prompt of its column."""
    prompt = rows.waiting[place[1]]
    num_waiting = len(next(iter(queue.first.values())))
    own = prompt - (len(queue.keys) - num_waiting)

    def put(names, cache):
        block = jnp.arange(len(names))
        other = policy.take(queue.caches[names], own + num_waiting * block)
        return policy.put(cache, row + rows.alive.size * block, other)

    length = rows.written.tokens.shape[-1]
    dtypes = {name: value.dtype for name, value in rows.written.log_probs.items()}
    empty = blank((), length, dtypes, pad_id)
    return dataclasses.replace(
        rows,
        prompt=rows.prompt.at[place].set(prompt),
        position=rows.position.at[place].set(0),
        alive=rows.alive.at[place].set(True),
        matched=rows.matched.at[place].set(0),
        last={
            name: tokens.at[place].set(queue.first[name][own])
            for name, tokens in rows.last.items()
        },
        caches={names: put(names, cache) for names, cache in rows.caches.items()},
        written=_set(rows.written, place, empty),
        waiting=rows.waiting.at[place[1]].add(1),
    )
