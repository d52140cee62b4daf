"""Extrapolation: its fixed points, and the optimum that it reaches in a table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies

REWARD = np.array([0.3, -1.2, 0.8, 0.1, 0.5])
START = np.array([0.2, 0.9, -0.4, 0.0, -1.0])


def models():
    """Two sets of parameters of a small table, far apart, with a nested leaf."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(policies.tabular(3, 3).init, jax.random.key(0))

    def draw():
        table = jnp.asarray(random.normal(size=shapes["logits"].shape), jnp.float32)
        return {"policy": {"logits": table}, "head": jnp.asarray(random.normal(size=4))}

    return draw(), draw()


def objective(logits, beta):
    """The expected reward less beta KL from the start's policy."""
    log_policy = jax.nn.log_softmax(logits)
    ratios = log_policy - jax.nn.log_softmax(jnp.asarray(START))
    return jnp.sum(jnp.exp(log_policy) * (REWARD - beta * ratios))


def test_zero_is_the_trained_policy():
    params, start = models()
    found = policies.extrapolate(params, start, alpha=0.0)
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_minus_one_is_the_start():
    params, start = models()
    found = policies.extrapolate(params, start, alpha=-1.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, start)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 2.0])
def test_every_leaf_is_as_many_times_as_far_from_the_start(alpha):
    params, start = models()
    found = jax.jit(policies.extrapolate)(params, start, alpha=alpha)
    leaves = map(jax.tree.leaves, (found, params, start))
    for new, trained, old in zip(*leaves, strict=True):
        expected = (1 + alpha) * (trained - old)
        np.testing.assert_allclose(new - old, expected, rtol=1e-4, atol=1e-5)


def test_parameters_that_did_not_move_stay_and_precision_is_kept():
    params = {"table": jnp.asarray([0.1, 0.3], jnp.bfloat16)}
    found = policies.extrapolate(params, params, alpha=0.3)
    assert found["table"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(found["table"], params["table"])


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.5, 3.0])
def test_a_table_reaches_the_optimum_of_a_regularisation_that_is_weaker(alpha):
    beta = 0.7
    with jax.enable_x64(True):
        start = {"logits": jnp.asarray(START)}
        trained = {"logits": jnp.asarray(START + REWARD / beta)}
        found = policies.extrapolate(trained, start, alpha=alpha)["logits"]
        slope = jax.grad(objective)
        np.testing.assert_allclose(slope(found, beta / (1 + alpha)), 0, atol=1e-14)
        if alpha:
            assert np.abs(slope(found, beta)).max() > 0.01


def test_pytrees_that_do_not_fit_are_refused():
    params, start = models()
    for other in (start["policy"], {**start, "head": jnp.zeros(1)}):
        with pytest.raises(AssertionError):
            policies.extrapolate(params, other, alpha=0.3)
