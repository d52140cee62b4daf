"""One device, eight devices and pmap take the same steps of preference optimisation."""

import functools

import jax
import numpy as np
import optax
import pytest

from nashalign import algorithms, training
from tests import token_game

NUM_STEPS = 3
# Default Adam, whose eps is 1e-8, would amplify the rounding of gradients near zero.
CASES = {
    "online_ipo": optax.sgd(0.1),
    "nash_md_pg": optax.adam(0.01, eps=1e-5),
    # Weights over a mean of the batch, and how many pairs that leaves.
    "soft_po_weighted": optax.sgd(0.1),
    "rwr": optax.sgd(0.1),
    # What mismatched responses have gained; returns in deviations, over two epochs.
    "kto": optax.sgd(1.0),
    "reinforce_plus_plus": optax.sgd(0.1),
}


def step_of(method, setup):
    """The update in the form that compiles for any number of devices."""

    def step(state, prompts, annotator, *, reduce):
        state, metrics, groups = algorithms.update(
            method, setup, annotator, state, prompts, reduce
        )
        return state, metrics, groups.responses.tokens

    return step


COMPILERS = {
    "one": lambda step: training.data_parallel(
        step, training.make_mesh(jax.devices()[:1])
    ),
    "eight": lambda step: training.data_parallel(step, training.make_mesh()),
    "pmap": training.pmapped,
}


@functools.cache
def trained(name, devices):
    """Tokens and metrics of each step, and the parameters after the last."""
    method = algorithms.configure(name, **token_game.SETTINGS[name])
    setup = token_game.setup(token_game.POLICY, CASES[name])
    step = COMPILERS[devices](step_of(method, setup))
    params = token_game.parameters(token_game.POLICY, 0)
    state = algorithms.init(method, setup, params, jax.random.key(3))
    annotator, seen = token_game.annotator(method), []
    for index in range(NUM_STEPS):
        batch = token_game.prompts(range(16 * index, 16 * (index + 1)))
        if method.num_data:
            batch = token_game.drawn_examples(method, batch)
        state, metrics, tokens = step(state, batch, annotator)
        seen.append(jax.device_get((tokens, metrics)))
    return seen, jax.device_get(state.params)


# In the default lane, the rows that meet all that devices have to share.
FEW = ("nash_md_pg", "kto", "reinforce_plus_plus")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.full)
        for name in CASES
    ],
)
@pytest.mark.parametrize(
    "devices", ["eight", pytest.param("pmap", marks=pytest.mark.full)]
)
def test_devices_draw_the_same_tokens_and_reach_the_same_parameters(name, devices):
    seen, params = trained(name, "one")
    other_seen, other_params = trained(name, devices)
    for (tokens, metrics), (other_tokens, other_metrics) in zip(
        seen, other_seen, strict=True
    ):
        np.testing.assert_array_equal(tokens, other_tokens)
        assert metrics.keys() == other_metrics.keys()
        for metric, value in metrics.items():
            np.testing.assert_allclose(
                other_metrics[metric], value, rtol=1e-4, atol=1e-5, err_msg=metric
            )
    start = token_game.parameters(token_game.POLICY, 0)
    travelled = jax.tree.map(lambda a, b: np.abs(a - b).max(), start, params)
    assert max(jax.tree.leaves(travelled)) > 1e-2
    for value, other in zip(
        jax.tree.leaves(params), jax.tree.leaves(other_params), strict=True
    ):
        np.testing.assert_allclose(other, value, rtol=0, atol=1e-5)
