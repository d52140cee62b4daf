"""Draws from softmax: their frequencies, and what is never drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from nashalign import sampling
from tests import token_game

LARGE = 128_000


@token_game.compiled
def drawn(keys, logits):
    return sampling.draw(
        keys, jnp.broadcast_to(logits, (*keys.shape, logits.shape[-1]))
    )


def keys(number, seed=0):
    return jax.random.split(jax.random.key(seed), number)


@pytest.mark.parametrize("size", [1, 5, 128, 129, 300])
def test_outcomes_are_drawn_as_often_as_they_are_probable(size):
    logits = np.random.default_rng(size).normal(size=size).astype(np.float32)
    # The last of a block of 128 has much of it.
    logits[127::128] += 6
    found = np.asarray(drawn(keys(20_000), jnp.asarray(logits)))
    assert found.dtype == np.int32
    expected = np.exp(np.float64(logits))
    expected *= found.size / expected.sum()
    counts = np.bincount(found, minlength=size)
    assert size == 1 or scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_draws_of_different_keys_are_independent():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(4,)), jnp.float32)
    found = np.asarray(drawn(keys(20_000), logits)).reshape(2, -1)
    table = np.zeros((4, 4))
    np.add.at(table, tuple(found), 1)
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_rare_outcomes_of_a_large_vocabulary_have_their_mass_and_all_can_be_drawn():
    # One token has nearly all of it; the others, far below the steps of one uniform
    # number of 23 digits each, share a thousandth.
    rare = 1e-3 / (LARGE - 1)
    assert rare < 2.0**-23 / 10
    chances = np.full(LARGE, rare)
    chances[77_000] = 1 - 1e-3
    logits = jnp.log(jnp.asarray(chances, jnp.float32))
    found = np.concatenate(
        [np.asarray(drawn(keys(1000, s), logits)) for s in range(40)]
    )
    tail = found[found != 77_000]
    assert scipy.stats.binomtest(len(tail), found.size, 1e-3).pvalue > 1e-3
    # Where the mass lies: among all of them alike, not on a few that a grid can reach.
    alone = np.full(LARGE, 1.0, np.float32)
    alone[77_000] = 0.0
    spread = np.concatenate(
        [drawn(keys(500, seed), jnp.log(jnp.asarray(alone))) for seed in range(8)]
    )
    assert len(set(spread.tolist())) > 0.97 * spread.size
    uniform = np.bincount(spread // 8000, minlength=16)
    assert scipy.stats.chisquare(uniform).pvalue > 1e-3


@pytest.mark.parametrize("size", [4, 128, 500, LARGE])
def test_a_masked_outcome_is_never_drawn(size):
    masked = np.random.default_rng(size).random(size) < 0.5
    masked[[0, -1]] = True
    logits = jnp.where(masked, -jnp.inf, 0.0).astype(jnp.float32)
    found = np.asarray(drawn(keys(2000 if size == LARGE else 20_000), logits))
    assert not masked[found].any()


@pytest.mark.parametrize("word, block", [(0, 0), (2**32 - 1, 1)])
@pytest.mark.parametrize("size", [3, 128, 999, LARGE])
def test_both_ends_of_the_uniform_numbers_are_outcomes(monkeypatch, word, block, size):
    monkeypatch.setattr(
        jax.random, "bits", lambda key, shape, dtype: jnp.full(shape, word, dtype)
    )
    logits = jnp.zeros(size).at[jnp.array([0, -1])].set(-jnp.inf)
    # The first and the last of those that are not masked.
    found = sampling.draw(jax.random.key(0), logits)
    assert found == (size - 2 if block else 1)
    # A rounded sum of many small numbers does not push the last draw over the end.
    noise = np.random.default_rng(0).normal(size=size).astype(np.float32)
    assert 0 <= sampling.draw(jax.random.key(0), jnp.asarray(noise)) < size


def test_what_is_far_above_the_rest_is_drawn_whatever_its_size():
    for top in (-1e30, 0.0, 3e38):
        logits = jnp.asarray([top - 1e32 if top < 0 else 0.0, top, -jnp.inf])
        if top:
            assert sampling.draw(jax.random.key(1), logits) == 1
