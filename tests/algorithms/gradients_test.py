"""The gradient of every row, held against its objective's definition in a token game.

The objectives are written here as the papers do, as sums over all responses, and
differentiated by finite differences in float64.
"""

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


def comparisons(loss, writer, ratio, preferred):
    """Mean over pairs of a writer `[B, Y]` of `loss(margin)`, votes both ways."""
    margin = ratio[:, :, None] - ratio[:, None, :]
    both = writer[:, :, None] * writer[:, None, :]
    losses = preferred * loss(margin) + (1 - preferred) * loss(-margin)
    return (both * losses).sum((1, 2)).mean()


def regularised(values, method, log_pi, frozen):
    """Minus the policy's mean value, plus tau KL; values are detached, `[B, Y]`."""
    pi, ratio = np.exp(log_pi), log_pi - frozen["reference"]
    return (pi * (method.tau * ratio - values)).sum(1).mean()


def mixed(method, frozen):
    """The token-level mixture of the policy, where it stands, and the reference."""
    return token_game.tree().mixture(
        np.exp(frozen["policy"]), np.exp(frozen["reference"]), method.mix
    )


def of_pairs(loss):
    """The objective of pairs written by the mixture; `loss(margin, tau)`."""

    def objective(method, log_pi, frozen, preferred):
        return comparisons(
            lambda margin: loss(margin, method.tau),
            mixed(method, frozen),
            log_pi - frozen["reference"],
            preferred,
        )

    return objective


def reward(method, log_pi, frozen, preferred):
    values = np.broadcast_to(token_game.rewards(), log_pi.shape)
    return regularised(values, method, log_pi, frozen)


def win_rate_over(opponent):
    """The objective of the win rate over `opponent(method, frozen)`."""

    def objective(method, log_pi, frozen, preferred):
        values = opponent(method, frozen) @ preferred.T
        return regularised(values, method, log_pi, frozen)

    return objective


def named(name):
    return lambda method, frozen: np.exp(frozen[name])


def mirror_step(method, log_pi, frozen, preferred):
    """Zhang et al. 2024, eq. 9: (h_t - eta (I - 1/2))^2, pairs from the iterate."""
    eta, tau = method.settings["eta"], method.tau
    anchor = eta * tau * frozen["reference"] + (1 - eta * tau) * frozen["iterate"]
    writer = np.exp(frozen["iterate"])
    return comparisons(
        lambda margin: (margin - eta / 2) ** 2, writer, log_pi - anchor, preferred
    )


def reward_regression(method, log_pi, frozen, preferred):
    """Gao et al. 2024: (h - eta (r(y) - r(z)))^2, pairs from the iterate."""
    ratio, rewards = log_pi - frozen["iterate"], token_game.rewards()
    error = ratio - method.settings["eta"] * rewards
    writer = np.exp(frozen["iterate"])
    gaps = (error[:, :, None] - error[:, None, :]) ** 2
    return np.einsum("by,byz,bz->b", writer, gaps, writer).mean()


def win_rate_regression(method, log_pi, frozen, preferred):
    """Wu et al. 2024, eq. 4.6, with win rates over five responses, itself included.

    Its mean over the other four: the square's mean is that at the mean win rate, plus
    a variance on which the policy has no influence.
    """
    writer = np.exp(frozen["iterate"])
    estimate = (0.5 + 4 * writer @ preferred.T) / 5
    error = log_pi - frozen["iterate"] - method.settings["eta"] * (estimate - 0.5)
    return (writer * error**2).sum(1).mean()


OBJECTIVES = {
    "rl": reward,
    "online_dpo": of_pairs(lambda h, tau: np.log1p(np.exp(-tau * h))),
    "online_slic": of_pairs(lambda h, tau: np.maximum(0, 1 - tau * h)),
    "online_ipo": of_pairs(lambda h, tau: (h - 1 / (2 * tau)) ** 2),
    "nash_md_pg": win_rate_over(mixed),
    "ipo_md": of_pairs(lambda h, tau: (h - 1 / (2 * tau)) ** 2),
    "self_play_pg": win_rate_over(named("policy")),
    "best_response_pg": win_rate_over(named("reference")),
    "nash_ema_pg": win_rate_over(named("average")),
    "spo": win_rate_over(named("policy")),
    "sppo": win_rate_regression,
    "inpo": mirror_step,
    "comal": mirror_step,
    "rebel": reward_regression,
    "mpo": win_rate_over(named("policy")),
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
        frozen = {name: log_policy(params) for name, params in state.frozen.items()}
        frozen["policy"] = log_policy(state.params)
        flat, unravel = jax.flatten_util.ravel_pytree(state.params)

        def objective(flat):
            log_pi = log_policy(unravel(flat))
            return OBJECTIVES[name](method, log_pi, frozen, token_game.preference())

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
