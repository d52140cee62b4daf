"""Rewards that score-function losses make of an annotator's, one response at a time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import algorithms
from nashalign.types import Groups
from tests import token_game


def credits(rewards):
    """What J-BOND's backward part credits a response `[B]` with, at the anchor.

    `rewards` are `[B, 3]`, of the response and of two samples of the anchor.
    """
    method = algorithms.configure("bond", backward=1.0).at(0)
    size = len(rewards)
    table = jax.tree.map(lambda x: jnp.repeat(x[:, :3], size, 0), token_game.TABLE)
    log_probs = jnp.where(table.mask, -1.0, 0.0)
    indices = jnp.broadcast_to(jnp.arange(3), (size, 1, 3))
    groups = Groups(
        prompts=token_game.prompts(range(size)),
        responses=table,
        frozen_log_probs={"reference": log_probs},
        members=indices[..., :1],
        opponents=indices[..., 1:],
        probability=jnp.ones((size, 1)),
        rewards=jnp.asarray(rewards, jnp.float32),
    )

    def total(log_probs):
        return method.loss(
            method, dataclasses.replace(groups, log_probs=log_probs)
        ).sum()

    return -np.asarray(jax.grad(total)(log_probs))[:, 0, 0]


def test_jbond_knows_two_rewards_and_gives_the_median_the_log_of_a_half():
    anchor = np.arange(10) - 4.5
    pairs = np.array([[0.0, first, second] for first in anchor for second in anchor])
    found = credits(pairs)
    worse = (pairs[:, 1:] > 0).all(-1)
    np.testing.assert_allclose(found[worse], -np.log(16), rtol=1e-6)
    np.testing.assert_array_equal(found[~worse], 0.0)
    np.testing.assert_allclose(found.mean(), np.log(0.5), rtol=1e-6)
    # Among equals nobody is worse.
    np.testing.assert_array_equal(credits(np.zeros((1, 3))), 0.0)
