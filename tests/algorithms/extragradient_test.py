"""An extragradient step from samples: its expectation, which fresh draws leave alone.

On one prompt of a table of tokens, so that a pair moves `ahead` at the very place at
which it is looked at again, were it the same pair.
"""

import dataclasses
import operator

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import algorithms, policies, preferences
from nashalign.types import pytree
from tests import token_game

POLICY = policies.tabular(token_game.VOCABULARY, 5)
PROMPT = token_game.prompts([1])
METHOD = algorithms.configure("egpo", tau=0.4)


def begin():
    params = token_game.parameters(POLICY, 1, scale=0.5)
    setup = token_game.setup(POLICY)
    return algorithms.init(METHOD, setup, params, token_game.KEY)


def gradient(state, after, rate):
    """What a plain descent of this rate has taken, over the rate."""
    moved = jax.tree.map(operator.sub, state.params, after.params)
    return jax.flatten_util.ravel_pytree(moved)[0] / rate


@token_game.compiled
def expected(state, rate):
    """The second gradient, in expectation, three times.

    After the expected first gradient; after that of a group of responses, on fresh
    ones; and on the same pair with a fresh opponent.
    """
    setup = token_game.setup(POLICY, optax.sgd(rate))
    first = algorithms.looking(state)
    groups = token_game.expected_groups(METHOD, setup, first, PROMPT)

    def after(index):
        alone = jax.nn.one_hot(index, groups.probability.shape[1])[None]
        drawn = dataclasses.replace(groups, probability=alone)
        ahead, _ = algorithms.learn(METHOD, setup, state, drawn, look_ahead=True)
        fresh = token_game.expected_groups(METHOD, setup, ahead, PROMPT)
        same = (fresh.members == groups.members[:, index][:, None]).all(-1)
        again = dataclasses.replace(fresh, probability=fresh.probability * same)
        return [
            gradient(state, algorithms.learn(METHOD, setup, ahead, g)[0], rate)
            for g in (fresh, again)
        ]

    indices = jnp.arange(groups.probability.shape[1])
    fresh, again = jax.lax.map(after, indices, batch_size=49)
    whole, _ = token_game.expected_update(METHOD, setup, state, PROMPT)
    chance = groups.probability[0]
    return gradient(state, whole, rate), chance @ fresh, chance @ again


@token_game.compiled
def sampled(state, keys, rate):
    """Second gradients of sampled updates, one for each key."""
    setup = token_game.setup(POLICY, optax.sgd(rate))
    judge = token_game.annotator(METHOD)

    def one(key):
        start = dataclasses.replace(state, key=key)
        after, *_ = algorithms.update(METHOD, setup, judge, start, PROMPT)
        return gradient(state, after, rate)

    return jax.vmap(one)(keys)


def test_fresh_draws_look_ahead_without_bias_and_the_same_ones_do_not():
    with jax.enable_x64(True):
        state, still, rate = begin(), 1e-7, 0.01
        flat = np.asarray(expected(state, still)[0])
        whole, fresh, again = map(np.asarray, expected(state, rate))
    added = np.linalg.norm(whole - flat)
    assert np.linalg.norm(fresh - whole) < 0.02 * added
    assert np.linalg.norm(again - whole) > 0.5 * added


def test_an_update_draws_afresh_in_its_second_half():
    """The mean of updates, less those of the same keys that do not look ahead."""
    rate, still, number = 1.0, 1e-7, 40_000
    with jax.enable_x64(True):
        state = begin()
        keys = jax.random.split(jax.random.key(3), number)
        flat = np.asarray(expected(state, still)[0])
        _, fresh, again = map(np.asarray, expected(state, rate))
        seen = np.asarray(sampled(state, keys, rate) - sampled(state, keys, still))
    # From zero, where the second half's draws are fresh, to one, where they are not.
    line = (again - fresh) / np.sum((again - fresh) ** 2)
    share = seen @ line - (fresh - flat) @ line
    error = share.std(ddof=1) / np.sqrt(number)
    assert error < 0.2
    assert abs(share.mean()) < 4 * error < 1


@pytree
@dataclasses.dataclass(frozen=True)
class Votes:
    """An annotator that casts one vote a pair."""

    judge: preferences.GamePreference

    def prefer(self, key, prompts, y, z):
        chance = self.judge.prefer(key, prompts, y, z)
        return jax.random.bernoulli(key, chance)


def test_each_half_of_a_sampled_extragradient_step_draws_for_itself():
    state, setup = begin(), token_game.setup(POLICY)
    looking = algorithms.looking(state)
    assert looking.frozen["ahead"] is state.params
    many = token_game.prompts(range(200))
    first, second = (
        algorithms.rollout(METHOD, setup, s, many) for s in (looking, state)
    )
    pairs = [np.asarray(groups.responses.tokens)[:, :2] for groups in (first, second)]
    assert (pairs[0] != pairs[1]).any()
    # Of the same pairs, the voters do not say the same either.
    votes = Votes(judge=token_game.annotator(METHOD))
    said = [
        np.asarray(algorithms.annotate(METHOD, votes, s, second).preference)
        for s in (looking, state)
    ]
    assert (said[0] != said[1]).any()
