"""The gradient of every row, held against its objective's definition in a token game.

The objectives are written here as the papers do, as sums over all responses, and
differentiated by finite differences in float64.
"""

import functools

import jax
import jax.flatten_util
import numpy as np
import pytest

from nashalign import algorithms
from tests import token_game

METHODS = list(token_game.SETTINGS)


def log_policy(params):
    """Log-probabilities `[B, Y]` of all responses to three prompts."""
    return np.asarray(_log_policy(params))


@token_game.compiled
def _log_policy(params):
    return token_game.log_policy(token_game.POLICY, params, token_game.THREE_PROMPTS)


def comparisons(pair_loss, method, frozen, anchor, log_pi, preferred):
    """Mean loss of pairs of responses written by the frozen mixture."""
    writer = token_game.tree().mixture(np.exp(frozen), np.exp(anchor), method.mix)
    ratio = log_pi - anchor
    margin = ratio[:, :, None] - ratio[:, None, :]
    both = writer[:, :, None] * writer[:, None, :]
    wins, losses = pair_loss(margin, method.tau), pair_loss(-margin, method.tau)
    loss = preferred * wins + (1 - preferred) * losses
    return (both * loss).sum((1, 2)).mean()


def regularised(values, method, anchor, log_pi):
    """Minus the policy's mean value, plus tau KL; values are frozen, `[B, Y]`."""
    pi = np.exp(log_pi)
    return (pi * (method.tau * (log_pi - anchor) - values)).sum(1).mean()


def reward_objective(method, frozen, anchor, log_pi, preferred):
    values = np.broadcast_to(token_game.rewards(), log_pi.shape)
    return regularised(values, method, anchor, log_pi)


def win_rate_objective(method, frozen, anchor, log_pi, preferred):
    opponent = token_game.tree().mixture(np.exp(frozen), np.exp(anchor), method.mix)
    return regularised(opponent @ preferred.T, method, anchor, log_pi)


def contrast(pair_loss):
    return functools.partial(comparisons, pair_loss)


OBJECTIVES = {
    "rl": reward_objective,
    "online_dpo": contrast(lambda h, tau: np.log1p(np.exp(-tau * h))),
    "online_slic": contrast(lambda h, tau: np.maximum(0, 1 - tau * h)),
    "online_ipo": contrast(lambda h, tau: (h - 1 / (2 * tau)) ** 2),
    "nash_md_pg": win_rate_objective,
    "ipo_md": contrast(lambda h, tau: (h - 1 / (2 * tau)) ** 2),
}


def directions(size, number):
    """Random unit directions `[number, size]`."""
    drawn = np.random.default_rng(0).normal(size=(number, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def configured(name):
    return algorithms.configure(name, **token_game.SETTINGS[name])


def test_every_row_has_an_objective_here():
    assert OBJECTIVES.keys() == algorithms.TABLE.keys() == token_game.SETTINGS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_expected_gradient_is_that_of_the_enumerated_objective(name):
    with jax.enable_x64(True):
        method, state = configured(name), token_game.moved_state()
        anchor, frozen = log_policy(state.reference), log_policy(state.params)
        flat, unravel = jax.flatten_util.ravel_pytree(state.params)

        def objective(flat):
            log_pi = log_policy(unravel(flat))
            return OBJECTIVES[name](
                method, frozen, anchor, log_pi, token_game.preference()
            )

        gradient = token_game.expected_gradient(method, state)
        steps = 1e-4 * directions(flat.size, 5)
        differences = [(objective(flat + s) - objective(flat - s)) / 2 for s in steps]
    predicted = steps @ gradient
    scale = 1e-4 * np.linalg.norm(gradient)
    assert np.abs(predicted).max() > 1e-3 * scale
    np.testing.assert_allclose(predicted, differences, rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("name", METHODS)
def test_mean_of_sampled_gradients_is_the_expected_gradient(name):
    with jax.enable_x64(True):
        exact = token_game.expected_gradient(configured(name), token_game.moved_state())
        drawn, _ = token_game.sampled_steps(name)
    # The expected gradient itself is where a wrong factor shows most.
    lines = np.vstack([directions(exact.size, 20), exact / np.linalg.norm(exact)])
    seen = drawn @ lines.T
    error = seen.std(0, ddof=1) / np.sqrt(len(seen))
    z = (seen.mean(0) - lines @ exact) / error
    assert np.abs(z).max() < 4, f"furthest direction: z = {z[np.abs(z).argmax()]:.1f}"
