import numpy as np
import pytest
import scipy.stats

from nashalign import evaluation, games


def test_rock_paper_scissors_is_played_uniformly():
    game = evaluation.empirical_game(games.rock_paper_scissors(0.8))
    np.testing.assert_allclose(game.nash, 1 / 3, atol=1e-9)
    np.testing.assert_allclose(game.exploitability, game.exploitability[0])
    np.testing.assert_allclose(
        game.exploitability, games.rock_paper_scissors(0.8).max() - 0.5
    )
    assert game.intransitive_share == 1.0


def test_a_dominated_policy_is_never_played_and_is_exploitable():
    preference = np.array([[0.5, 0.6, 0.8], [0.4, 0.5, 0.7], [0.2, 0.3, 0.5]])
    game = evaluation.empirical_game(preference)
    np.testing.assert_allclose(game.nash, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(game.exploitability, [0.0, 0.1, 0.3], atol=1e-12)
    assert game.intransitive_share == 0.0


def test_a_policy_entered_twice_changes_nobodys_exploitability():
    preference = games.random_preference(0, 4)
    twice = [0, 1, 2, 3, 3]
    once = evaluation.empirical_game(preference).exploitability
    again = evaluation.empirical_game(preference[np.ix_(twice, twice)]).exploitability
    np.testing.assert_allclose(again, once[twice])


def test_a_matrix_that_is_no_preference_is_refused():
    with pytest.raises(ValueError, match="add up to 1"):
        evaluation.empirical_game(np.array([[0.5, 0.6], [0.6, 0.5]]))


def test_shares_say_how_often_a_policy_is_unbeaten():
    # The first beats the second on 6 of 10 prompts of one size.
    table = np.full((10, 2, 2), 0.5)
    table[:6, 0, 1], table[6:, 0, 1] = 1.0, 0.0
    table[:, 1, 0] = 1 - table[:, 0, 1]
    shares = evaluation.game_shares(table, num_draws=2000)
    won = scipy.stats.binom(10, 0.6)
    np.testing.assert_allclose(
        shares.unbeaten, [won.sf(4), won.cdf(5)], atol=3 * 0.5 / np.sqrt(2000)
    )
    assert (shares.nash >= shares.unbeaten - 1e-12).all()
    # In two clusters, one for the first, the draws are four, one of them a tie twice.
    clustered = evaluation.game_shares(
        table, clusters=[0] * 6 + [1] * 4, num_draws=2000
    )
    np.testing.assert_allclose(clustered.unbeaten, [0.75, 0.25], atol=0.035)


def test_a_cycle_leaves_nobody_unbeaten_and_all_in_the_mixture():
    cycle = np.array([[0.5, 0.7, 0.3], [0.3, 0.5, 0.7], [0.7, 0.3, 0.5]])
    shares = evaluation.game_shares(np.stack([cycle] * 5), num_draws=20)
    np.testing.assert_array_equal(shares.unbeaten, 0)
    np.testing.assert_array_equal(shares.nash, 1)


def test_seeds_move_what_prompts_leave_certain():
    table = np.full((8, 2, 2), [[0.5, 0.55], [0.45, 0.5]])
    certain = evaluation.game_shares(table, num_draws=50)
    np.testing.assert_array_equal(certain.unbeaten, [1, 0])
    seeds = evaluation.Variance(np.array([0.03**2, 0.0]), 1e9)
    moved = evaluation.game_shares(table, seeds=seeds, num_draws=2000)
    expected = scipy.stats.norm.cdf(0.05 / 0.03)
    np.testing.assert_allclose(moved.unbeaten, [expected, 1 - expected], atol=0.03)
    with pytest.raises(ValueError, match="num_draws is 0"):
        evaluation.game_shares(table, num_draws=0)
