"""Coverage of the interval at equal lengths, by simulation."""

from typing import NamedTuple

import numpy as np
import pytest
import scipy.stats
from scipy.special import expit, logit

from nashalign.evaluation import intervals, profile

LEAST, MOST = 0.92, 0.98
"""Bounds on the coverage of 95% intervals."""


class Measured(NamedTuple):
    """How often intervals hold the planted win rate, and how wide they are.

    Attributes:
      coverage: of the interval.
      wald: of Wald's about the estimate.
      width: its mean, divided by that of the interval without covariate.
      student: the same, divided by that of Student's interval of the mean.
    """

    coverage: float
    wald: float
    width: float
    student: float


def tables(seed, num_tables, num_prompts, shift, win_rate, voters=1, size=1, phi=1.0):
    """Votes and squashed differences in length, of clusters of `size` prompts.

    Args:
      seed: of the random numbers.
      num_tables: how many.
      num_prompts: rows of each.
      shift: mean of the differences, in their standard deviations.
      win_rate: planted at equal lengths.
      voters: of whose votes each label is the share.
      size: prompts a cluster, of length and mind partly alike; chances are as planted.
      phi: effect of length, log-odds.
    """
    rng = np.random.default_rng(seed)
    index = np.arange(num_prompts) // size
    shape = (num_tables, num_prompts)

    def shared(draw, share):
        own, common = draw(shape), draw((num_tables, index[-1] + 1))[:, index]
        return own, common, share if size > 1 else 0.0

    own, common, share = shared(rng.standard_normal, 0.5)
    difference = 5 * (shift + np.sqrt(1 - share) * own + np.sqrt(share) * common)
    difference = difference.round()
    covariate = np.tanh(difference / difference.std(axis=1, keepdims=True))
    chance = expit(logit(win_rate) + phi * covariate)
    labels = np.zeros(shape)
    for _ in range(voters):
        own, common, share = shared(rng.random, 0.6)
        drawn = np.where(rng.random(shape) < share, common, own)
        labels += (drawn < chance) / voters
    return labels, covariate, index


def measured(*setting, **more):
    """Coverage and width in simulated tables; arguments of `tables`."""
    labels, covariate, index = tables(*setting, **more)
    win_rate = setting[4]
    quantile = scipy.stats.t.ppf(0.975, index[-1])
    low, high = profile.interval(labels, covariate, index, quantile)
    plain = profile.interval(labels, np.zeros_like(covariate), index, quantile)
    student = intervals.mean_interval(labels.T, clusters=index.tolist()).half_width
    theta, fit = profile.estimate(labels, covariate)
    variance = profile.dispersion(fit, labels, index) / (fit.information + 1e-12)
    wald = quantile * np.sqrt(variance) * expit(theta) * expit(-theta)
    width = np.mean(high - low)
    return Measured(
        coverage=np.mean((low <= win_rate) & (win_rate <= high)),
        wald=np.mean(abs(expit(theta) - win_rate) <= wald),
        width=width / np.mean(plain[1] - plain[0]),
        student=width / np.mean(2 * student),
    )


@pytest.mark.parametrize("win_rate", [0.2, 0.5])
@pytest.mark.parametrize("voters, size", [(1, 1), (4, 1), (1, 4)])
def test_where_lengths_are_balanced_intervals_are_as_narrow_as_they_may(
    win_rate, voters, size
):
    seen = measured(1, 300, 64, 0.0, win_rate, voters, size)
    assert LEAST <= seen.coverage <= MOST
    assert seen.width <= 1.15 and seen.student <= 1.15


@pytest.mark.parametrize(
    ("num_prompts", "shift", "win_rate"),
    [(32, 0.0, 0.2), (32, 0.0, 0.95), (32, 2.0, 0.5), (32, 8.0, 0.2)],
)
def test_intervals_hold_the_win_rate_where_walds_do_not(num_prompts, shift, win_rate):
    seen = measured(1, 250, num_prompts, shift, win_rate)
    assert seen.coverage >= LEAST > seen.wald


def test_few_clusters_that_all_write_longer_hold_the_win_rate():
    assert LEAST <= measured(7, 400, 64, 2.0, 0.5, 4, 4).coverage <= MOST


def test_an_effect_of_length_that_is_not_known_costs_no_more_than_it_must():
    assert LEAST <= measured(1, 250, 128, 2.0, 0.5).coverage <= MOST


def test_unanimous_tables_hold_the_win_rate():
    labels, covariate, index = tables(1, 100, 32, 0.0, 0.98)
    unanimous = labels.min(axis=1) == 1
    assert 0.3 < unanimous.mean() < 0.7
    low, high = profile.interval(
        labels[unanimous], covariate[unanimous], index, scipy.stats.t.ppf(0.975, 31)
    )
    assert (low < 0.93).all() and (high == 1.0).all()


def test_labels_on_the_curve_leave_a_point():
    _, covariate, index = tables(1, 3, 40, 1.0, 0.7)
    labels = expit(np.array([[0.5], [-1.0], [0.0]]) + 2.0 * covariate)
    found = profile.interval(labels, covariate, index, 2.0)
    np.testing.assert_allclose(found, expit([[0.5, -1.0, 0.0]] * 2), atol=1e-4)


def test_many_tables_at_once_are_each_alone():
    labels, covariate, index = tables(1, 4, 40, 1.0, 0.8, size=4)
    together = profile.interval(labels, covariate, index, 2.2)
    alone = [
        profile.interval(y, t, index, 2.2)
        for y, t in zip(labels, covariate, strict=True)
    ]
    np.testing.assert_allclose(np.transpose(together), alone, atol=1e-6)
