import warnings

import numpy as np
import pytest
import scipy.stats
from scipy.special import expit, logit

from nashalign import evaluation
from nashalign.evaluation import profile


def planted(num_prompts, theta, phi, seed=0):
    """Preferences that reward length, of a policy that writes longer than another."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 30, num_prompts)
    opponent_lengths = rng.integers(4, 20, num_prompts)
    difference = lengths - opponent_lengths
    preferred = expit(theta + phi * np.tanh(difference / difference.std()))
    return preferred, lengths, opponent_lengths


@pytest.mark.parametrize("theta, phi", [(0.4, 1.5), (-0.3, 1.5), (0.0, -2.0)])
def test_soft_labels_give_the_planted_coefficients(theta, phi):
    fit = evaluation.length_controlled_win_rate(*planted(500, theta, phi))
    np.testing.assert_allclose(fit.log_odds, theta, atol=1e-3)
    np.testing.assert_allclose(fit.length_effect, phi, atol=1e-3)
    np.testing.assert_allclose(fit.win_rate.mean, expit(theta), atol=3e-4)


def test_votes_give_the_planted_win_rate_within_the_interval():
    preferred, *lengths = planted(2000, -0.3, 1.5)
    votes = np.random.default_rng(1).random(2000) < preferred
    fit = evaluation.length_controlled_win_rate(votes, *lengths)
    assert fit.raw.mean - fit.raw.half_width > 0.55  # longer, and so it seems better
    assert (
        fit.win_rate.mean + fit.win_rate.half_width < 0.5
    )  # at equal lengths it loses
    assert abs(fit.win_rate.mean - expit(-0.3)) < fit.win_rate.half_width


def test_repeated_responses_to_a_prompt_are_not_new_evidence():
    preferred, *lengths = planted(100, 0.4, 1.0)
    votes = np.random.default_rng(3).random(100) < preferred
    once = evaluation.length_controlled_win_rate(votes, *lengths, ridge=1e-6)
    copies = [np.stack([column] * 5, axis=1) for column in (votes, *lengths)]
    repeated = evaluation.length_controlled_win_rate(*copies, ridge=1e-6)
    # That copies are no votes of their own is estimated, from a hundred clusters; as
    # evidence they would make the interval less than half as wide.
    np.testing.assert_allclose(repeated.win_rate, once.win_rate, rtol=0.05)


def test_swapping_the_policies_gives_one_minus_the_win_rate():
    preferred, lengths, opponent_lengths = planted(300, 0.4, 1.5)
    fit = evaluation.length_controlled_win_rate(preferred, lengths, opponent_lengths)
    swapped = evaluation.length_controlled_win_rate(
        1 - preferred, opponent_lengths, lengths
    )
    np.testing.assert_allclose(fit.win_rate.mean + swapped.win_rate.mean, 1, atol=1e-7)


def test_without_length_differences_it_is_the_plain_win_rate():
    preferred, lengths, _ = planted(200, 0.4, 1.5)
    fit = evaluation.length_controlled_win_rate(preferred, lengths, lengths)
    np.testing.assert_allclose(expit(fit.log_odds), preferred.mean(), atol=1e-4)
    np.testing.assert_allclose(fit.win_rate.mean, preferred.mean(), atol=2e-3)
    assert fit.length_effect == 0.0


def test_a_policy_that_always_wins_has_a_finite_fit():
    _, *lengths = planted(100, 0.0, 0.0)
    fit = evaluation.length_controlled_win_rate(np.ones(100), *lengths)
    assert 0.99 < expit(fit.log_odds) < 1.0


def test_a_preference_outside_its_range_is_refused():
    preferred, *lengths = planted(10, 0.0, 0.0)
    preferred[4] = 1.5
    with pytest.raises(ValueError, match=r"preferred\[4\] = 1.5"):
        evaluation.length_controlled_win_rate(preferred, *lengths)


def unbalanced(rng, num_prompts, shift, win_rate, phi=1.0):
    """Votes, and lengths that differ by so many standard deviations on average."""
    difference = rng.normal(5 * shift, 5, num_prompts).round()
    effect = phi * np.tanh(difference / difference.std())
    votes = rng.random(num_prompts) < expit(logit(win_rate) + effect)
    return votes, difference + 90, np.full(num_prompts, 90)


def ends(fit):
    """The interval that tables print."""
    mean, half_width = fit.win_rate
    return np.array([mean - half_width, mean + half_width])


@pytest.mark.parametrize("num_prompts", [50, 32])
def test_unanimous_votes_leave_open_what_the_binomial_distribution_does(num_prompts):
    rng = np.random.default_rng(0)
    _, *lengths = unbalanced(rng, num_prompts, 0.0, 0.5)
    won = evaluation.length_controlled_win_rate([1] * num_prompts, *lengths)
    # Of a win rate of 0.025^(1/n), so many in a row are won in 2.5% of the cases.
    exact = 0.025 ** (1 / num_prompts)
    np.testing.assert_allclose(ends(won), [exact, 1], atol=0.015)
    lost = evaluation.length_controlled_win_rate([0] * num_prompts, *lengths)
    np.testing.assert_allclose(ends(lost), 1 - ends(won)[::-1], atol=1e-3)


@pytest.mark.parametrize("spread", [0, 1])
def test_one_side_that_is_always_longer_is_told_apart_by_nothing(spread):
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 40, 200)
    longer = lengths + 50 + rng.integers(-spread, spread + 1, 200)
    with pytest.warns(UserWarning, match="can hardly be told apart"):
        fit = evaluation.length_controlled_win_rate(
            rng.random(200) < 0.8, longer, lengths
        )
    low, high = ends(fit)
    assert low < 0.05 and high > 0.95


def test_lengths_that_overlap_raise_no_warning():
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation.length_controlled_win_rate(*unbalanced(rng, 100, 1.0, 0.6))


def test_tables_print_the_interval_of_the_profile():
    preferred, own, other = planted(40, 0.4, 1.0)
    votes = np.random.default_rng(2).random(40) < preferred
    difference = own - other
    low, high = profile.interval(
        votes * 1.0,
        np.tanh(difference / difference.std()),
        np.arange(40),
        scipy.stats.t.ppf(0.95, 39),
    )
    fit = evaluation.length_controlled_win_rate(votes, own, other, confidence=0.9)
    np.testing.assert_allclose(ends(fit), [low, high], atol=1e-9)


def test_votes_of_one_cluster_are_no_new_evidence():
    rng = np.random.default_rng(0)
    votes, *lengths = unbalanced(rng, 60, 0.0, 0.6)
    once = evaluation.length_controlled_win_rate(votes, *lengths)
    thrice = [np.repeat(column, 3) for column in (votes, *lengths)]
    clusters = np.repeat(np.arange(60), 3)
    fit = evaluation.length_controlled_win_rate(*thrice, clusters=clusters, ridge=0.03)
    # Estimated from sixty clusters; as new evidence, an end would move by .055.
    np.testing.assert_allclose(ends(fit), ends(once), atol=0.004)
    naive = evaluation.length_controlled_win_rate(*thrice)
    assert naive.win_rate.half_width < 0.7 * fit.win_rate.half_width


def test_lists_are_read():
    lists = ([1, 0, 1, 0], [5, 6, 7, 5], [6, 6, 6, 7])
    assert evaluation.length_controlled_win_rate(
        *lists
    ) == evaluation.length_controlled_win_rate(*map(np.array, lists))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.nan, r"preferred\[2\] = nan is not a probability"),
        (1, np.nan, r"^lengths\[2\] = nan is not a length"),
        (2, np.inf, r"opponent_lengths\[2\] = inf is not a length"),
    ],
)
def test_what_is_no_number_is_refused_by_name(place, value, message):
    table = [
        np.array(column, float)
        for column in unbalanced(np.random.default_rng(0), 10, 0.0, 0.5)
    ]
    table[place][2] = value
    with pytest.raises(ValueError, match=message):
        evaluation.length_controlled_win_rate(*table)


def test_text_ragged_rows_and_no_ridge_are_refused():
    votes, own, other = unbalanced(np.random.default_rng(0), 4, 0.0, 0.5)
    for bad in (["a"] * 4, [[1], [2, 3], [4], [5]]):
        with pytest.raises(ValueError, match="^lengths does not hold numbers"):
            evaluation.length_controlled_win_rate(votes, bad, other)
    with pytest.raises(ValueError, match="ridge is 0"):
        evaluation.length_controlled_win_rate(votes, own, other, ridge=0)
