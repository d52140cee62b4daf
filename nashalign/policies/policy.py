"""A policy as a value: pure functions from parameters and tokens to logits.

Everything outside this room sees a language model as a `Policy`, a bundle of pure
functions over a pytree of parameters. The model families behind it (`llama.py`) are
`flax.nnx` modules; a user brings any other by filling in the same functions.

A response is read token by token after a *first token*, from which its own first token
is predicted: a decoder's is the last of the prompt, an encoder-decoder has one that
begins every answer. What a model keeps of what it has read is a *cache*. Caches are
arguments and results, never hidden state, so that they can be carried by a
`while_loop`, repeated for the responses of one prompt, and kept one per policy; what is
in one is known to its family alone.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import chex
import jax
import numpy as np

from nashalign.policies import capacity
from nashalign.policies.logits import precise
from nashalign.policies.rows import take_rows
from nashalign.types import Array, Prompts

# Pytrees of arrays, whose structure is the family's.
Params = Any
Cache = Any


class Prefill(Protocol):
    """Reads prompts, once for all that is written to them."""

    def __call__(
        self, params: Params, prompts: Prompts, *, room: int
    ) -> tuple[Cache, Array]:
        """Return a cache of `B` rows with room for more tokens, and first tokens `[B]`.

        The cache has read all of a prompt that comes before its first token: `hidden`
        reads the first token next, and after it the response's own, `room` tokens
        together. Once it may read any number beyond them: what comes back beside their
        states is good for nothing.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """A language model's pure functions.

    Attributes:
      init: `(key) -> params`, fresh parameters.
      prefill: `(params, prompts, *, room) -> (cache, first_tokens [B])`, reads each
        prompt once; see `Prefill`. An encoder runs here.
      take: `(cache, rows [R]) -> cache`, those of the cache's rows, chosen or repeated.
      put: `(cache, rows [R], other) -> cache`, with the `R` rows of another cache in
        the place of these, which are different ones. A row that is put goes on as it
        would have in its own cache; the others are as they were. The other cache was
        made with no more room.
        The first put may change the form of a cache, no later one does: a loop that
        refills rows begins with a put.
      hidden: `(params, tokens, mask, cache) -> (hidden [B, S, D], cache)`, reads `S`
        more tokens (`[B, S]`, with their mask) after those in the cache. Masked tokens
        are not attended to and take no position, so padding on either side changes
        nothing. A cache of None, which a family may refuse, is a sequence from its
        start, without any prompt; None is returned.
      logits: `(params, hidden [..., D]) -> [..., V]`, next-token logits.
      vocabulary: `V`.
      width: `D`.
      context: the largest number of tokens in a row, prompt and response together.
      compute_dtype: name of the type in which it computes (`precision.computing_in`);
        None is that of its parameters.
      without_remat: the same model whose backward pass keeps what it needs instead of
        computing it again; None where that makes no difference.
    """

    init: Callable[[chex.PRNGKey], Params]
    prefill: Prefill
    take: Callable[[Cache, Array], Cache]
    put: Callable[[Cache, Array, Cache], Cache]
    hidden: Callable[
        [Params, Array, Array, Cache | None],
        tuple[jax.Array, Cache | None],
    ]
    logits: Callable[[Params, Array], jax.Array]
    vocabulary: int
    width: int
    context: int
    compute_dtype: str | None = None
    without_remat: "Policy | None" = None

    def apply(self, params: Params, tokens: Array, mask: Array) -> jax.Array:
        """Returns next-token logits `[B, S, V]` of whole sequences `[B, S]`.

        They are in at least float32, and NaN behind a token outside the vocabulary and
        beyond the context.
        """
        hidden, _ = self.hidden(params, tokens, mask, None)
        hidden = capacity.states(capacity.fits(self, tokens, mask), hidden)
        return precise(self.logits(params, hidden))

    def decode(
        self, params: Params, tokens: Array, mask: Array, cache: Cache
    ) -> tuple[jax.Array, Cache]:
        """Returns logits `[B, S, V]` of `S` more tokens, and the longer cache."""
        hidden, cache = self.hidden(params, tokens, mask, cache)
        return precise(self.logits(params, hidden)), cache


def prefill(
    policy: Policy, params: Params, prompts: Prompts, *, num_responses: int, room: int
) -> tuple[Cache, jax.Array]:
    """Reads each prompt once for several responses.

    Args:
      policy: the model.
      params: its parameters.
      prompts: `B` prompts of `P` tokens.
      num_responses: `N`, rows made from each prompt, adjacent.
      room: tokens that can be read in each row, its first token among them.

    Returns:
      A cache of `B N` rows, and the first token `[B N]` of each.
    """
    cache, first = policy.prefill(params, prompts, room=room)
    rows = np.repeat(np.arange(len(prompts.tokens)), num_responses)
    return policy.take(cache, rows), take_rows(first, rows)
