"""The gradient of every row, held against its objective's definition in a token game.

The objectives are in `definitions.py`, as the papers write them; they are
differentiated by finite differences in float64.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms
from nashalign.types import Prompts
from tests import lanes, token_game
from tests.algorithms.definitions import OBJECTIVES, View

METHODS = list(token_game.SETTINGS)
# A statistic of the batch is not independent of the groups that it is applied to.
UNBIASED = [name for name in METHODS if not algorithms.TABLE[name].method.batch]


def contexts():
    """Three prompts as they are, and with each of three levels appended."""
    given, levels = token_game.THREE_PROMPTS, token_game.LEVELS
    first = jnp.pad(given.tokens, ((0, 0), (1, 0)), constant_values=token_game.PAD)
    masks = [jnp.pad(given.mask, ((0, 0), (1, 0)))]
    tokens = [first]
    for level in levels:
        appended = jnp.broadcast_to(level, (3, 1))
        tokens.append(jnp.concatenate([given.tokens, appended], 1))
        masks.append(jnp.pad(given.mask, ((0, 0), (0, 1)), constant_values=True))
    return Prompts(
        tokens=jnp.concatenate(tokens),
        mask=jnp.concatenate(masks),
        ids=jnp.tile(given.ids, 4),
    )


@token_game.compiled
def _log_policy(params):
    return token_game.log_policy(token_game.POLICY, params, contexts())


def log_policies(params):
    """Log-probabilities `[4, B, Y]` of all responses, without and with a level."""
    return np.asarray(_log_policy(params)).reshape(4, 3, -1)


@token_game.compiled
def read(params):
    """The states `[B, Y, T, D]` from which each token of every response is read."""
    prompts, table = token_game.THREE_PROMPTS, token_game.TABLE
    states = []
    for place in range(token_game.NUM_RESPONSES):
        # One whole string after another, without caches or shared prompts.
        response = jnp.tile(table.tokens[0, place], (3, 1))
        string = jnp.concatenate([prompts.tokens, response], 1)
        mask = jnp.concatenate([prompts.mask, jnp.ones_like(response, bool)], 1)
        hidden, _ = token_game.POLICY.hidden(params, string, mask, None)
        states.append(hidden[:, prompts.tokens.shape[1] - 1 : -1])
    return jnp.stack(states, 1)


def told(state, params):
    """What heads say of the policies `params`; the critic is no part of a policy."""
    heads = {"values": ("critic", state.params), "degrees": ("degree", params)}
    return {
        name: np.asarray(read(own) @ state.players[head])
        for name, (head, own) in heads.items()
        if head in state.players
    }


def views(method, state):
    """A function from the trained policy's parameters to what objectives look at."""
    known = {name: log_policies(params) for name, params in state.frozen.items()}
    known["policy"] = log_policies(state.params)
    data = np.log(token_game.data_policy(token_game.THREE_PROMPTS))

    def view(params):
        found = log_policies(params)
        return View(
            method=method,
            log_pi=found[0],
            frozen={"data": data} | {n: values[0] for n, values in known.items()},
            at=lambda level: found[1 + level],
            frozen_at=lambda name, level: known[name][1 + level],
            told=told(state, params),
        )

    return view


def directions(size, number):
    """Random unit directions `[number, size]`."""
    drawn = np.random.default_rng(0).normal(size=(number, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def configured(name):
    return algorithms.configure(name, **token_game.SETTINGS[name])


def test_every_row_has_an_objective_here():
    assert OBJECTIVES.keys() == algorithms.TABLE.keys() == token_game.SETTINGS.keys()


@pytest.mark.parametrize("name", lanes.every_row(METHODS))
def test_expected_gradient_is_that_of_the_enumerated_objective(name):
    with jax.enable_x64(True):
        method = configured(name)
        state = token_game.moved_state(method)
        view = views(method, state)
        flat, unravel = jax.flatten_util.ravel_pytree(state.params)

        def objective(flat):
            return OBJECTIVES[name](view(unravel(flat)))

        # Heads come before the policy, and are not moved here.
        gradient = token_game.expected_gradient(method, state)[-flat.size :]
        steps = 1e-4 * directions(flat.size, 5)
        differences = [(objective(flat + s) - objective(flat - s)) / 2 for s in steps]
    predicted = steps @ gradient
    scale = 1e-4 * np.linalg.norm(gradient)
    assert np.abs(predicted).max() > 1e-3 * scale
    np.testing.assert_allclose(predicted, differences, rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("name", lanes.every_row(UNBIASED, lanes.FEW))
def test_mean_of_sampled_gradients_is_the_expected_gradient(name):
    with jax.enable_x64(True):
        method = configured(name)
        exact = token_game.expected_gradient(method, token_game.moved_state(method))
        drawn, _ = token_game.sampled_steps(name)
    # The expected gradient itself is where a wrong factor shows most.
    lines = np.vstack([directions(exact.size, 20), exact / np.linalg.norm(exact)])
    seen = drawn @ lines.T
    error = seen.std(0, ddof=1) / np.sqrt(len(seen))
    z = (seen.mean(0) - lines @ exact) / error
    assert np.abs(z).max() < 4, f"furthest direction: z = {z[np.abs(z).argmax()]:.1f}"
