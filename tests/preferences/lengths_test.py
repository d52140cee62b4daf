"""Penalties on length: what is counted, and which penalty takes length out."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import preferences, sampling
from nashalign.types import Prompts

TABLE = sampling.enumerate_responses(3, 2, 0)
STRINGS = [(0,), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
REWARDS = jnp.linspace(-1, 1, len(STRINGS))
PROMPTS = Prompts(
    tokens=jnp.zeros((1, 1), jnp.int32), mask=jnp.ones((1, 1), bool), ids=jnp.arange(1)
)
search = jax.jit(preferences.length_penalty)


def penalised(penalty, rewards=REWARDS):
    """A token game's rewards, less a penalty a token."""
    game = preferences.GameReward(table=TABLE, rewards=rewards)
    return preferences.LengthPenalised(annotator=game, penalty=penalty)


def places():
    """Where each of `STRINGS` is in the table."""
    rows = zip(np.asarray(TABLE.tokens[0]), np.asarray(TABLE.mask[0]), strict=True)
    found = [tuple(row[own].tolist()) for row, own in rows]
    return [found.index(string) for string in STRINGS]


def rewards_for_length(slope, seed=0):
    """Rewards `[400, 8]` of noise and a slope per token, and lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, 60, size=(400, 8))
    return slope * lengths + random.normal(size=lengths.shape), lengths


def test_a_response_left_out_is_neither_best_nor_worst():
    rewards, lengths = rewards_for_length(0.5)
    where = np.random.default_rng(1).random(lengths.shape) < 0.6
    where[:20, 1:] = False
    where[:10] = False
    grid = np.linspace(0, 1, 41)
    found = search(rewards, lengths, grid, where)
    gaps = [
        np.sum(
            [
                gap_of(penalty, [reward[own]], [length[own]])
                for reward, length, own in zip(rewards, lengths, where, strict=True)
                if own.any()
            ]
        )
        for penalty in grid
    ]
    assert found == pytest.approx(grid[np.abs(gaps).argmin()])
    # What is left out would have changed the answer.
    for factor in (-10, 10):
        other = np.where(where, rewards, factor * lengths)
        assert search(other, lengths, grid, where) == found
        assert search(other, lengths, grid) != found


def gap_of(penalty, rewards, lengths):
    """Mean length of the best responses less that of the worst ones, in a loop."""
    gaps = []
    for reward, length in zip(rewards, lengths, strict=True):
        scores = reward - penalty * length
        gaps.append(length[scores.argmax()] - length[scores.argmin()])
    return np.mean(gaps)


def test_penalty_is_per_token_of_the_response_with_its_end():
    rewards = penalised(0.25).score(None, PROMPTS, TABLE)[0]
    lengths = [len(string) for string in STRINGS]
    expected = np.asarray(REWARDS)[places()] - 0.25 * np.array(lengths)
    np.testing.assert_allclose(rewards[np.array(places())], expected, rtol=1e-6)


def test_what_lies_under_the_mask_costs_nothing():
    other = dataclasses.replace(TABLE, tokens=jnp.where(TABLE.mask, TABLE.tokens, 2))
    np.testing.assert_array_equal(
        penalised(0.25).score(None, PROMPTS, other),
        penalised(0.25).score(None, PROMPTS, TABLE),
    )


def test_no_penalty_leaves_the_rewards_as_they_are():
    found = penalised(0.0).score(None, PROMPTS, TABLE)[0]
    np.testing.assert_array_equal(found, REWARDS)


def test_penalty_is_a_leaf_with_a_gradient_of_minus_the_lengths():
    *_, leaf = jax.tree.leaves(penalised(0.25))
    assert leaf == 0.25

    @jax.jit
    @jax.grad
    def slope(penalty):
        return penalised(penalty).score(None, PROMPTS, TABLE).sum()

    assert slope(0.25) == -sum(map(len, STRINGS))


def test_precision_is_that_of_the_rewards():
    with jax.enable_x64(True):
        exact = np.full(len(STRINGS), 1 + 1e-12)
        assert penalised(0.0, exact).score(None, PROMPTS, TABLE)[0, 0] == 1 + 1e-12
    single = penalised(0.5, REWARDS.astype(jnp.bfloat16)).score(None, PROMPTS, TABLE)
    assert single.dtype == jnp.bfloat16


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.3])
def test_search_finds_the_slope_that_the_rewards_have_on_length(slope):
    rewards, lengths = rewards_for_length(slope)
    found = search(rewards, lengths, np.linspace(0, 0.5, 501))
    assert float(found) == pytest.approx(slope, abs=0.005)
    assert abs(gap_of(float(found), rewards, lengths)) < 1
    if slope:
        assert gap_of(0.0, rewards, lengths) > 20


def test_search_is_the_least_gap_of_a_loop_over_the_grid():
    rewards, lengths = rewards_for_length(0.05, seed=1)
    grid = np.linspace(-0.1, 0.2, 31)
    gaps = [abs(gap_of(penalty, rewards, lengths)) for penalty in grid]
    with jax.enable_x64(True):
        assert search(rewards, lengths, grid) == grid[np.argmin(gaps)]


def test_gaps_of_opposite_sign_cancel():
    # At 0 the gaps are 4 and -4; at 1 they are 1 and -4, smaller but of mean -1.5.
    rewards = np.array([[0.0, 4.0, 4.5], [9.0, 0.0, 0.0]])
    lengths = np.array([[1, 2, 5], [1, 5, 5]])
    assert search(rewards, lengths, np.array([1.0, 0.0])) == 0


def test_the_first_of_equal_penalties_is_taken():
    rewards, lengths = np.array([[0.0, 1.0]]), np.array([[5, 5]])
    assert search(rewards, lengths, np.array([0.25, 0.5, 0.75])) == 0.25


@pytest.mark.parametrize("slope", [-0.1, 0.1, 0.3])
def test_the_gap_only_falls_so_that_to_stop_at_its_first_growth_is_the_same(slope):
    rewards, lengths = rewards_for_length(slope, seed=2)
    grid = np.linspace(-0.2, 0.5, 71)
    gaps = np.array([gap_of(penalty, rewards, lengths) for penalty in grid])
    assert (np.diff(gaps) <= 0).all() and gaps[0] > 0 > gaps[-1]
    stop = np.argmax(np.diff(np.abs(gaps)) > 0)
    best = np.argmin(np.abs(gaps[: stop + 1]))
    with jax.enable_x64(True):
        assert search(rewards, lengths, grid) == grid[best]
        assert search(rewards, lengths, grid[::-1]) == grid[best]


@pytest.mark.parametrize(
    "rewards, lengths, grid",
    [((2, 3), (2, 2), (4,)), ((3,), (3,), (4,)), ((2, 3), (2, 3), (4, 1))],
)
def test_shapes_that_do_not_fit_are_refused(rewards, lengths, grid):
    with pytest.raises(AssertionError):
        preferences.length_penalty(*map(np.zeros, (rewards, lengths, grid)))
