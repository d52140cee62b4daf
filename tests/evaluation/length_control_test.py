import numpy as np
import pytest
from scipy.special import expit

from nashalign import evaluation


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


def test_the_interval_covers_the_planted_win_rate():
    rng = np.random.default_rng(2)
    covered = 0
    for seed in range(150):
        preferred, *lengths = planted(120, 0.4, 1.0, seed)
        fit = evaluation.length_controlled_win_rate(
            rng.random(120) < preferred, *lengths
        )
        covered += abs(fit.win_rate.mean - expit(0.4)) < fit.win_rate.half_width
    assert 0.9 <= covered / 150 <= 0.99


def test_repeated_responses_to_a_prompt_are_not_new_evidence():
    preferred, *lengths = planted(100, 0.4, 1.0)
    votes = np.random.default_rng(3).random(100) < preferred
    once = evaluation.length_controlled_win_rate(votes, *lengths, ridge=1e-6)
    copies = [np.stack([column] * 5, axis=1) for column in (votes, *lengths)]
    repeated = evaluation.length_controlled_win_rate(*copies, ridge=1e-6)
    np.testing.assert_allclose(repeated.win_rate, once.win_rate, rtol=1e-4)


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
    np.testing.assert_allclose(fit.win_rate.mean, preferred.mean(), atol=1e-4)
    assert fit.length_effect == 0.0


def test_a_policy_that_always_wins_has_a_finite_fit():
    _, *lengths = planted(100, 0.0, 0.0)
    fit = evaluation.length_controlled_win_rate(np.ones(100), *lengths)
    assert 0.99 < fit.win_rate.mean < 1.0


def test_a_preference_outside_its_range_is_refused():
    preferred, *lengths = planted(10, 0.0, 0.0)
    preferred[4] = 1.5
    with pytest.raises(ValueError, match=r"preferred\[4\] = 1.5"):
        evaluation.length_controlled_win_rate(preferred, *lengths)
