"""What a data set says of its responses: looked at, and handed on to rows that ask."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from nashalign import checks, preferences
from nashalign.algorithms import authors
from nashalign.algorithms.method import Method
from nashalign.types import Array, Examples, Prompts


def checked(batch: Prompts | Examples) -> Prompts | Examples:
    """Returns the batch, and what a data set says in it in the precision of floats.

    Traced, it is NaN where it is no probability, or not finite. Log-probabilities are
    zero where a response is masked, as those are that a step computes.

    Raises:
      ValueError: a number is out of range, or there is not one for each response.
    """
    if not isinstance(batch, Examples):
        return batch
    shape = batch.responses.tokens.shape[:2]
    said = {
        "preference": (preferences.probabilities, (*shape, shape[1])),
        "rewards": (preferences.finite_rewards, shape),
    }
    lawful = {}
    for name, (check, must) in said.items():
        answer = getattr(batch, name)
        if answer is not None:
            where = f"{name} of the examples"
            if np.shape(answer) != must:
                raise ValueError(
                    f"{where} must have shape {list(must)}, as their responses have, "
                    f"not {list(np.shape(answer))}"
                )
            dtype = jnp.promote_types(jnp.asarray(answer).dtype, jnp.float32)
            lawful[name] = check(answer, where, dtype=dtype)
    log_probs = {
        name: _checked_log_probs(name, found, batch.responses.mask)
        for name, found in batch.frozen_log_probs.items()
    }
    return dataclasses.replace(batch, frozen_log_probs=log_probs, **lawful)


def _checked_log_probs(name, log_probs, mask):
    """Log-probabilities `[B, N, T]` under a frozen policy, zero where masked."""
    where = f"frozen_log_probs[{name!r}] of the examples"
    if np.shape(log_probs) != mask.shape:
        raise ValueError(
            f"{where} must have shape {list(mask.shape)}, as their responses have, not "
            f"{list(np.shape(log_probs))}"
        )
    dtype = jnp.promote_types(jnp.asarray(log_probs).dtype, jnp.float32)
    found = jnp.asarray(checks.number(log_probs, where), dtype)
    return jnp.where(mask, found, 0.0)


def log_probs(method: Method, batch: Prompts | Examples) -> dict[str, Array]:
    """Returns the log-probabilities that examples bring along, and the row may read.

    Args:
      method: the row.
      batch: what it is given, before its own `prompts` make others of it.
    """
    if not isinstance(batch, Examples):
        return {}
    return {
        name: batch.frozen_log_probs[name][:, : method.num_data]
        for name in method.precomputed
        if name in batch.frozen_log_probs
    }


def require_examples(batch: Prompts | Examples) -> Examples:
    """Returns a batch that must be of a data set.

    Raises:
      ValueError: it is of prompts alone.
    """
    if not isinstance(batch, Examples):
        raise ValueError(
            "the row learns from responses of a data set, and the batch has none; give "
            "it types.Examples."
        )
    return batch


def require_responses(method: Method, batch: Prompts | Examples) -> None:
    """Requires the responses that the row takes from a data set.

    Raises:
      ValueError: there are too few.
    """
    found = batch.responses.tokens.shape[1] if isinstance(batch, Examples) else 0
    if found < method.num_data:
        raise ValueError(
            f"the row learns from {method.num_data} responses of a data set to "
            f"each prompt, and the batch has {found}; give it types.Examples."
        )


def answers(method: Method, batch: Prompts | Examples) -> dict[str, Array]:
    """Returns what the data set says of its own responses, where the row reads no more.

    That is a row all of whose authors are `data`, or whose annotation is.
    """
    if not isinstance(batch, Examples):
        return {}
    if method.annotation == "data" and batch.preference is not None:
        places = np.array(
            [i for i, a in enumerate(method.authors) if a is authors.data]
        )
        own = batch.preference[:, : len(places), : len(places)]
        shape = (len(own), len(method.authors), len(method.authors))
        table = jnp.full(shape, 0.5, own.dtype)
        return {"preference": table.at[:, places[:, None], places[None]].set(own)}
    if method.num_data < len(method.authors):
        return {}
    own = slice(None, method.num_data)
    if method.annotation == "preference" and batch.preference is not None:
        return {"preference": batch.preference[:, own, own]}
    if method.annotation == "reward" and batch.rewards is not None:
        return {"rewards": batch.rewards[:, own]}
    return {}
