"""Tests of equilibria: known games, other solvers, and the equations themselves."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import games
from nashalign.games import exact, path_following

# Liu et al. 2024 (COMAL): b beats a and c beats b with 0.9, a beats c with 0.8.
COMAL = np.array([[0.5, 0.1, 0.8], [0.9, 0.5, 0.1], [0.2, 0.9, 0.5]])
TAUS = [1e-3, 1e-2, 0.1, 1.0, 10.0]


def random_policy(seed, *shape):
    """Returns a full-support policy `[*B, Y]`, spread over some orders of magnitude."""
    logits = 2 * np.random.default_rng(seed).normal(size=shape)
    return scipy.special.softmax(logits, axis=-1)


def residual(policy, preference, reference, tau):
    """Returns tau max|log pi - log BR(pi)| `[*B]`."""
    wins = np.einsum("...yz,...z->...y", preference, policy)
    response = scipy.special.log_softmax(np.log(reference) + wins / tau, axis=-1)
    return tau * np.abs(np.log(policy) - response).max(axis=-1)


@pytest.mark.parametrize(
    "preference, expected",
    [
        (games.rock_paper_scissors(), [1 / 3] * 3),
        (games.rock_paper_scissors(0.6), [1 / 3] * 3),
        (games.dice(), [1 / 3] * 3),
        (COMAL, [4 / 11, 3 / 11, 4 / 11]),
        (games.from_rewards([0.0, 2.0, 1.0]), [0, 1, 0]),
        ([[0.5]], [1.0]),
    ],
)
def test_nash_of_known_games(preference, expected):
    np.testing.assert_allclose(games.nash(preference), expected, atol=1e-14)


@pytest.mark.parametrize("weights", [(0.2, 0.4, 0.4), (0.3, 0.25, 0.45)])
def test_nash_of_three_rankings_follows_their_weights(weights):
    first, second, third = weights
    # Rankings 012, 120, 201: P(0 > 1) = 1 - second, P(1 > 2) = 1 - third, and so on.
    upper = np.array([[0, 1 - second, first], [0, 0, 1 - third], [0, 0, 0]])
    preference = upper + np.tril(1 - upper.T, -1) + np.eye(3) / 2
    expected = [1 - 2 * third, 1 - 2 * first, 1 - 2 * second]
    np.testing.assert_allclose(games.nash(preference), expected, atol=1e-14)


def nearly_tied(seed, scale, kind):
    """A game of three to eight responses, between some of which nearly all is tied."""
    random = np.random.default_rng(seed)
    size = int(random.integers(3, 9))
    payoffs = random.normal(size=(size, size))
    if kind == "all":
        payoffs *= scale
    elif kind == "half":
        half = size // 2 + 1
        payoffs[:half, :half] *= scale
        payoffs[:half, half:] = random.uniform(0.05, 0.3, (half, size - half))
        payoffs[half:] *= 0.1
    else:
        payoffs *= scale ** random.random((size, size)) / 10
    payoffs = np.clip(np.triu(payoffs, 1), -0.5, 0.5)
    return 0.5 + payoffs - payoffs.T


@pytest.mark.parametrize("kind", ["all", "half", "every size"])
@pytest.mark.parametrize("scale", [1e-7, 1e-8, 1e-9, 1e-10])
def test_games_that_are_nearly_tied_have_a_nash_policy(scale, kind):
    for seed in range(30):
        preference = nearly_tied(seed, scale, kind)
        policy = games.nash(preference)
        assert policy.min() >= 0 and abs(policy.sum() - 1) < 1e-15
        assert ((preference - 0.5) @ policy).max() < 1e-10


@pytest.mark.parametrize("scale", [1e-9, 1e-10])
def test_near_copies_of_a_few_responses_have_a_nash_policy_however_many(scale):
    for seed in range(3):
        random = np.random.default_rng(seed)
        of_which = random.integers(0, 8, 64)
        payoffs = random.uniform(-0.4, 0.4, (8, 8))[np.ix_(of_which, of_which)]
        payoffs = payoffs + scale * random.normal(size=(64, 64))
        game = (payoffs - payoffs.T) / 2
        assert (game @ games.nash(0.5 + game)).max() < 1e-10


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_the_simplex_method_in_integers_finds_what_trying_every_support_does(size):
    payoffs = np.triu(np.random.default_rng(size).normal(size=(size, size)), 1) / 10
    payoffs = payoffs - payoffs.T
    found = exact.solve(payoffs)
    np.testing.assert_allclose(found, nash_by_supports(0.5 + payoffs), atol=1e-12)
    # A game is the same at any scale, until its payoffs are no numbers any more.
    np.testing.assert_allclose(exact.solve(payoffs * 1e-9), found, atol=1e-8)


def nash_by_supports(preference):
    """Returns the Nash policy of a generic game by trying every support."""
    size = len(preference)
    for count in range(1, size + 1, 2):
        for support in itertools.combinations(range(size), count):
            inner = preference[np.ix_(support, support)] - 0.5
            system = np.vstack([inner, np.ones(count)])
            weights = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0))[0]
            policy = np.zeros(size)
            policy[list(support)] = weights
            if weights.min() > 0 and (preference @ policy).max() < 0.5 + 1e-12:
                return policy
    raise AssertionError("no support carries a Nash policy")


def test_nash_is_the_policy_found_by_trying_every_support():
    preference = games.random_preference(0, (5, 6))
    expected = [nash_by_supports(game) for game in preference]
    np.testing.assert_allclose(games.nash(preference), expected, atol=1e-13)


def test_no_response_beats_the_nash_policy_of_a_large_game():
    preference = games.random_preference(0, 100)
    policy = games.nash(preference)
    assert (preference @ policy).max() - 0.5 < 1e-14
    assert policy.sum() == pytest.approx(1, abs=1e-15) and policy.min() == 0


def test_nash_of_an_undecided_game_is_some_policy():
    policy = games.nash(np.full((4, 4), 0.5))
    assert policy.min() >= 0 and policy.sum() == pytest.approx(1)


def test_nash_takes_a_preference_in_single_precision():
    preference = games.random_preference(2, 8).astype(np.float32)
    exact = games.nash(games.random_preference(2, 8))
    np.testing.assert_allclose(games.nash(preference), exact, atol=1e-5)


@pytest.mark.parametrize("tau", TAUS)
def test_regularized_nash_is_its_own_best_response(tau):
    preference = games.random_preference(0, (3, 30))
    reference = random_policy(0, 3, 30)
    policy = games.regularized_nash(preference, reference, tau)
    assert residual(policy, preference, reference, tau).max() < 1e-13
    np.testing.assert_allclose(policy.sum(axis=-1), 1, rtol=1e-14)


@pytest.mark.parametrize("tau", [1e-3, 1e-2, 0.3])
@pytest.mark.parametrize(
    "preference",
    [
        COMAL,
        games.from_rewards(np.linspace(-8, 8, 9)),
        0.5 + 0.5 * np.sign(games.random_preference(1, 9) - 0.5),  # sure of each pair
        games.rock_paper_scissors(),
    ],
)
def test_regularized_nash_of_hard_games_is_its_own_best_response(preference, tau):
    reference = random_policy(1, len(preference)) ** 4
    reference /= reference.sum()
    policy = games.regularized_nash(preference, reference, tau)
    assert residual(policy, preference, reference, tau) < 1e-13


@pytest.mark.parametrize("tau", [0.03, 0.1, 1.0])
def test_regularized_nash_solves_its_own_proximal_problem(tau):
    preference, reference = games.random_preference(3, 5), random_policy(3, 5)
    nash = games.regularized_nash(preference, reference, tau)
    wins = preference @ nash

    def loss(logits):
        log_policy = scipy.special.log_softmax(logits)
        gain = wins - tau * (log_policy - np.log(reference))
        return -np.exp(log_policy) @ gain

    found = scipy.optimize.minimize(loss, np.log(reference), tol=1e-12).x
    np.testing.assert_allclose(scipy.special.softmax(found), nash, atol=2e-6)


@pytest.mark.parametrize("tau", [0.05, 0.5])
def test_regularized_nash_is_what_a_general_root_finder_finds(tau):
    preference, reference = games.random_preference(4, 8), random_policy(4, 8)

    def equation(logits):
        wins = preference @ scipy.special.softmax(logits)
        return logits - scipy.special.log_softmax(np.log(reference) + wins / tau)

    found = scipy.optimize.root(equation, np.log(reference), method="lm", tol=1e-14)
    expected = games.regularized_nash(preference, reference, tau)
    np.testing.assert_allclose(scipy.special.softmax(found.x), expected, atol=1e-10)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("preferred", [0.1, 0.65, 1.0])
def test_regularized_nash_of_two_responses_has_a_closed_form(preferred, tau):
    preference = [[0.5, preferred], [1 - preferred, 0.5]]
    policy = games.regularized_nash(preference, [0.3, 0.7], tau)
    log_odds = np.log(0.3 / 0.7) + (preferred - 0.5) / tau
    np.testing.assert_allclose(np.log(policy[0] / policy[1]), log_odds, rtol=1e-12)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("preference", [games.rock_paper_scissors(), games.dice()])
def test_regularized_nash_of_a_symmetric_cycle_is_uniform(preference, tau):
    policy = games.regularized_nash(preference, [1 / 3] * 3, tau)
    np.testing.assert_allclose(policy, 1 / 3, rtol=1e-12)


@pytest.mark.parametrize("tau", TAUS)
def test_an_undecided_game_leaves_the_reference_as_it_is(tau):
    reference = random_policy(5, 6)
    policy = games.regularized_nash(np.full((6, 6), 0.5), reference, tau)
    np.testing.assert_allclose(policy, reference, rtol=1e-13)


def test_small_tau_selects_the_nash_policy_nearest_to_the_reference():
    # Two responses tie, and both surely beat the third: any mix of the two is Nash.
    preference = [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0], [0.0, 0.0, 0.5]]
    policy = games.regularized_nash(preference, [0.2, 0.5, 0.3], 1e-3)
    np.testing.assert_allclose(policy, [2 / 7, 5 / 7, 0], atol=1e-15)


def test_regularized_nash_tends_to_nash_as_tau_vanishes():
    preference = games.random_preference(6, 12)
    policy = games.regularized_nash(preference, np.full(12, 1 / 12), 1e-5)
    np.testing.assert_allclose(policy, games.nash(preference), atol=2e-3)


def test_the_path_takes_few_steps_down_to_a_small_tau():
    preference, reference = games.random_preference(0, 50), random_policy(0, 50)
    num_evaluations = 0

    def opponent(log_policy):
        nonlocal num_evaluations
        num_evaluations += 1
        policy = np.exp(log_policy)
        return policy, lambda matrix: matrix * policy[:, None, :]

    log_policy = path_following.follow_path(
        preference[None], np.log(reference)[None], 1e-3, opponent
    )[0]
    expected = games.regularized_nash(preference, reference, 1e-3)
    np.testing.assert_array_equal(np.exp(log_policy), expected)
    assert num_evaluations < 150


def test_games_of_a_batch_are_solved_one_by_one():
    preference = games.random_preference(7, (2, 3, 5))
    reference = random_policy(7, 5)
    nash, regularized = games.nash(preference), []
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(nash[index], games.nash(preference[index]))
        regularized.append(games.regularized_nash(preference[index], reference, 0.1))
    together = games.regularized_nash(preference, reference, 0.1)
    np.testing.assert_allclose(together.reshape(6, 5), regularized, rtol=1e-13)


@pytest.mark.parametrize(
    "reference, tau, message",
    [
        ([0.5, 0.5, 0.0], 0.1, r"reference\[2\] = 0, but must be positive"),
        ([0.5, np.nan, 0.5], 0.1, r"reference\[1\] = nan is no probability"),
        ([0.5, 0.5, 0.5], 0.1, "reference must add up to 1 over responses, not to 1.5"),
        ([0.2, 0.3, 0.5], 0.0, "tau must be positive, not 0"),
        ([0.2, 0.3, 0.5], -0.1, "tau must be positive, not -0.1"),
        ([0.2, 0.3, 0.5], np.nan, "tau must be finite, not nan"),
    ],
)
def test_a_bad_argument_is_named(reference, tau, message):
    with pytest.raises(ValueError, match=message):
        games.regularized_nash(games.dice(), reference, tau)


@pytest.mark.parametrize(
    "solve", [games.nash, lambda game: games.regularized_nash(game, [0.5, 0.5], 0.1)]
)
def test_a_preference_that_breaks_a_law_is_refused(solve):
    with pytest.raises(ValueError, match=r"preference\[0, 1\] = 0.9 and its mirror"):
        solve([[0.5, 0.9], [0.2, 0.5]])


def segment_ends(preference):
    """Returns the vertices of the Nash policies of a small game by trying supports."""
    size, found = len(preference), []
    for count in range(1, size + 1):
        for support in itertools.combinations(range(size), count):
            # A vertex is the only policy that plays just these and ties with enough.
            for binding in itertools.combinations(range(size), count - 1):
                system = np.vstack(
                    [preference[np.ix_(binding, support)] - 0.5, np.ones(count)]
                )
                if np.linalg.matrix_rank(system, tol=1e-9) < count:
                    continue
                policy = np.zeros(size)
                policy[list(support)] = np.linalg.solve(
                    system, np.append(np.zeros(count - 1), 1.0)
                )
                if policy.min() > -1e-12 and (preference @ policy).max() < 0.5 + 1e-12:
                    found.append(np.maximum(policy, 0).round(9))
    return np.unique(found, axis=0)


def doubled(preference, copies):
    """Returns the game with some responses there more than once."""
    return preference[np.ix_(copies, copies)]


@pytest.mark.parametrize(
    "preference",
    [
        games.random_preference(0, 5),
        doubled(COMAL, [0, 1, 2, 0]),
        doubled(games.rock_paper_scissors(), [0, 1, 1, 2]),
        doubled(games.random_preference(3, 4), [0, 0, 1, 2, 2, 3]),
        0.5 + 0.5 * np.sign(np.round(2 * games.random_preference(5, 6) - 1, 0)),
        0.5 + 0.5 * np.round(2 * games.random_preference(6, 6) - 1, 0),
        np.full((4, 4), 0.5),
        games.from_rewards([1.0, 1.0, 0.0, 1.0]),
    ],
)
def test_nash_vertices_are_those_found_by_trying_every_support(preference):
    vertices = games.nash_vertices(preference)
    np.testing.assert_allclose(vertices, segment_ends(preference), atol=1e-8)
    assert (preference @ vertices.T).max() - 0.5 < 1e-12


def test_the_vertices_of_a_larger_face_span_every_nash_policy():
    # Three copies of a cycle: each of its weights may be spread over its copies.
    preference = doubled(COMAL, [0, 1, 2] * 3)
    vertices = games.nash_vertices(preference)
    assert len(vertices) == 27
    totals = vertices.reshape(27, 3, 3).sum(axis=1)
    np.testing.assert_allclose(totals, [[4 / 11, 3 / 11, 4 / 11]] * 27, rtol=1e-9)


def test_regularized_nash_of_many_small_games_is_solved_together():
    preference = games.random_preference(8, (1_000, 10))
    policy = games.regularized_nash(preference, np.full(10, 0.1), 1e-2)
    assert residual(policy, preference, np.full(10, 0.1), 1e-2).max() < 1e-12


@pytest.mark.parametrize(
    "size, tau",
    [
        # Rounding and the number of steps down grow with the size: they show here.
        (300, 0.01),
        # What only its memory shows: matrices of 800 MB each, of which it holds a few.
        pytest.param(10_000, 0.2, marks=pytest.mark.full),
    ],
)
def test_regularized_nash_of_a_large_game(size, tau):
    preference = games.random_preference(0, size)
    reference = np.full(size, 1 / size)
    policy = games.regularized_nash(preference, reference, tau)
    assert residual(policy, preference, reference, tau) < 1e-11
    assert games.total_variation(policy, reference) > 0.005


@pytest.mark.parametrize("seed", range(20))
def test_nash_of_games_whose_nash_policy_has_tiny_weights(seed):
    nash = np.random.default_rng(seed).dirichlet(np.full(9, 0.2)) + 1e-12
    preference = games.planted(seed, nash / nash.sum())
    policy = games.nash(preference)
    assert (preference @ policy).max() - 0.5 < 1e-10
