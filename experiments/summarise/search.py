"""Step pairs by tree search, with the policy as the writer and the reward model's word.

After a prefix the policy draws a few continuations to the end; their first tokens are
the steps, and the reward model's score of the whole responses is what they are worth.
"""

import functools
import zlib
from typing import Any

import jax
import numpy as np

from experiments.summarise import task
from nashalign import algorithms, data, sampling, training
from nashalign.types import Examples, Prompts, Responses

NUM_PROMPTS = 160
"""Prompts that are searched in a round; each gives a pair or more."""
NUM_CONTINUATIONS = 4
"""Responses drawn after a prefix."""
STEP_LENGTH = 6
"""Tokens of a step, a quarter of the longest response."""
NUM_VISITS = 16
"""Visits to a tree; the paper's trees are of 256, for answers of many sentences."""


def searches(loaded: task.Task, judge: Any, number: int, seed: int):
    """Returns what searches for a round's pairs: `(setup, state, before) -> Examples`.

    Args:
      loaded: the task.
      judge: the reward model.
      number: of the round, which has prompts of its own.
      seed: of the choice of prompts.
    """

    def make(setup, state, before) -> Examples:
        del before
        shuffled = loaded.rows("train", len(loaded.prompts["train"].ids), seed)
        rows = np.resize(shuffled, (number + 1) * NUM_PROMPTS)[-NUM_PROMPTS:]
        trees = []
        with training.progress_bar("search", len(rows)) as advance:
            for row in rows:
                trees.append(_tree(loaded, judge, setup, state, row))
                advance(1, "")
        decoding = loaded.decoding
        return algorithms.searched(
            loaded.batch("train", rows),
            trees,
            max_length=decoding.max_length,
            eos_id=decoding.eos_id,
        )

    return make


def _tree(loaded, judge, setup, state, row: int) -> sampling.Node:
    """The tree that grows from one prompt."""
    decoding, prompt = loaded.decoding, loaded.batch("train", [row])
    own = loaded.prompts["train"].tokens[row]
    keys = jax.random.fold_in(state.key, state.step)

    def complete(prefix):
        # One width for all prefixes, one program.
        shown = data.pad_prompts(
            [[*own, *prefix]],
            prompt.ids,
            length=loaded.prompt_length + decoding.max_length,
            pad_id=decoding.pad_id,
        )
        key = jax.random.fold_in(keys, zlib.crc32(np.array(prefix, np.int32).tobytes()))
        drawn, log_probs = _drawn(setup.policy, decoding, state.params, key, shown)
        tails = [
            tokens[mask][: decoding.max_length - len(prefix)].tolist()
            for tokens, mask in zip(
                np.asarray(drawn.tokens)[0], np.asarray(drawn.mask)[0], strict=True
            )
        ]
        whole = data.pad_responses(
            [[[*prefix, *tail] for tail in tails]],
            length=decoding.max_length,
            pad_id=decoding.pad_id,
        )
        worth = np.asarray(_scores(judge, prompt, whole))[0]
        return [
            sampling.Continuation(tuple(tail), each[: len(tail)].tolist(), float(value))
            for tail, each, value in zip(
                tails, np.asarray(log_probs)[0], worth, strict=True
            )
        ]

    expand, value = sampling.sampled_steps(
        complete, step_length=STEP_LENGTH, max_length=decoding.max_length
    )
    return sampling.tree_search(
        sampling.Node(prefix=()),
        expand,
        value,
        depth=-(-decoding.max_length // STEP_LENGTH),
        num_visits=NUM_VISITS,
    )


@functools.partial(jax.jit, static_argnames=("policy", "decoding"))
def _drawn(policy, decoding, params, key, shown):
    """Continuations `[1, K, T]` of one prompt, and their tokens' log-probabilities."""
    drawn, log_probs = sampling.sample(
        policy,
        {"policy": params},
        lambda logits: logits["policy"],
        key,
        shown,
        num_responses=NUM_CONTINUATIONS,
        decoding=decoding,
    )
    return drawn, log_probs["policy"]


@jax.jit
def _scores(judge, prompts: Prompts, responses: Responses):
    """Rewards `[B, N]`."""
    return judge.score(None, prompts, responses)
