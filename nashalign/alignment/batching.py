"""The batches of a round's updates, each a function of the update alone."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nashalign import algorithms, data
from nashalign.alignment import examples, runs
from nashalign.types import Examples


def batches(
    run: runs.Run, method: algorithms.Method, found: Examples | None, done: int
) -> Callable[[int], Any]:
    """Returns batches of prompts, or of examples where a row learns from them.

    Args:
      run: of which a round is to come.
      method: of the round.
      found: what the round has found to learn from; None where it has not looked.
      done: updates of earlier rounds.

    Returns:
      The function from an update of the round to its batch.
    """
    size, number = run.training.batch_size, run.training.prompt_lengths
    if found is None:
        prompts = run.task.prompts["train"]
        draw = data.prompt_batches(
            prompts,
            batch_size=size,
            length=run.task.prompt_length,
            pad_id=run.task.tokenizer.pad_id,
            seed=run.seed,
        )
        if number == 1:
            return draw
        lengths = data.bucket_lengths(
            list(map(len, prompts.tokens)), batch_size=size, number=number
        )
        return lambda step: data.trim_prompts(draw(step), lengths)
    batch = examples.batches(found, batch_size=size, seed=run.seed)
    trim = _trimming(found, method, size, number)

    def given(step):
        return trim(batch(done + step))

    return given if method.num_data else lambda step: given(step).prompts


def _trimming(
    found: Examples, method: algorithms.Method, batch_size: int, number: int
) -> Callable[[Examples], Examples]:
    """What cuts padding off a batch, down to one of so many shapes."""
    if number == 1:
        return lambda own: own
    prompts, responses = (
        np.asarray(own.mask).sum(-1) for own in (found.prompts, found.responses)
    )
    if method.num_data == len(method.authors):
        longest = responses.max(-1)
    else:
        # Beside responses that are sampled, given ones have as many columns.
        longest = np.full_like(prompts, found.responses.tokens.shape[-1])
    shapes = data.bucket_shapes(
        np.stack([prompts, longest], -1), batch_size=batch_size, number=number
    )
    return functools.partial(data.trim_examples, shapes=shapes)
