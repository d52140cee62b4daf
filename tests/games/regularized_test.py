"""Tests of arrays of tau and of derivatives: against calls one by one, and differences.

What the regularised Nash policy is, is tested in `equilibria_test`.
"""

import operator

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from nashalign import games

# Of games with a pure Nash policy hardly anything moves at a small tau.
PREFERENCE = np.stack(
    [games.planted(seed, [0.3, 0.1, 0.25, 0.15, 0.2]) for seed in range(2)]
)
REFERENCE = scipy.special.softmax(np.random.default_rng(0).normal(size=(2, 5)), axis=-1)
WEIGHTS = np.random.default_rng(1).normal(size=5)
# How an argument moves with a number t, in a direction that keeps it lawful.
TURN = np.random.default_rng(2).uniform(-0.1, 0.1, (2, 5, 5))
TURN = TURN - np.swapaxes(TURN, -1, -2)
TILT = np.random.default_rng(3).normal(size=(2, 5))
ONE_BY_ONE = [
    ((2, 5, 5), (2, 5), (3, 1)),
    ((2, 5, 5), (5,), (2,)),
    ((5, 5), (5,), (4,)),
    ((5, 5), (3, 1, 5), (2,)),
    ((2, 1, 5, 5), (5,), ()),
]


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def moved(t, which, tau):
    """Returns arguments, of which one has moved by t."""
    tilted = REFERENCE * jnp.exp(t * TILT)
    return (
        PREFERENCE + t * TURN if which == "preference" else PREFERENCE,
        tilted / tilted.sum(-1, keepdims=True) if which == "reference" else REFERENCE,
        tau + t if which == "tau" else tau,
    )


def difference(function, at=0.0, step=1e-6):
    """Returns the central difference of a function of a number."""
    return (function(at + step) - function(at - step)) / (2 * step)


@pytest.mark.parametrize("shapes", ONE_BY_ONE)
def test_arrays_of_tau_are_solved_as_if_one_by_one(shapes):
    random = np.random.default_rng(4)
    preference = games.random_preference(5, shapes[0][:-1])
    reference = random.dirichlet(np.ones(5), size=shapes[1][:-1])
    tau = np.exp(random.uniform(np.log(1e-3), np.log(10), shapes[2]))
    found = games.regularized_nash(preference, reference, tau)
    batch = found.shape[:-1]
    games_ = np.broadcast_to(preference, (*batch, 5, 5))
    references = np.broadcast_to(reference, (*batch, 5))
    taus = np.broadcast_to(tau, batch)
    for index in np.ndindex(batch):
        alone = games.regularized_nash(games_[index], references[index], taus[index])
        np.testing.assert_allclose(found[index], alone, rtol=1e-9, atol=1e-300)


def test_a_large_batch_is_solved_in_parts(monkeypatch):
    taus = np.geomspace(0.01, 1, 7)[:, None]
    together = games.regularized_nash(PREFERENCE, REFERENCE, taus)
    monkeypatch.setattr("nashalign.games.regularized._MOST_ENTRIES", 100)
    in_parts = games.regularized_nash(PREFERENCE, REFERENCE, taus)
    np.testing.assert_allclose(in_parts, together, rtol=1e-9)


def test_no_game_has_no_nash_policy():
    found = games.regularized_nash(np.zeros((0, 3, 3)), [0.2, 0.3, 0.5], 0.1)
    assert found.shape == (0, 3)


@pytest.mark.parametrize("which", ["preference", "reference", "tau"])
def test_derivatives_are_the_limits_of_differences(which):
    taus = np.array([0.01, 0.1, 1.0])[:, None]

    def policies(t):
        return games.regularized_nash(*moved(t, which, taus))

    forwards = jax.jit(jax.jacfwd(policies))(0.0)
    backwards = jax.jit(jax.jacrev(policies))(0.0)
    expected = difference(policies)
    assert np.abs(expected).max(axis=-1).min() > 1e-3
    np.testing.assert_allclose(forwards, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(backwards, forwards, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("which", ["preference", "reference", "tau"])
def test_second_derivatives_are_differences_of_first_ones(which):
    def policies(t):
        return games.regularized_nash(*moved(t, which, 0.1))

    slope = jax.jit(jax.jacfwd(policies))
    found = jax.jit(jax.jacfwd(slope))(0.0)
    np.testing.assert_allclose(found, difference(slope), rtol=1e-4, atol=1e-4)


def test_compiled_and_mapped_gradients_are_those_of_each_game_and_tau_alone():
    def score(preference, log_reference, tau):
        reference = jax.nn.softmax(log_reference)
        return games.regularized_nash(preference, reference, tau) @ WEIGHTS

    arguments, taus = (PREFERENCE, np.log(REFERENCE)), np.array([0.01, 0.1, 2.0])
    gradient = jax.jit(jax.value_and_grad(score, argnums=(0, 1, 2)))
    over_games = jax.vmap(gradient, in_axes=(0, 0, None))
    mapped = jax.jit(jax.vmap(over_games, in_axes=(None, None, 0)))(*arguments, taus)
    for row, tau in enumerate(taus):
        for game in range(2):
            alone = gradient(*(value[game] for value in arguments), tau)
            found = jax.tree.map(operator.itemgetter((row, game)), mapped)
            chex.assert_trees_all_close(found, alone, rtol=1e-8, atol=1e-12)


def test_a_game_that_is_mapped_over_meets_a_batch_of_references():
    def nash(preference):
        return games.regularized_nash(preference, REFERENCE, np.array([0.1, 0.2]))

    found = jax.jit(jax.vmap(nash))(np.stack([PREFERENCE[0]] * 3))
    expected = games.regularized_nash(PREFERENCE[0], REFERENCE, np.array([0.1, 0.2]))
    np.testing.assert_allclose(found, np.stack([expected] * 3), rtol=1e-12)


def test_a_compiled_answer_has_the_precision_of_its_arguments():
    low = [np.asarray(value, np.float32) for value in (PREFERENCE, REFERENCE)]
    with jax.enable_x64(False):
        found = jax.jit(games.regularized_nash)(*low, 0.1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, games.regularized_nash(PREFERENCE, REFERENCE, 0.1), rtol=1e-4
    )


def test_inside_a_program_what_breaks_a_law_is_nan_and_its_neighbours_are_not():
    preference = np.stack([PREFERENCE[0], np.full((5, 5), 0.6), PREFERENCE[1]])
    reference = np.stack([REFERENCE[0], REFERENCE[0], [0.5, 0.5, 0, 0, 0]])
    taus = np.array([0.1, -1.0])[:, None]
    with jax.debug_nans(False):
        found = jax.jit(games.regularized_nash)(preference, reference, taus)
    lawful = [[True, False, False], [False] * 3]
    np.testing.assert_array_equal(np.isfinite(found).all(-1), lawful)
    np.testing.assert_array_equal(np.isnan(found).all(-1), ~np.array(lawful))
    expected = games.regularized_nash(preference[0], reference[0], 0.1)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-12)


def test_taus_of_another_batch_than_the_games_are_named():
    with pytest.raises(ValueError, match=r"tau of shape \[3\] is not of the batch \[2"):
        games.regularized_nash(PREFERENCE, REFERENCE, np.ones(3))
    with pytest.raises(ValueError, match=r"tau must be positive, not \[0.1 0. \]"):
        games.regularized_nash(PREFERENCE, REFERENCE, np.array([0.1, 0.0]))
