"""What rows make anew between the rounds of a run: pairs, a penalty, searched steps.

All of it is done on the host, with numpy arrays: it changes which examples there are.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import chex
import jax
import numpy as np

from nashalign import data, preferences, sampling
from nashalign.algorithms.method import Method
from nashalign.algorithms.rollouts import rollout
from nashalign.algorithms.rows.table import configure
from nashalign.algorithms.state import Setup, State
from nashalign.algorithms.update import annotate
from nashalign.types import Examples, Prompts

PENALTIES = np.linspace(0, 1, 1001)
"""The grid on which DICE's code looks for a penalty."""


def regenerate(
    setup: Setup,
    annotator: Any,
    state: State,
    examples: Examples,
    *,
    share: float,
) -> Examples:
    """OPTune's round: the prompts with the lowest rewards are answered anew.

    A prompt's rank is the mean reward of its stored pair; equal ones keep their order.
    The policy writes a new pair to the ceil(share * B) lowest prompts, the others keep
    theirs. Then the row `optune` learns from all. Chen et al. 2024 (arXiv:2406.07657).

    Args:
      setup: model family and decoding.
      annotator: scores the new pairs.
      state: whose policy writes.
      examples: `B` stored pairs with their rewards.
      share: of the prompts that are answered anew, in (0, 1].

    Returns:
      The examples, with new responses and rewards at the lowest prompts.

    Raises:
      ValueError: the share is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is the share of prompts, in (0, 1], not {share}")
    means = np.asarray(examples.rewards).mean(-1)
    number = math.ceil(share * len(means))
    lowest = np.sort(np.argsort(means, kind="stable")[:number])
    writer = configure("rl")
    prompts = jax.tree.map(lambda x: x[lowest], examples.prompts)
    groups = annotate(writer, annotator, state, rollout(writer, setup, state, prompts))
    new = {"responses": groups.responses, "rewards": groups.rewards}

    def put(old, fresh):
        old = np.array(old)
        old[lowest] = np.asarray(fresh)
        return old

    old = {"responses": examples.responses, "rewards": examples.rewards}
    return dataclasses.replace(examples, preference=None, **jax.tree.map(put, old, new))


def length_corrected(
    method: Method,
    setup: Setup,
    state: State,
    examples: Examples,
    grid: chex.Array = PENALTIES,
) -> Method:
    """DICE's search: the row with the penalty that its own responses ask for.

    Before a round, the iterate writes to some prompts; the penalty a token is found
    (`preferences.length_penalty`) by which the best of its responses are no longer than
    the worst. Chen et al. 2024 (arXiv:2406.09760).

    Args:
      method: the row `dice`.
      setup: model family and decoding.
      state: whose iterate writes; its `previous` policy is what rewards are measured
        from, so that there are none before the policy has learnt something.
      examples: `B` prompts with a pair each.
      grid: `[A]` penalties to be tried, in nats of log-ratio a token.

    Returns:
      The row with its setting `penalty`.
    """
    free = dataclasses.replace(method, settings={**method.settings, "penalty": 0.0})
    # No step has this number: what a step draws is learnt from, and not drawn twice.
    key = jax.random.fold_in(state.key, 2**32 - 1)
    searching = dataclasses.replace(state, key=key)
    groups = rollout(free, setup, searching, examples)
    rewards = free.label(free, groups).rewards
    own = slice(len(free.authors) - free.num_data)
    found = preferences.length_penalty(
        rewards[:, own],
        groups.responses.mask.sum(-1)[:, own],
        grid,
        where=~groups.responses.truncated[:, own],
    )
    settings = {**method.settings, "penalty": float(found)}
    return dataclasses.replace(method, settings=settings)


def searched(
    prompts: Prompts,
    trees: Sequence[sampling.Node],
    *,
    max_length: int,
    eos_id: int | Sequence[int],
) -> Examples:
    """The step pairs of search trees, as examples for the row `mcts_dpo`.

    Both responses of an example begin with the prefix that they share, whose
    log-ratios cancel in the margin, and end with a step; the label is by the visits.

    Args:
      prompts: `B` prompts.
      trees: the tree that `sampling.tree_search` has grown from each.
      max_length: columns of the responses.
      eos_id: the token that ends a response, or all of them.

    Returns:
      As many examples as the trees have pairs.
    """
    found = [
        (row, pair)
        for row, tree in enumerate(trees)
        for pair in sampling.step_pairs(tree)
    ]
    texts = [[pair.prefix + pair.better, pair.prefix + pair.worse] for _, pair in found]
    labels = np.array([pair.label for _, pair in found], np.float32)
    rows = np.array([row for row, _ in found], np.int32)
    preference = np.full((len(found), 2, 2), 0.5, np.float32)
    preference[:, 0, 1], preference[:, 1, 0] = labels, 1 - labels
    padding = np.atleast_1d(eos_id)[0]
    responses = data.pad_responses(texts, length=max_length, pad_id=padding)
    # The last step of a pair may be in the middle of a response.
    ended = (np.isin(responses.tokens, eos_id) & responses.mask).any(-1)
    return Examples(
        prompts=jax.tree.map(lambda x: np.asarray(x)[rows], prompts),
        responses=dataclasses.replace(responses, truncated=~ended),
        preference=preference,
    )
