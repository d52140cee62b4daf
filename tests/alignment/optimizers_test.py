"""The schedule of the learning rate."""

import jax
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


def step(rule, params, gradient, num_steps=2):
    """What two equal gradients, too small to be clipped, add to the parameters."""
    optimizer = optimizers.make_optimizer(
        0.1, num_steps, schedule="constant", rule=rule
    )
    state, first = optimizer.init(params), params
    for _ in range(num_steps):
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return jax.tree.map(lambda new, old: np.asarray(new - old), params, first), state


PARAMS = {
    "embed": jnp.full((5, 4), 2.0),
    "layers": {"kernel": jnp.ones((2, 4, 3)), "scale": jnp.ones((2, 4))},
}
RANDOM = np.random.default_rng(0)
GRADIENT = jax.tree.map(
    lambda x: jnp.asarray(RANDOM.normal(size=x.shape) * 1e-2), PARAMS
)


def test_adamw_also_takes_a_hundredth_of_its_rate_from_every_parameter():
    adam, adamw = (step(rule, PARAMS, GRADIENT)[0] for rule in ("adam", "adamw"))
    taken = adam["embed"] - adamw["embed"]
    # Two steps of rate .1, each on a parameter near two.
    np.testing.assert_allclose(taken, 2 * 0.1 * 0.01 * 2, rtol=0.1)


def test_muon_orthogonalises_the_matrix_of_every_layer_by_itself():
    moved, _ = step("muon", PARAMS, GRADIENT)
    adam, _ = step("adam", PARAMS, GRADIENT)
    for own, other in (
        (moved["embed"], adam["embed"]),
        (moved["layers"]["scale"], adam["layers"]["scale"]),
    ):
        # Adam with Nesterov's momentum: every number moves by the same, its own way.
        np.testing.assert_allclose(own, 1.3155 * other, rtol=1e-3)
    for layer in range(2):
        values = np.linalg.svd(moved["layers"]["kernel"][layer])[1]
        plain = np.linalg.svd(adam["layers"]["kernel"][layer])[1]
        assert values.max() / values.min() < 2 < plain.max() / plain.min()
        # A fifth of a rate a step, as Adam's root mean square.
        size = np.sqrt(np.mean(moved["layers"]["kernel"][layer] ** 2))
        np.testing.assert_allclose(size, 2 * 0.1 * 0.2, rtol=0.35)


def test_adafactor_keeps_rows_and_columns_of_large_matrices():
    params = {"kernel": jnp.ones((256, 384))}
    gradient = {"kernel": jnp.full((256, 384), 1e-4)}
    _, state = step("adafactor", params, gradient)
    kept = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert kept < 3 * (256 + 384)


def test_a_plain_step_is_the_gradient_times_its_rate():
    moved, _ = step("sgd", PARAMS, GRADIENT)
    np.testing.assert_allclose(
        moved["embed"], -0.2 * np.asarray(GRADIENT["embed"]), atol=1e-6
    )
