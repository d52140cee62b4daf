"""Tests of families of games: the laws, and what each family promises."""

import numpy as np
import pytest

from nashalign import games

FAMILIES = {
    "random": lambda seed, shape: games.random_preference(seed, shape),
    "low rank": lambda seed, shape: games.low_rank(seed, shape, rank=2),
    "block cyclic": lambda seed, shape: games.block_cyclic(seed, shape),
}


@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
def test_a_family_has_games_of_any_shape_that_obey_the_laws(make):
    for shape in (7, (4, 7), (2, 3, 7)):
        preference = make(3, shape)
        expected = (shape,) if isinstance(shape, int) else shape
        assert preference.shape == (*expected, 7)
        games.check(preference, tolerance=1e-12)
    np.testing.assert_array_equal(make(3, 7), make(3, 7))
    assert np.abs(make(3, 7) - make(4, 7)).max() > 0.01


def test_the_three_cycle_of_comal_has_its_published_nash_policy():
    preference = games.three_cycle()
    assert preference[1, 0] == preference[2, 1] == 0.9 and preference[0, 2] == 0.8
    np.testing.assert_allclose(games.nash(preference), np.array([4, 3, 4]) / 11)


def test_the_nash_policy_of_a_three_cycle_is_the_margins_of_the_other_pairs():
    margins = np.array([0.35, 0.25, 0.1])  # second, third, first
    policy = games.nash(games.three_cycle(first=0.6, second=0.85, third=0.75))
    np.testing.assert_allclose(policy, margins / margins.sum(), rtol=1e-12)


def test_a_planted_policy_is_the_only_nash_policy():
    nash = np.random.default_rng(0).dirichlet(np.ones(9), size=(2, 3)) + 0.01
    nash /= nash.sum(axis=-1, keepdims=True)
    preference = games.planted(1, nash, strength=0.6)
    np.testing.assert_allclose(games.nash(preference), nash, atol=1e-12)
    largest = np.abs(preference - 0.5).max(axis=(-1, -2))
    np.testing.assert_allclose(largest, 0.3, rtol=1e-12)
    assert len(games.nash_vertices(preference[0, 0])) == 1


def test_a_game_of_low_rank_has_twice_the_rank_asked_for():
    preference = games.low_rank(0, (2, 12), rank=2, strength=0.5)
    assert np.all(np.linalg.matrix_rank(preference - 0.5) == 4)
    np.testing.assert_allclose(preference.max(axis=(-1, -2)), 0.75)


def test_blocks_beat_each_other_in_a_cycle():
    preference = games.block_cyclic(0, 9, num_blocks=4, strength=0.6)
    block = np.arange(9) % 4
    for y in range(9):
        for z in range(9):
            if (block[z] - block[y]) % 4 == 1:
                assert preference[y, z] == pytest.approx(0.8)
            elif (block[z] - block[y]) % 4 in (0, 2):
                assert 0.3 <= preference[y, z] <= 0.7
    assert games.condorcet_winner(preference) == -1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: games.block_cyclic(0, 5, num_blocks=2), "num_blocks is 2; a cycle"),
        (lambda: games.low_rank(0, 5, rank=1, strength=1.5), r"strength must be in \("),
        (lambda: games.planted(0, [0.5, 0.5, 0.0]), r"nash\[2\] = 0, but must"),
        (lambda: games.three_cycle(first=1.2), "first must be in"),
    ],
)
def test_a_setting_outside_its_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
