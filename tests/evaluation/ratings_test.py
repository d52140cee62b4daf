"""Bradley-Terry ratings: against another library, the likelihood, and coverage."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from nashalign import evaluation, games
from nashalign.evaluation import ratings


def matches(number_of_policies=5, seed=0, most=20):
    wins = np.random.default_rng(seed).integers(1, most, 2 * [number_of_policies])
    wins = wins.astype(float)
    np.fill_diagonal(wins, 0)
    return wins


def test_ratings_are_those_of_another_library():
    choix = pytest.importorskip("choix")
    for seed in range(3):
        wins = matches(seed=seed)
        wins[0, 1] = wins[1, 0] = 0  # not every pair has met
        theirs = choix.ilsr_pairwise_dense(wins, alpha=0.0, tol=1e-12)
        ours = evaluation.bradley_terry(wins)
        np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-8)


def test_ratings_maximise_the_likelihood_of_wins_and_half_wins():
    wins = matches() + 0.5

    def cost(r):
        log_odds = r[:, None] - r[None, :]
        off = ~np.eye(len(r), dtype=bool)
        return -(wins * -np.logaddexp(0.0, -log_odds))[off].sum()

    found = scipy.optimize.minimize(cost, np.zeros(5), method="BFGS", tol=1e-10).x
    ours = evaluation.bradley_terry(wins)
    np.testing.assert_allclose(ours, found - found.mean(), atol=1e-5)
    assert ours.sum() == pytest.approx(0)


def test_ratings_of_a_full_table_are_the_rewards_of_the_exact_fit():
    preference = games.random_preference(3, 4)
    found = evaluation.bradley_terry(7 * preference)
    np.testing.assert_allclose(
        found, games.fit_bradley_terry(preference).rewards, atol=1e-9
    )


def test_two_policies_have_the_log_odds_of_their_wins():
    found = evaluation.bradley_terry(np.array([[0, 3.0], [1.0, 0]]))
    np.testing.assert_allclose(found, np.log(3) * np.array([0.5, -0.5]))


def test_a_batch_is_fitted_as_each_alone_is():
    both = np.stack([matches(seed=1), matches(seed=2, most=300)])
    alone = [evaluation.bradley_terry(own) for own in both]
    np.testing.assert_allclose(evaluation.bradley_terry(both), alone, atol=1e-9)


def test_whose_rating_is_infinite_is_said_and_a_prior_makes_it_finite():
    wins = np.array([[0, 3.0, 2], [0, 0, 1], [0, 1, 0]])
    with pytest.raises(ValueError, match="best never lose to mid, low; give a prior"):
        evaluation.bradley_terry(wins, names=["best", "mid", "low"])
    found = evaluation.bradley_terry(wins, prior=1.0)
    tied = wins + 0.5 * (1 - np.eye(3))
    np.testing.assert_allclose(found, evaluation.bradley_terry(tied))
    # Those who have never met cannot be put on one line by ties that were not played.
    apart = np.zeros((4, 4))
    apart[0, 1] = apart[1, 0] = apart[2, 3] = apart[3, 2] = 2
    with pytest.raises(ValueError, match="0, 1 have never met 2, 3; compare them"):
        evaluation.bradley_terry(apart, prior=1.0)


def test_fords_condition_is_that_every_division_was_won_both_ways():
    rng = np.random.default_rng(0)
    for _ in range(60):
        wins = (rng.random((4, 4)) < 0.4) * 1.0
        divisions = [
            np.array([bit == "1" for bit in f"{number:04b}"]) for number in range(1, 15)
        ]
        expected = all(wins[np.ix_(own, ~own)].any() for own in divisions)
        assert ratings.bounded(wins) == expected


@pytest.mark.parametrize(
    "wins, said",
    [
        (-np.ones((2, 2)), "negative"),
        (np.full((2, 2), np.nan), "not finite"),
        (np.ones((2, 3)), r"must be \[\*B, M, M\]"),
    ],
)
def test_what_are_no_wins_is_refused(wins, said):
    with pytest.raises(ValueError, match=said):
        evaluation.bradley_terry(wins)


def clustered_votes(rng, true, num_clusters=40, size=3):
    """Votes in which prompts of a cluster favour the same policies."""
    number = len(true)
    table = np.full((num_clusters * size, number, number), 0.5)
    clusters = np.repeat(np.arange(num_clusters), size)
    effect = rng.normal(0, 0.8, (num_clusters, number))[clusters]
    skill = true + effect
    for i, j in evaluation.pairs_of(number):
        win = scipy.special.expit(skill[:, i] - skill[:, j])
        table[:, i, j] = rng.random(len(win)) < win
        table[:, j, i] = 1 - table[:, i, j]
    return table, clusters


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    true = np.array([0.4, 0.0, -0.4])
    # What the ratings estimate: the line nearest to the win rates over all clusters.
    big, _ = clustered_votes(rng, true, num_clusters=20_000)
    target = evaluation.bradley_terry(big.sum(0))
    held = []
    for _ in range(200):
        table, clusters = clustered_votes(rng, true)
        tally = evaluation.tally_table(table, clusters)
        found = evaluation.rate(tally, num_draws=200).ratings
        held.append(np.abs(found.mean - target) <= found.half_width)
    assert 0.91 <= np.mean(held) <= 0.985
    # Prompts taken for independent, the intervals would be too short.
    alone = evaluation.rate(evaluation.tally_table(table), num_draws=200).ratings
    assert (alone.half_width < found.half_width).all()


def test_a_prior_is_added_where_a_draw_needs_one_and_is_told():
    table = np.full((6, 2, 2), 0.5)
    table[:, 0, 1], table[:, 1, 0] = 1.0, 0.0
    tally = evaluation.tally_table(table)
    found = evaluation.rate(tally)
    assert found.prior == 1.0
    np.testing.assert_allclose(found.ratings.mean[0], np.log(6.5 / 0.5) / 2)
    with pytest.raises(ValueError, match="0 never lose to 1"):
        evaluation.rate(tally, prior=0.0)
    table[:3] = 0.5
    assert evaluation.rate(evaluation.tally_table(table)).prior == 1.0
    even = evaluation.rate(evaluation.tally_table(np.full((6, 2, 2), 0.5)))
    assert even.prior == 0.0 and (even.ratings.half_width == 0).all()
