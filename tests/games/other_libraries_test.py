"""Exact games against nashpy and OpenSpiel, which were written by others."""

import nashpy
import numpy as np
import pyspiel
import pytest
from open_spiel.python import policy as open_spiel_policy
from open_spiel.python.algorithms import exploitability

from nashalign import games

PREFERENCE = games.random_preference(0, (6, 5))


def open_spiel_nash_conv(preference, policy, opponent):
    """Returns OpenSpiel's NashConv of two policies, in win probability."""
    advantage = preference - 0.5
    game = pyspiel.convert_to_turn_based(
        pyspiel.create_matrix_game(advantage.tolist(), (-advantage).tolist())
    )
    table = open_spiel_policy.TabularPolicy(game)
    for player, probabilities in enumerate((policy, opponent)):
        (state,) = table.states_per_player[player]
        table.policy_for_key(state)[:] = probabilities
    return exploitability.nash_conv(game, table)


@pytest.mark.parametrize("index", range(6))
def test_nashpy_finds_the_same_nash_policy(index):
    advantage = PREFERENCE[index] - 0.5
    (found,) = nashpy.Game(advantage).support_enumeration(non_degenerate=True)
    for policy in found:
        np.testing.assert_allclose(policy, games.nash(PREFERENCE[index]), atol=1e-12)


def test_nashpy_finds_the_same_vertices_of_a_degenerate_game():
    copies = [0, 0, 1, 2, 3, 3]
    preference = games.random_preference(3, 4)[np.ix_(copies, copies)]
    ours = games.nash_vertices(preference)
    pairs = nashpy.Game(preference - 0.5).vertex_enumeration()
    theirs = np.unique(np.round([first for first, _ in pairs], 8), axis=0)
    assert len(ours) > 1
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize("index", range(3))
def test_open_spiel_finds_nothing_to_gain_against_the_nash_policy(index):
    nash = games.nash(PREFERENCE[index])
    assert open_spiel_nash_conv(PREFERENCE[index], nash, nash) < 1e-12


def test_open_spiel_computes_the_same_nash_conv():
    policies = np.random.default_rng(0).dirichlet(np.ones(5), size=(4, 2))
    for policy, opponent in policies:
        expected = open_spiel_nash_conv(PREFERENCE[0], policy, opponent)
        found = games.nash_conv(policy, opponent, PREFERENCE[0])
        np.testing.assert_allclose(found, expected, rtol=1e-5)
