import numpy as np
import pytest

from nashalign import evaluation, games


def test_rock_paper_scissors_is_played_uniformly():
    game = evaluation.empirical_game(games.rock_paper_scissors(0.4))
    np.testing.assert_allclose(game.nash, 1 / 3, atol=1e-9)
    np.testing.assert_allclose(game.exploitability, game.exploitability[0])
    np.testing.assert_allclose(
        game.exploitability, games.rock_paper_scissors(0.4).max() - 0.5
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
