"""Tabular policies: one row of logits for each history of tokens.

The policy class of the theory, with nothing shared between histories, behind the same
functions as the language models. An update that is exact in distribution space is exact
here, and every optimum can be represented: what differs from theory is the algorithm.

A history is the real tokens of prompt and response together; masked tokens take no
position. Histories are numbered as the nodes of a `V`-ary heap, shortest first: the
empty one is row 0, and the children of row `h` are the rows `V h + 1, ..., V h + V`, so
that a cache is the number of the last row.
"""

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.policies.policy import Policy
from nashalign.policies.rows import put_rows, take_rows

_MOST_ROWS = 1_000_000


def tabular(vocabulary: int, context: int) -> Policy:
    r"""Returns the functions of a softmax table over all histories.

    .. math:: \pi(\cdot \mid h) = \operatorname{softmax}(\theta_h)

    Its parameters are `{"logits": [H, V]}` with `H = sum_{l <= context} V^l`, in the
    order of the histories' length, then of their tokens. They start at zero: uniform.
    The hidden state of a history is its row, so that `D = V`. A history that is longer
    than the context, or has a token outside the vocabulary, has no row: its state is
    not a number.

    Args:
      vocabulary: `V`, number of tokens.
      context: the largest number of real tokens in a history, prompt and response
        together.

    Raises:
      ValueError: if there are more than a million histories, or no token or history.
    """
    checks.whole(vocabulary, "vocabulary")
    checks.whole(context, "context")
    num_inner = sum(vocabulary**length for length in range(context))
    num_rows = 1 + vocabulary * num_inner
    if num_rows > _MOST_ROWS:
        raise ValueError(
            f"there are more than {_MOST_ROWS} histories of up to {context} of "
            f"{vocabulary} tokens; take a smaller context or vocabulary"
        )

    def init(key):
        del key
        return {"logits": jnp.zeros((num_rows, vocabulary))}

    def prefill(params, prompts, *, room):
        del room
        root = jnp.zeros(len(prompts.tokens), jnp.int32)
        tokens, mask = prompts.tokens[:, :-1], prompts.mask[:, :-1]
        return hidden(params, tokens, mask, root)[1], prompts.tokens[:, -1]

    def longer(row, column):
        token, real = column
        known = (row < num_inner) & (token >= 0) & (token < vocabulary)
        row = jnp.where(
            real, jnp.where(known, vocabulary * row + 1 + token, num_rows), row
        ).astype(jnp.int32)
        return row, row

    def hidden(params, tokens, mask, cache):
        chex.assert_equal_shape([tokens, mask])
        root = jnp.zeros(len(tokens), jnp.int32)
        start = root if cache is None else cache
        columns = (jnp.asarray(tokens).T, jnp.asarray(mask).T)
        last, rows = jax.lax.scan(longer, start, columns)
        found = jnp.take(
            params["logits"], rows.T, axis=0, mode="fill", fill_value=jnp.nan
        )
        return found, None if cache is None else last

    def logits(params, hidden):
        del params
        return hidden

    return Policy(
        init=init,
        prefill=prefill,
        take=take_rows,
        put=put_rows,
        hidden=hidden,
        logits=logits,
        vocabulary=vocabulary,
        width=vocabulary,
        context=context,
    )
