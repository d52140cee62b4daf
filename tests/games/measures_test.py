"""Tests of measures: each against its definition, solved by a general optimiser."""

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import games

PREFERENCE = games.random_preference(0, 5)
REFERENCE = np.array([0.1, 0.3, 0.05, 0.35, 0.2])
POLICY = np.array([0.4, 0.1, 0.25, 0.05, 0.2])


def value(policy, opponent, tau):
    """Returns J(policy, opponent) of the regularised game, from its definition."""
    return (
        policy @ PREFERENCE @ opponent
        - tau * (policy @ np.log(policy / REFERENCE))
        + tau * (opponent @ np.log(opponent / REFERENCE))
    )


def maximise(objective):
    """Returns the policy that maximises an objective, and its value."""
    found = scipy.optimize.minimize(
        lambda logits: -objective(scipy.special.softmax(logits)),
        np.zeros(5),
        tol=1e-10,
    )
    return scipy.special.softmax(found.x), -found.fun


@pytest.mark.parametrize("tau", [0.05, 0.3, 2.0])
def test_best_response_maximises_the_regularised_win_rate(tau):
    expected, _ = maximise(lambda p: value(p, POLICY, tau))
    response = games.best_response(POLICY, PREFERENCE, REFERENCE, tau)
    np.testing.assert_allclose(response, expected, atol=1e-4)


@pytest.mark.parametrize("tau", [0.05, 0.3, 2.0])
def test_duality_gap_is_the_gap_between_the_best_responses_of_both_players(tau):
    _, upper = maximise(lambda p: value(p, POLICY, tau))
    _, lower = maximise(lambda q: -value(POLICY, q, tau))
    gap = games.duality_gap(POLICY, PREFERENCE, REFERENCE, tau)
    np.testing.assert_allclose(gap, upper + lower, rtol=1e-5)


def test_plain_duality_gap_is_taken_over_pure_responses():
    upper = max(PREFERENCE[y] @ POLICY for y in range(5))
    lower = min(POLICY @ PREFERENCE[:, z] for z in range(5))
    gap = games.duality_gap(POLICY, PREFERENCE)
    np.testing.assert_allclose(gap, upper - lower, rtol=1e-6)
    np.testing.assert_allclose(
        games.exploitability(POLICY, PREFERENCE), (upper - lower) / 2, rtol=1e-6
    )


def test_duality_gap_tends_to_the_plain_one_as_tau_vanishes():
    plain = games.duality_gap(POLICY, PREFERENCE)
    at_zero = games.duality_gap(POLICY, PREFERENCE, REFERENCE, 0.0)
    np.testing.assert_array_equal(at_zero, plain)
    near_zero = games.duality_gap(POLICY, PREFERENCE, REFERENCE, 1e-4)
    np.testing.assert_allclose(near_zero, plain, atol=5e-4)


def test_exploitability_of_a_pure_response_in_a_sure_cycle_is_a_half():
    np.testing.assert_array_equal(
        games.exploitability(np.eye(3), games.rock_paper_scissors()), 0.5
    )


@pytest.mark.parametrize("tau", [1e-3, 0.1, 10.0])
def test_duality_gap_is_zero_at_the_nash_policy_and_nowhere_else(tau):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        nash = games.regularized_nash(PREFERENCE, REFERENCE, tau)
        assert games.duality_gap(nash, PREFERENCE, REFERENCE, tau) < 1e-20
        shifted = 0.999 * nash + 0.001 * rng.dirichlet(np.ones(5), size=50)
        gaps = jax.vmap(
            lambda policy: games.duality_gap(policy, PREFERENCE, REFERENCE, tau)
        )(shifted)
        assert gaps.min() > 1e-10


def test_plain_duality_gap_is_zero_at_nash_and_never_negative():
    policies = np.random.default_rng(0).dirichlet(np.ones(5), size=200)
    gaps = games.duality_gap(policies, np.broadcast_to(PREFERENCE, (200, 5, 5)))
    assert gaps.min() > 1e-2
    assert abs(games.duality_gap(games.nash(PREFERENCE), PREFERENCE)) < 1e-6


def test_duality_gap_needs_a_reference_where_it_is_regularised():
    with pytest.raises(ValueError, match="tau = 0.1 needs a reference"):
        games.duality_gap(POLICY, PREFERENCE, tau=0.1)


def test_win_rates_are_expectations_over_the_opponent():
    expected = [sum(PREFERENCE[y] * POLICY) for y in range(5)]
    rates = games.win_rates(POLICY, PREFERENCE)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "policy, reference, expected",
    [
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([1.0, 0.0], [0.25, 0.75], np.log(4)),
        ([1.0, 0.0], [0.6, 0.4], np.log(1 / 0.6)),
        ([1.0, 0.0], [1.0, 0.0], 0.0),
        ([0.5, 0.5], [1.0, 0.0], np.inf),
        ([0.9, 0.1], [0.2, 0.8], 0.9 * np.log(4.5) - 0.1 * np.log(8)),
        ([1.0, 1e-37], [1e-37, 1.0], 37 * np.log(10)),
    ],
)
def test_kl_of_two_responses(policy, reference, expected):
    divergence = games.kl(np.array(policy), np.array(reference))
    np.testing.assert_allclose(divergence, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", [1e-1, 1e-2, 1e-3])
def test_kl_of_near_policies_is_accurate_in_single_precision(size):
    noise = np.random.default_rng(1).normal(size=5)
    near = scipy.special.softmax(np.log(POLICY) + size * noise)
    near, policy = near.astype(np.float32), POLICY.astype(np.float32)
    exact = scipy.special.rel_entr(near.astype(float), policy.astype(float))
    # What single precision leaves of the sum of a policy is not divergence.
    exact = exact.sum() - (near.astype(float) - policy.astype(float)).sum()
    np.testing.assert_allclose(games.kl(near, policy), exact, rtol=1e-3)


def test_total_variation_is_the_largest_difference_of_any_event():
    events = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1)
    expected = np.max((POLICY - REFERENCE) @ events)
    distance = games.total_variation(POLICY, REFERENCE)
    np.testing.assert_allclose(distance, expected, rtol=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.2])
def test_a_compiled_batch_gives_what_its_members_give(tau):
    rng = np.random.default_rng(2)
    preference = games.random_preference(2, (2, 3, 4))
    policy, reference = rng.dirichlet(np.ones(4), size=(2, 2, 3))
    gaps = jax.jit(games.duality_gap)(policy, preference, reference, tau)
    for index in np.ndindex(2, 3):
        one = games.duality_gap(policy[index], preference[index], reference[index], tau)
        np.testing.assert_allclose(gaps[index], one, rtol=1e-5)


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_nash_conv_is_what_both_players_gain_by_deviating_alone(tau):
    opponent = np.array([0.05, 0.3, 0.3, 0.15, 0.2])
    now = value(POLICY, opponent, tau)
    if tau:
        _, better = maximise(lambda p: value(p, opponent, tau))
        _, worse = maximise(lambda q: -value(POLICY, q, tau))
    else:
        better, worse = max(PREFERENCE @ opponent), -min(POLICY @ PREFERENCE)
    gain = (better - now) + (now + worse)
    found = games.nash_conv(POLICY, opponent, PREFERENCE, REFERENCE, tau)
    np.testing.assert_allclose(found, gain, rtol=1e-5)


def test_a_negative_tau_is_refused():
    with pytest.raises(ValueError, match="tau must be at least 0, not -1.0"):
        games.duality_gap(POLICY, PREFERENCE, REFERENCE, tau=-1.0)
    with pytest.raises(ValueError, match="tau must be positive, not 0.0"):
        games.best_response(POLICY, PREFERENCE, REFERENCE, 0.0)


@pytest.mark.parametrize("distance", [games.kl, games.total_variation])
def test_the_batches_of_two_policies_are_broadcast(distance):
    random = np.random.default_rng(0)
    policies = random.dirichlet(np.ones(5), size=(3, 1))
    others = random.dirichlet(np.ones(5), size=2)
    expected = [[distance(p, q) for q in others] for p in policies[:, 0]]
    np.testing.assert_allclose(distance(policies, others), expected, rtol=1e-6)
    one = distance(POLICY, others[0])
    np.testing.assert_array_equal(distance([POLICY], others[0]), [one])
    np.testing.assert_array_equal(distance(POLICY, others[:1]), [one])


@pytest.mark.parametrize("tau", [0.0, 0.1])
def test_one_game_and_reference_serve_many_policies_and_one_policy_many(tau):
    others = np.random.default_rng(0).dirichlet(np.ones(5), size=3)
    gaps = games.duality_gap(others, PREFERENCE, REFERENCE, tau)
    expected = [games.duality_gap(p, PREFERENCE, REFERENCE, tau) for p in others]
    np.testing.assert_allclose(gaps, expected, rtol=1e-5)
    gaps = games.duality_gap(POLICY, PREFERENCE, others, tau)
    expected = [games.duality_gap(POLICY, PREFERENCE, r, tau) for r in others]
    np.testing.assert_allclose(gaps, expected, rtol=1e-5)


@pytest.mark.parametrize("distance", [games.kl, games.total_variation])
def test_policies_over_other_responses_are_not_compared(distance):
    for other in ([0.5, 0.5], [1.0]):
        with pytest.raises(ValueError, match=r"\[5\] and .* same responses"):
            distance(POLICY, np.array(other))


def test_a_gap_in_float32_is_never_negative():
    for seed in range(200):
        preference = games.random_preference(seed, 5)
        policy = games.nash(preference)
        low = [np.asarray(x, np.float32) for x in (policy, preference)]
        assert games.duality_gap(*low) >= 0
        uniform = np.full(5, 0.2, np.float32)
        best = games.best_response(low[0], low[1], uniform, 0.5)
        assert games.duality_gap(best, low[1], uniform, 0.5) >= 0
        assert games.kl(best, np.nextafter(np.asarray(best), 1)) >= 0
