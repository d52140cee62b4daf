"""Tests of convergence: runs that rest, cycle, leave and drift are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import games

PREFERENCE = games.three_cycle()
REFERENCE = np.array([0.2, 0.5, 0.3])


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def run(solver, num_steps=400, start=REFERENCE, preference=PREFERENCE):
    """Returns the policies of a run."""
    begin = solver.init(start)
    return games.run(solver, begin, preference, num_steps=num_steps)[1]


def test_a_dynamics_that_reaches_its_nash_policy_has_settled():
    policies = run(games.mirror_descent(tau=0.1, eta=0.5))
    found = games.settling(policies)
    assert found.settled and found.width < 1e-4 and found.trend < 0.5
    nash = games.regularized_nash(PREFERENCE, REFERENCE, 0.1)
    assert games.total_variation(jnp.exp(policies[-1]), nash) < 1e-4


def test_a_dynamics_that_spirals_out_has_not_settled_however_long_it_runs():
    # Near the border of the simplex it rests for longer and longer, but never stays.
    policies = run(games.mirror_descent(tau=0.0, eta=0.5), 800)
    for num_steps in (40, 100, 400, 800):
        found = games.settling(policies[:num_steps])
        assert not found.settled and found.width > 0.1 and found.trend > 0.8


def circle(period, radius=0.1):
    """Returns policies that go round the centre, 240 of them."""
    angle = 2 * np.pi * np.arange(240) / period
    corners = 2 * np.pi * np.arange(3) / 3
    return np.log(1 / 3 + radius * np.cos(angle[:, None] + corners))


@pytest.mark.parametrize("period", [3, 20, 60])
def test_a_cycle_has_the_width_of_its_diameter_and_a_trend_of_one(period):
    policies = circle(period)
    np.testing.assert_allclose(policies[-1], policies[-1 - 60], atol=1e-12)
    found = games.settling(policies, tolerance=0.01)
    assert not found.settled
    np.testing.assert_allclose(found.trend, 1, atol=1e-9)
    # The total variation of two points is between 1 / sqrt 2 and sqrt(2/3) of their
    # distance, which is at most 2 * radius * sqrt(3/2); at period 3, sqrt 3 / 2 of it.
    assert 0.14 < found.width < 0.21


def test_a_slow_drift_has_not_settled_though_its_last_change_is_small():
    policies = run(games.mirror_descent(tau=0.1, eta=1e-4))
    found = games.settling(policies, tolerance=0.01)
    assert found.width < 0.01 and 0.9 < found.trend and not found.settled


def test_the_trend_is_the_factor_by_which_a_quarter_shrinks():
    distance = 0.1 * 0.5 ** (np.arange(400) / 100)
    policies = np.log(np.stack([0.5 + distance, 0.5 - distance], axis=-1))
    found = games.settling(policies)
    # Of T policies the last quarter is T/4 steps long.
    np.testing.assert_allclose(found.trend, 0.5, rtol=1e-9)
    np.testing.assert_allclose(found.width, distance[-101] - distance[-1], rtol=1e-9)
    # width / (1 - trend) is how far the quarter's first policy was from the limit.
    limit = distance[-101]
    assert games.settling(policies, tolerance=1.001 * limit).settled
    assert not games.settling(policies, tolerance=0.999 * limit).settled


def test_a_run_that_begins_at_rest_has_settled_in_either_precision():
    nash = games.regularized_nash(PREFERENCE, REFERENCE, 0.1)
    assert games.settling(np.log(np.stack([nash] * 4))).settled
    low = np.asarray(nash, np.float32)
    policies = np.log(np.stack([low, np.nextafter(low, 1), low, low]))
    assert games.settling(policies, tolerance=1e-12).settled


def test_a_run_that_begins_to_move_late_has_an_infinite_trend():
    policies = np.log(np.stack([[0.5, 0.5]] * 9 + [[0.6, 0.4]]))
    found = games.settling(policies, tolerance=0.5)
    assert np.isinf(found.trend) and not found.settled


def test_each_game_of_a_batch_is_seen_alone_and_inside_a_program():
    rest = run(games.mirror_descent(tau=0.1, eta=0.5))
    leave = run(games.mirror_descent(tau=0.0, eta=0.5))
    found = jax.jit(games.settling)(jnp.stack([rest, leave], axis=1))
    np.testing.assert_array_equal(found.settled, [True, False])
    for column, policies in enumerate([rest, leave]):
        for together, alone in zip(found, games.settling(policies), strict=True):
            np.testing.assert_allclose(together[column], alone, rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 2), (4,), ()])
def test_too_few_policies_are_refused(shape):
    with pytest.raises(ValueError, match="T >= 4: measure a run more often"):
        games.settling(np.zeros(shape))
    with pytest.raises(ValueError, match="tolerance must be positive"):
        games.settling(np.zeros((4, 2)), tolerance=0.0)
