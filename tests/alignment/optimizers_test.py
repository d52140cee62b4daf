"""The schedule of the learning rate."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign.alignment import optimizers


def rates(num_steps, schedule):
    """Learning rates of a run: Adam's moves under one gradient are of their size."""
    optimizer = optimizers.make_optimizer(0.5, num_steps, schedule=schedule)
    params = jnp.zeros(())
    state, found = optimizer.init(params), []
    for _ in range(num_steps):
        move, state = optimizer.update(jnp.ones(()), state, params)
        found.append(-float(move))
    return np.array(found)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("num_steps", [1, 2, 9, 30])
def test_no_update_has_learning_rate_zero_and_one_has_the_peak(schedule, num_steps):
    found = rates(num_steps, schedule)
    assert (found > 1e-4).all()
    warmup = max(1, num_steps // 10)
    np.testing.assert_allclose(found[warmup - 1], 0.5, rtol=1e-4)
    assert found.max() < 0.5001
    np.testing.assert_allclose(
        found[:warmup], 0.5 * np.arange(1, warmup + 1) / warmup, rtol=1e-4
    )


def test_a_cosine_would_be_zero_behind_the_last_update():
    found = rates(30, "cosine")
    # Of 27 steps behind the warm-up, the 28th would be at the end of the cosine.
    places = np.arange(28) / 28
    expected = 0.25 * (1 + np.cos(np.pi * places))
    np.testing.assert_allclose(found[2:], expected, rtol=1e-3)


def test_a_constant_schedule_stays_at_the_peak():
    np.testing.assert_allclose(rates(30, "constant")[2:], 0.5, rtol=1e-4)


def test_the_gradient_is_clipped():
    optimizer = optimizers.make_optimizer(0.5, 10)
    params = jnp.zeros(3)
    state = optimizer.init(params)
    _, state = optimizer.update(jnp.array([30.0, 0.0, 40.0]), state, params)
    np.testing.assert_allclose(optax.tree.get(state, "mu"), [0.06, 0, 0.08], rtol=1e-5)
