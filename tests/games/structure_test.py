"""Tests of structure: cycles, winners and rewards, against brute force."""

import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import games

RANKED = games.from_rewards([0.2, 1.5, -0.4, 0.9])


def test_the_winner_of_a_ranking_is_its_best_response():
    assert games.condorcet_winner(RANKED) == 1
    np.testing.assert_array_equal(games.top_cycle(RANKED), [False, True, False, False])


def test_a_cycle_has_no_winner_and_is_its_own_top_cycle():
    assert games.condorcet_winner(games.dice()) == -1
    assert games.top_cycle(games.dice()).all()


def test_a_tie_at_the_top_is_no_victory():
    preference = games.from_rewards([1.0, 1.0, 0.0])
    assert games.condorcet_winner(preference) == -1
    np.testing.assert_array_equal(games.top_cycle(preference), [True, True, False])


def smith_set(preference):
    """Returns the smallest set whose members beat all outside, by trying all."""
    size = len(preference)
    for count in range(1, size + 1):
        for members in itertools.combinations(range(size), count):
            outside = [y for y in range(size) if y not in members]
            if np.all(preference[np.ix_(members, outside)] > 0.5):
                return members
    raise AssertionError("the set of all responses beats all outside")


@pytest.mark.parametrize("ties", [False, True])
def test_the_top_cycle_is_the_smallest_set_that_beats_the_rest(ties):
    preference = games.random_preference(0, (40, 6))
    if ties:
        margin = preference - 0.5
        preference = 0.5 + margin * (np.abs(margin) > 0.05)
    found = games.top_cycle(preference)
    sizes = set()
    for members, game in zip(found, preference, strict=True):
        assert tuple(np.flatnonzero(members)) == smith_set(game)
        sizes.add(int(members.sum()))
    assert len(sizes) > 1
    for members, policy in zip(found, games.nash(preference), strict=True):
        assert policy[~members].max(initial=0) == 0


def test_a_winner_is_found_in_every_game_of_a_batch():
    preference = games.random_preference(1, (3, 5, 4))
    winners = games.condorcet_winner(preference)
    assert winners.shape == (3, 5) and -1 in winners and winners.max() >= 0
    for index in np.ndindex(3, 5):
        beats = (preference[index] > 0.5).sum(axis=1) == 3
        assert winners[index] == (beats.argmax() if beats.any() else -1)


def test_the_fit_of_a_bradley_terry_preference_is_its_rewards():
    rewards = np.random.default_rng(0).normal(size=(2, 3, 6)) * 3
    fit = games.fit_bradley_terry(games.from_rewards(rewards))
    centred = rewards - rewards.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(fit.rewards, centred, atol=1e-8)
    assert fit.divergence.max() < 1e-12 and fit.error.max() < 1e-9


@pytest.mark.parametrize("weights", [None, [0.4, 0.3, 0.1, 0.15, 0.05]])
def test_a_fit_minimises_its_cross_entropy(weights):
    preference = games.random_preference(2, 5)
    fit = games.fit_bradley_terry(preference, weights)
    w = np.full(5, 0.2) if weights is None else np.array(weights)

    def entropy(rewards):
        losses = preference * np.log1p(np.exp(rewards[None, :] - rewards[:, None]))
        return w @ losses @ w

    found = scipy.optimize.minimize(entropy, np.zeros(5), tol=1e-12).x
    np.testing.assert_allclose(fit.rewards, found - found.mean(), atol=1e-5)
    fitted = scipy.special.expit(fit.rewards[:, None] - fit.rewards[None, :])
    assert fit.error == pytest.approx(np.abs(fitted - preference).max())
    mirror = preference.T
    ratios = preference * np.log(preference / fitted) + mirror * np.log(
        mirror / fitted.T
    )
    assert fit.divergence == pytest.approx(ratios.sum() / 20)


def test_a_cycle_is_far_from_any_reward():
    fit = games.fit_bradley_terry(games.rock_paper_scissors(0.9))
    np.testing.assert_allclose(fit.rewards, 0, atol=1e-12)
    assert fit.error == pytest.approx(0.4)


def test_certain_preferences_have_no_finite_rewards():
    with pytest.raises(ValueError, match="strictly in"):
        games.fit_bradley_terry(games.rock_paper_scissors())


def test_ties_up_to_rounding_are_ties():
    rankings = [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)]
    places = np.argsort(rankings, axis=1)
    votes = 0.5 + 0.5 * np.sign(places[:, None, :] - places[:, :, None])
    preference = games.population(votes, np.full(6, 1 / 6))
    preference[0, 1] -= 6e-17
    assert games.top_cycle(preference).all()
    assert games.condorcet_winner(preference) == -1
    assert games.intransitive_share(preference) == 0


@pytest.mark.parametrize("weights", [None, np.array([1e-14] + [1.0] * 29)])
def test_a_fit_converges_for_extreme_preferences_and_rare_responses(weights):
    rank = np.arange(30)
    preference = 0.5 + (0.5 - 1e-6) * np.sign(rank[None, :] - rank[:, None])
    if weights is not None:
        weights = weights / weights.sum()
    fit = games.fit_bradley_terry(preference, weights)
    fitted = scipy.special.expit(fit.rewards[:, None] - fit.rewards[None, :])
    shares = np.full(30, 1 / 30) if weights is None else weights
    assert np.abs((fitted - preference) @ shares).max() < 1e-12


def has_cycle(preference):
    """Whether the majority relation has a simple cycle of any length, by trying all."""
    size = len(preference)
    return any(
        all(preference[i, j] > 0.5 for i, j in zip(own, own[1:] + own[:1], strict=True))
        for count in range(3, size + 1)
        for own in itertools.permutations(range(size), count)
    )


def test_a_relation_is_acyclic_where_no_cycle_of_any_length_is_found():
    rng = np.random.default_rng(0)
    drawn = np.full((80, 5, 5), 0.5)
    for i, j in itertools.combinations(range(5), 2):
        # With ties there are cycles of four and five in which no three are one.
        drawn[:, i, j] = rng.choice([0.3, 0.5, 0.7], 80)
        drawn[:, j, i] = 1 - drawn[:, i, j]
    expected = [not has_cycle(own) for own in drawn]
    assert 0 < sum(expected) < 80
    np.testing.assert_array_equal(games.acyclic(drawn), expected)
    square = np.full((4, 4), 0.5)
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
        square[i, j], square[j, i] = 0.9, 0.1
    assert not games.acyclic(square) and games.intransitive_share(square) == 0
    assert games.acyclic(RANKED)
