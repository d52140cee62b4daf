"""Step pairs by tree search, written by the policy and valued by a reward model.

After a prefix the policy draws a few continuations to the end; their first tokens are
the steps, and the reward model's score of the whole responses is what they are worth.
"""

import functools
import zlib

import jax
import numpy as np

from nashalign import algorithms, data, preferences, sampling, training
from nashalign.alignment import asking
from nashalign.alignment import task as tasks
from nashalign.types import Examples

NUM_PROMPTS = 160
"""Prompts that are searched in a round; each gives a pair or more."""
NUM_CONTINUATIONS = 4
"""Responses drawn after a prefix."""
STEP_LENGTH = 6
"""Tokens of a step, a quarter of the longest response."""
NUM_VISITS = 16
"""Visits to a tree; the paper's trees are of 256, for answers of many sentences."""


def searches(
    task: tasks.Task, judge: preferences.RewardAnnotator, number: int, seed: int
):
    """Returns what searches for a round's pairs: `(setup, state, before) -> Examples`.

    Args:
      task: the start policy and the prompts.
      judge: the reward model.
      number: of the round, which has prompts of its own.
      seed: of the choice of prompts.
    """

    def make(setup, state, before) -> Examples:
        del before
        shuffled = task.rows("train", len(task.prompts["train"]), seed)
        rows = np.resize(shuffled, (number + 1) * NUM_PROMPTS)[-NUM_PROMPTS:]
        trees = []
        with training.progress_bar("search", len(rows)) as advance:
            for row in rows:
                trees.append(_tree(task, judge, setup, state, row))
                advance(1, "")
        decoding = task.decoding
        return algorithms.searched(
            task.batch("train", rows),
            trees,
            max_length=decoding.max_length,
            eos_id=decoding.eos_id,
        )

    return make


def _tree(task, judge, setup, state, row: int) -> sampling.Node:
    """The tree that grows from one prompt."""
    decoding, prompt = task.decoding, task.batch("train", [row])
    own = task.prompts["train"].tokens[row]
    keys = jax.random.fold_in(state.key, state.step)

    def complete(prefix):
        # One width for all prefixes, one program.
        shown = data.pad_prompts(
            [[*own, *prefix]],
            prompt.ids,
            length=task.prompt_length + decoding.max_length,
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
        worth = asking.score(judge, prompt, whole)[0]
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
