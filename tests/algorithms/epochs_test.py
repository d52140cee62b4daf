"""Several epochs of PPO, each a step on the paper's clipped objective.

The objective and the generalised advantages are those of `definitions.py`, in numpy;
the slopes are finite differences, of the policy and of the critic. Old numbers are
those of the policy and the critic that the batch found.
"""

import jax
import jax.flatten_util
import numpy as np
import optax
import pytest

from nashalign import algorithms
from tests import token_game
from tests.algorithms import definitions, gradients_test

SETTINGS = {"tau": 0.3, "clip": 0.1, "trace": 0.7, "value": 0.4}
# So long that the later steps of a batch are beyond the clip here and there.
RATE = 0.5


@pytest.fixture(scope="module")
def states():
    """Before the batch, and after one, two and three epochs on all responses."""
    with jax.enable_x64(True):
        setup = token_game.setup(token_game.POLICY, optax.sgd(RATE))
        state = token_game.moved_state(algorithms.configure("ppo"))

        @token_game.compiled
        def learnt(method):
            groups = token_game.expected_groups(
                method, setup, state, token_game.THREE_PROMPTS
            )
            return algorithms.learn(method, setup, state, groups)[0]

        rows = [
            algorithms.configure("ppo", **SETTINGS, num_epochs=n) for n in (1, 2, 3)
        ]
        return [state, *(learnt(row) for row in rows)]


def objective(first, place):
    """The paper's objective of players, on the batch that the first state wrote.

    The critic reads the states of the policy as it is before the step, at `place`: a
    critic of its own does not train what it reads.
    """
    method = algorithms.configure("ppo", **SETTINGS)
    view = gradients_test.views(method, first)
    old = view(first.params)
    hidden = np.asarray(gradients_test.read(place.params))

    def value(players):
        return definitions.proximal_policy(
            view(players["policy"]),
            old_log_pi=old.frozen["policy"],
            old_values=old.told["values"],
            values=hidden @ np.asarray(players["critic"]),
        )

    return value


def flat(state):
    return jax.flatten_util.ravel_pytree(state.players)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_epoch_is_a_step_on_the_clipped_objective_of_the_batch(states, epoch):
    first, before, after = states[0], states[epoch], states[epoch + 1]
    with jax.enable_x64(True):
        value, (here, unravel) = objective(first, before), flat(before)
        moved = np.asarray(here - flat(after)[0]) / RATE
        # Of the critic alone, of the policy alone, and of both.
        lines = 1e-4 * gradients_test.directions(here.size, 6)
        critic = before.players["critic"].size
        lines[:2, critic:], lines[2:4, :critic] = 0.0, 0.0
        found = [
            (value(unravel(here + line)) - value(unravel(here - line))) / 2
            for line in lines
        ]
    scale = 1e-4 * np.linalg.norm(moved)
    assert np.abs(moved[:critic]).max() > 1e-3
    np.testing.assert_allclose(lines @ moved, found, rtol=0, atol=1e-7 * scale)


def test_later_epochs_are_beyond_the_clip_here_and_there(states):
    with jax.enable_x64(True):
        view = gradients_test.views(algorithms.configure("ppo"), states[0])
        before, after = (
            definitions.token_log_probs(view(state.params).log_pi)
            for state in (states[0], states[2])
        )
    beyond = np.abs(np.exp(after - before) - 1) > SETTINGS["clip"]
    assert 0.1 < beyond.mean() < 0.9
