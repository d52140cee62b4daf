"""Tests of preferences: their laws, known games, and cycles counted one by one."""

import itertools

import numpy as np
import pytest

from nashalign import games

RANKINGS = ([0, 1, 2], [1, 2, 0], [2, 0, 1])  # each from best to worst


def preference_of(ranking):
    """Returns the preference of somebody who is sure of a ranking."""
    place = np.argsort(ranking)
    return 0.5 + 0.5 * np.sign(place[None, :] - place[:, None])


@pytest.mark.parametrize(
    "preference",
    [
        games.rock_paper_scissors(),
        games.rock_paper_scissors(0.7),
        games.dice(),
        games.dice([[1, 2], [2, 2], [1, 3], [0, 9]]),
        games.from_rewards([[-800.0, 0.0, 3.0], [1.0, 1.0, 900.0]]),
        games.random_preference(0, (2, 3, 6)),
        games.population([preference_of(r) for r in RANKINGS], [0.2, 0.5, 0.3]),
    ],
)
def test_a_game_obeys_the_laws_to_the_last_bit(preference):
    games.check(preference, tolerance=3e-16)


@pytest.mark.parametrize(
    "entry, value, message",
    [
        ((1, 0, 2), 1.2, r"preference\[1, 0, 2\] = 1.2 is not a probability"),
        ((0, 2, 1), -0.1, r"preference\[0, 2, 1\] = -0.1 is not a probability"),
        ((0, 1, 2), np.nan, r"preference\[0, 1, 2\] = nan is not a probability"),
        ((1, 1, 1), 0.6, r"preference\[1, 1, 1\] = 0.6 is not 1/2"),
        ((1, 0, 1), 0.9, r"preference\[1, 0, 1\] = 0.9 and its mirror image"),
    ],
)
def test_an_entry_that_breaks_a_law_is_named(entry, value, message):
    preference = np.full((2, 3, 3), 0.5)
    preference[entry] = value
    with pytest.raises(ValueError, match=message):
        games.check(preference)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_a_preference_that_is_not_square_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \[\*B, Y, Y\], not \["):
        games.check(np.full(shape, 0.5))


def test_rock_paper_scissors_is_a_cycle_of_its_strength():
    expected = [[0.5, 0.8, 0.2], [0.2, 0.5, 0.8], [0.8, 0.2, 0.5]]
    np.testing.assert_allclose(games.rock_paper_scissors(0.8), expected, rtol=1e-15)


def test_each_of_the_cyclic_dice_beats_the_next_five_times_in_nine():
    preference = games.dice()
    np.testing.assert_allclose(preference[[0, 1, 2], [1, 2, 0]], 5 / 9, rtol=1e-15)


def test_dice_that_tie_share_the_win():
    np.testing.assert_allclose(games.dice([[1, 3], [1, 2]])[0, 1], 0.625)


def test_rewards_give_the_odds_of_bradley_and_terry():
    preference = games.from_rewards(np.log([1.0, 9.0, 2.0]))
    assert preference[1, 0] == pytest.approx(0.9)
    assert preference[1, 2] == pytest.approx(9 / 11)


def test_a_random_game_is_a_function_of_its_seed():
    game = games.random_preference(3, 5)
    np.testing.assert_array_equal(game, games.random_preference(3, (5,)))
    assert np.abs(game - games.random_preference(4, 5)).max() > 0.1


def test_random_preferences_are_uniform_off_the_diagonal():
    above = games.random_preference(0, (2000, 3))[:, 0, 1:]
    assert above.mean() == pytest.approx(0.5, abs=0.03)
    assert above.var() == pytest.approx(1 / 12, abs=0.01)


def test_three_rankings_make_a_population_that_runs_in_a_circle():
    voters = [preference_of(ranking) for ranking in RANKINGS]
    preference = games.population(voters, [0.2, 0.5, 0.3])
    # 0 is above 1 for the first and third kinds, and so on round.
    np.testing.assert_allclose(preference[[0, 1, 2], [1, 2, 0]], [0.5, 0.7, 0.8])
    assert games.intransitive_share(games.population(voters, [1 / 3] * 3)) == 1
    assert all(games.intransitive_share(voter) == 0 for voter in voters)


@pytest.mark.parametrize("weights", [[0.5, 0.6], [-0.1, 1.1], [np.nan, 1.0]])
def test_weights_that_are_no_distribution_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be >= 0 and add up to 1"):
        games.population([games.dice()] * 2, weights)


def test_intransitive_share_counts_the_cyclic_triples():
    preference = games.random_preference(1, (4, 7))
    preference[0, 1, 2] = preference[0, 2, 1] = 0.5  # a tie makes no cycle

    def cyclic(game, x, y, z):
        forward = game[x, y] > 0.5 and game[y, z] > 0.5 and game[z, x] > 0.5
        return forward or (game[y, x] > 0.5 and game[z, y] > 0.5 and game[x, z] > 0.5)

    triples = list(itertools.combinations(range(7), 3))
    expected = [np.mean([cyclic(game, *t) for t in triples]) for game in preference]
    np.testing.assert_allclose(games.intransitive_share(preference), expected)


@pytest.mark.parametrize(
    "preference, share",
    [
        (games.rock_paper_scissors(), 1.0),
        (games.dice(), 1.0),
        (games.from_rewards(np.arange(6.0)), 0.0),
        (np.full((4, 4), 0.5), 0.0),
        (np.full((2, 2), 0.5), 0.0),
        (np.full((1, 1), 0.5), 0.0),
    ],
)
def test_intransitive_share_of_known_games(preference, share):
    assert games.intransitive_share(preference) == share


def test_votes_estimate_a_preference():
    exact = games.random_preference(0, 4)
    counts = np.random.default_rng(0).binomial(100_000, np.triu(exact, 1))
    wins = counts + np.tril(100_000 - counts.T, -1)
    np.testing.assert_allclose(games.from_votes(wins), exact, atol=0.008)


def test_pairs_without_votes_are_ties_and_few_votes_are_never_certain():
    preference = games.from_votes([[7, 3, 0], [0, 7, 0], [0, 0, 7]])
    np.testing.assert_allclose(preference[0], [0.5, 3.5 / 4, 0.5])
    np.testing.assert_allclose(preference[2], 0.5)


@pytest.mark.parametrize(
    "wins, prior, message",
    [
        ([[0, -1], [2, 0]], 0.5, r"wins\[0, 1\] = -1 is no number of votes"),
        ([[0, np.nan], [2, 0]], 0.5, r"wins\[0, 1\] = nan is no number of votes"),
        ([[0, 1], [2, 0]], 0.0, "prior must be positive, not 0"),
    ],
)
def test_what_are_no_votes_is_refused(wins, prior, message):
    with pytest.raises(ValueError, match=message):
        games.from_votes(wins, prior=prior)
