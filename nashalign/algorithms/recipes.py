"""Methods of several stages, and what is done between the rounds of one.

A recipe is a short sequence of rows, each on its part of the examples; between two
stages `next_stage` makes the policy the new reference. Splitting, choosing and
searching are done on the host, with numpy arrays: they change which examples there are.
"""

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax
import numpy as np

from nashalign import checks, data, preferences, sampling
from nashalign.algorithms.method import Method
from nashalign.algorithms.rollouts import rollout
from nashalign.algorithms.state import Setup, State
from nashalign.algorithms.table import configure
from nashalign.algorithms.update import annotate
from nashalign.types import Examples, Prompts

PENALTIES = np.linspace(0, 1, 1001)
"""The grid on which DICE's code looks for a penalty."""

# `(examples) -> [B] bool`, which of them a stage learns from.
Part = Callable[[Examples], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A row, and the part of the examples that it learns from."""

    method: Method
    part: Part


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A sequence of stages; see `next_stage` for what happens between two.

    Attributes:
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      stages: in order.
      departures: what the paper does that the recipe does not, or what is not known of
        it, one line each; those of its rows come on top.
    """

    title: str
    paper: str
    stages: tuple[Stage, ...]
    departures: tuple[str, ...] = ()


_MIXED_PO = (
    "the threshold between easy and difficult pairs is ours: the paper's is not public",
    "pairs that the reward contradicts by more than the threshold are left out; what "
    "the paper does with them is not public",
    "the share of updates of each stage, and the settings of both, are ours",
    "the optimizer begins anew with the second stage; the paper's is not known here",
)


def mixed_po(
    *,
    threshold: float = 1.0,
    dpo: Mapping[str, float] = types.MappingProxyType({}),
    ppo: Mapping[str, float] = types.MappingProxyType({}),
) -> Recipe:
    """Mixed preference optimisation: DPO on easy pairs, then PPO on difficult ones.

    PPO is held to the policy that DPO has made. A pair is easy if its winner's reward
    is more than `threshold` above the loser's, difficult if the rewards are no further
    apart, and left out if the label contradicts them by more. The split is ours: the
    paper's threshold and its treatment of contradictions are not public. Gou and Nguyen
    2024 (arXiv:2403.19443).

    Args:
      threshold: in units of the reward, >= 0 and infinity for PPO alone, or minus
        infinity for DPO alone.
      dpo: settings of the row `dpo`.
      ppo: settings of the row `ppo`.

    Returns:
      Two stages.

    Raises:
      TypeError: the threshold or another setting is no number.
      ValueError: one is out of its range.
    """
    if not (checks.numeric(threshold, "threshold") >= 0 or threshold == -math.inf):
        raise ValueError(
            f"threshold must be at least 0, or minus infinity, not {threshold}"
        )
    return Recipe(
        title="mixed PO",
        paper="Gou and Nguyen 2024, arXiv:2403.19443",
        stages=(
            Stage(configure("dpo", **dpo), lambda e: reward_gap(e) > threshold),
            Stage(
                configure("ppo", **ppo), lambda e: np.abs(reward_gap(e)) <= threshold
            ),
        ),
        departures=_MIXED_PO,
    )


RECIPES: dict[str, Callable[..., Recipe]] = {"mixed_po": mixed_po}


def reward_gap(examples: Examples) -> np.ndarray:
    """The winner's reward less the loser's, `[B]`; negative where rewards disagree.

    Where a pair has no label, or a tied one, the higher reward has won.
    """
    gap = np.asarray(examples.rewards[:, 0] - examples.rewards[:, 1])
    if examples.preference is None:
        return np.abs(gap)
    label = np.asarray(examples.preference[:, 0, 1])
    return np.where(label == 0.5, np.abs(gap), np.where(label > 0.5, gap, -gap))


def take(examples: Examples, part: np.ndarray | slice) -> Examples:
    """The examples at indices, in a slice, or where a mask is true."""
    return jax.tree.map(lambda x: x[part], examples)


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
