"""The batches of a round's updates, each a function of the update alone."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nashalign import algorithms, data
from nashalign.alignment import examples, runs
from nashalign.types import Examples, Prompts


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
        trim = _trimming(list(map(len, prompts.tokens)), size, number)
        return lambda step: trim(draw(step))
    batch = examples.batches(found, batch_size=size, seed=run.seed)
    trim = _trimming(np.asarray(found.prompts.mask).sum(-1).tolist(), size, number)

    def given(step):
        own = batch(done + step)
        return dataclasses.replace(own, prompts=trim(own.prompts))

    return given if method.num_data else lambda step: given(step).prompts


def _trimming(
    lengths: Sequence[int], batch_size: int, number: int
) -> Callable[[Prompts], Prompts]:
    """What cuts padding off a batch, down to one of so many lengths."""
    if number == 1:
        return lambda prompts: prompts
    found = data.bucket_lengths(lengths, batch_size=batch_size, number=number)
    return functools.partial(data.trim_prompts, lengths=found)
