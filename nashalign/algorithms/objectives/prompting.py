"""The prompts axis: which prompts are used, and with what appended to them.

Each is `(method, setup, batch) -> batch`, pure.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.algorithms.conditioning import condition
from nashalign.algorithms.given import require_examples
from nashalign.algorithms.method import Method
from nashalign.algorithms.state import Setup
from nashalign.types import Examples, Prompts, Responses


def on_own_reward(method: Method, setup: Setup, batch: Prompts | Examples) -> Examples:
    """Each response is an example of its own, its prompt conditioned on its reward.

    Rewards from `lowest` to `highest` are shared out evenly among the levels. `B`
    prompts with `N` responses become `B N` with one.
    """
    examples, rewards = _scored(batch)
    number = examples.responses.tokens.shape[1]
    levels, level = _level(method, setup, rewards)
    prompts = jax.tree.map(lambda x: jnp.repeat(x, number, 0), examples.prompts)
    return dataclasses.replace(
        examples,
        prompts=condition(prompts, levels, level),
        responses=_separate(examples.responses),
        rewards=rewards.reshape(-1, 1),
        preference=None,
        probability=_spread(examples.probability, number),
        frozen_log_probs={},
    )


def on_each_reward(method: Method, setup: Setup, batch: Prompts | Examples) -> Examples:
    """Each pair twice: under its first response's level and under its second's.

    The response whose reward is nearer the level's own wins, so that a pair is turned
    round when the worse response's score is asked for. `B` pairs become `2 B`.
    """
    examples, rewards = _scored(batch)
    levels, level = _level(method, setup, rewards)
    twice = jax.tree.map(lambda x: jnp.repeat(x, 2, 0), examples)
    distance = jnp.abs(twice.rewards - rewards.reshape(-1, 1))
    gaps = distance[:, None, :] - distance[:, :, None]
    preference = jnp.where(gaps > 0, 1.0, jnp.where(gaps < 0, 0.0, 0.5))
    return dataclasses.replace(
        twice,
        prompts=condition(twice.prompts, levels, level),
        preference=preference.astype(twice.rewards.dtype),
        probability=_spread(examples.probability, 2),
        frozen_log_probs={},
    )


def with_corrupted_responses(
    method: Method, setup: Setup, batch: Prompts | Examples
) -> Examples:
    """Behind a pair, each of the two with a part of its key content taken out.

    Both are there because labels may be soft, or come later: the loss takes the
    winner's, in expectation over the label. The degree k is the example id modulo
    `num_degrees`, and k / `num_degrees` of a response's tokens go, rounded up, those
    with the largest ids first: byte-pair vocabularies are in the order of their merges,
    so that those are the rarest words. The paper's extractor of key phrases is not
    public.
    """
    del setup
    examples = require_examples(batch)
    pair = jax.tree.map(lambda x: x[:, :2], examples.responses)
    number = jnp.asarray(method.settings["num_degrees"], jnp.int32)
    degree = examples.prompts.ids % number
    corrupted = _without_rarest(pair, degree[:, None, None], number)
    responses = jax.tree.map(lambda a, b: jnp.concatenate([a, b], 1), pair, corrupted)
    preference = examples.preference
    if preference is not None:
        preference = preference[:, :2, :2]
        preference = jnp.pad(preference, ((0, 0), (0, 2), (0, 2)), constant_values=0.5)
    return dataclasses.replace(
        examples, responses=responses, preference=preference, frozen_log_probs={}
    )


def _without_rarest(responses: Responses, parts, number) -> Responses:
    """Responses without so many of `number` parts of their tokens, rounded up.

    The last token always stays.
    """
    mask, tokens = responses.mask, responses.tokens
    length = jnp.sum(mask, -1, keepdims=True)
    place = jnp.arange(mask.shape[-1])[None, None]
    inner = mask & (place < length - 1)
    order = jnp.argsort(jnp.where(inner, -tokens, 1), -1, stable=True)
    rank = jnp.argsort(order, -1, stable=True)
    gone = inner & (rank * number < parts * (length - 1))
    kept = mask & ~gone
    front = jnp.argsort(~kept, -1, stable=True)
    moved = [jnp.take_along_axis(x, front, -1) for x in (tokens, kept)]
    return dataclasses.replace(responses, tokens=moved[0], mask=moved[1])


def _scored(batch):
    """Examples, and their rewards `[B, N]`."""
    examples = require_examples(batch)
    return examples, checks.present(examples.rewards, "examples.rewards")


def _level(method, setup, rewards):
    """All levels, and which of them each of the rewards `[B, N]` is in, `[B N]`."""
    levels = checks.present(setup.levels, "setup.levels")
    found = method.conditioning.level(method.settings, rewards, len(levels))
    return levels, found.reshape(-1)


def _separate(responses: Responses) -> Responses:
    """`[B, N, T]` to `[B N, 1, T]`."""
    return jax.tree.map(lambda x: x.reshape(-1, 1, *x.shape[2:]), responses)


def _spread(probability, number):
    """Each example's weight for each of the examples made of it."""
    return None if probability is None else jnp.repeat(probability, number, 0)
