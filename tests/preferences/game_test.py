"""Token games: the annotators are the matrix and the rewards, looked up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import preferences, sampling
from nashalign.types import Prompts, Responses

TABLE = sampling.enumerate_responses(3, 2, 0)
Y = TABLE.tokens.shape[1]
PROMPTS = Prompts(
    tokens=jnp.zeros((2, 1), jnp.int32),
    mask=jnp.ones((2, 1), bool),
    ids=jnp.arange(2),
)


def matrix():
    upper = np.triu(np.random.default_rng(0).uniform(size=(Y, Y)), 1)
    return jnp.asarray(upper + np.tril(1 - upper.T, -1) + np.eye(Y) / 2)


def rows(indices):
    """Responses `[B, M, T]` at the given places of the table."""
    return jax.tree.map(lambda x: x[0][jnp.asarray(indices)], TABLE)


def test_lookup_equals_the_matrix_for_every_pair():
    annotator = preferences.GamePreference(table=TABLE, preference=matrix())
    y, z = np.divmod(np.arange(Y * Y), Y)
    y, z = np.stack([y, y[::-1]]), np.stack([z, z[::-1]])
    prefer = jax.jit(lambda a, y, z: a.prefer(None, PROMPTS, y, z))
    np.testing.assert_array_equal(
        prefer(annotator, rows(y), rows(z)), np.asarray(matrix())[y, z]
    )


def test_score_equals_the_reward_of_every_response():
    rewards = jnp.linspace(-1, 1, Y)
    annotator = preferences.GameReward(table=TABLE, rewards=rewards)
    order = np.stack([np.arange(Y), np.arange(Y)[::-1]])
    np.testing.assert_array_equal(
        annotator.score(None, PROMPTS, rows(order)), np.asarray(rewards)[order]
    )


def test_what_lies_under_the_mask_does_not_matter():
    other = Responses(
        tokens=jnp.where(TABLE.mask, TABLE.tokens, 2),
        mask=TABLE.mask,
        truncated=TABLE.truncated,
    )
    np.testing.assert_array_equal(preferences.locate(TABLE, other)[0], np.arange(Y))


def test_response_that_is_not_in_the_table_is_not_found():
    mask = jnp.zeros((1, 1, 2), bool)
    empty = Responses(
        tokens=TABLE.tokens[:, :1], mask=mask, truncated=TABLE.truncated[:, :1]
    )
    assert preferences.locate(TABLE, empty)[0, 0] == -1
    annotator = preferences.GamePreference(table=TABLE, preference=matrix())
    with jax.debug_nans(False):
        preferred = annotator.prefer(None, PROMPTS, empty, empty)
    with pytest.raises(ValueError, match="token game"):
        preferences.check_preferred(preferred, "token game")


def test_precision_is_that_of_the_matrix():
    with jax.enable_x64(True):
        exact = np.full((Y, Y), 0.5) + 1e-12
        annotator = preferences.GamePreference(table=TABLE, preference=exact)
        y = rows([[0, 1], [2, 3]])
        assert annotator.prefer(None, PROMPTS, y, y)[0, 0] == 0.5 + 1e-12
