r"""Interval of a logistic regression's intercept, whatever the slope may be.

The model is P(win) = sigma(theta + phi t) with a known covariate t. A value of theta is
kept if *some* slope phi makes the data likely enough with it. So nothing is assumed of
the slope, the interval reaches to 0 or 1 where the data leave that open - all t alike,
or votes unanimous -, and a regularised fit has no part in it.

Two tests judge a value of theta, with phi at its best for that theta: Rao's score test
and the likelihood ratio. It is left out if both reject it. Without covariates they are
Wilson's interval and Wald's likelihood one; the first is the nearer to the binomial
distribution where all votes agree, the second where all but one do. Preferences between
0 and 1 scatter less than votes, those of one cluster alike: both tests are divided by a
dispersion that is estimated from the residuals (McCullagh 1983, Annals of Statistics
11; Rao and Scott 1992, Biometrics 48).

Coverage of 95% intervals in 1,000 simulated tables a setting (`tables` in
`tests/evaluation/profile_test.py`; P = 0.2, then 0.5), by the shift of the lengths in
their standard deviations:

=====================  ==========  ==========  ==========  ==========  ==========
prompts, shift         32, 0       32, 2       32, 8       64, 2       128, 2
=====================  ==========  ==========  ==========  ==========  ==========
votes                  .978, .953  .977, .981  1., 1.      .968, .957  .971, .954
shares of four votes   .947, .944  .960, .954  1., 1.      .954, .950  .958, .956
votes, clusters of 4   .976, .956  .979, .965  1., 1.      .971, .966  .962, .952
shares, clusters of 4  .964, .950  .956, .946  1., 1.      .949, .954  .959, .950
=====================  ==========  ==========  ==========  ==========  ==========

At a shift of 8, all lengths saturate, and the data say nothing of the win rate.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special

from nashalign.evaluation import intervals

_FAR = 40.0
"""Log-odds beyond which a probability is 0 or 1."""

_PRECISION = 1e-9
"""A derivative of the mean log-likelihood that counts as zero."""

_LEAST_LEFT = 0.01
"""Least share of what is known of theta that a cluster leaves to the others."""


class Fit(NamedTuple):
    """What the data say at one value of theta, with the slope at its best.

    Attributes:
      slope: `[*T]` phi.
      log_likelihood: `[*T]` of the data, with soft labels the negative cross-entropy.
      errors: `[*T, n]` label less prediction.
      residuals: `[*T, n]` the same, weighted as in the efficient score of theta: what
        the slope could explain is taken out.
      directions: `[*T, 2, n]` those of theta and of the slope in what votes vary by:
        unit vectors at right angles. Their squares add up to a vote's leverage.
      information: `[*T]` about theta, that which the slope does not use up.
      naive_information: `[*T]` about theta if the slope were known.
    """

    slope: np.ndarray
    log_likelihood: np.ndarray
    errors: np.ndarray
    residuals: np.ndarray
    directions: np.ndarray
    information: np.ndarray
    naive_information: np.ndarray


def at(
    theta: np.ndarray | float,
    labels: np.ndarray,
    covariate: np.ndarray,
    slope: np.ndarray | float,
) -> Fit:
    """Fits the slope for a given intercept.

    Args:
      theta: `[*T]` the intercept, log-odds.
      labels: `[*T, n]` in [0, 1].
      covariate: `[*T, n]` t, in [-1, 1].
      slope: `[*T]` where to begin.

    Returns:
      `Fit`; a slope that would go to infinity stops where it changes nothing.
    """
    slope = _best_slope(theta, labels, covariate, slope)
    scores = np.expand_dims(theta, -1) + np.expand_dims(slope, -1) * covariate
    predicted = scipy.special.expit(scores)
    weights = predicted * scipy.special.expit(-scores)
    power = np.sum(weights * covariate**2, axis=-1)
    share = _ratio(np.sum(weights * covariate, axis=-1), power, 0.0)
    efficient = 1.0 - share[..., None] * covariate
    directions = np.sqrt(weights)[..., None, :] * np.stack(
        [efficient, covariate + np.zeros_like(weights)], axis=-2
    )
    length = np.sqrt(np.sum(directions**2, axis=-1, keepdims=True))
    likelihoods = labels * scores - np.logaddexp(0.0, scores)
    return Fit(
        slope=slope,
        log_likelihood=np.sum(likelihoods, axis=-1),
        errors=labels - predicted,
        residuals=(labels - predicted) * efficient,
        directions=_ratio(directions, length, 0.0),
        information=np.sum(weights * efficient**2, axis=-1),
        naive_information=np.sum(weights, axis=-1),
    )


def _best_slope(theta, labels, covariate, slope):
    """Where the likelihood's derivative with respect to the slope is zero."""
    reach = np.max(np.abs(covariate), axis=-1)
    reach = np.where(reach > 0, reach, 1.0)

    def gradient(slope):
        scores = np.expand_dims(theta, -1) + slope[..., None] * covariate
        predicted = scipy.special.expit(scores)
        curvatures = covariate**2 * predicted * scipy.special.expit(-scores)
        errors = covariate * (predicted - labels)
        return np.sum(errors, axis=-1), np.sum(curvatures, axis=-1)

    tolerance = _PRECISION * reach * labels.shape[-1]
    return _root(gradient, slope + np.zeros(reach.shape), np.inf, 4 / reach, tolerance)


def estimate(labels: np.ndarray, covariate: np.ndarray) -> tuple[np.ndarray, Fit]:
    """The most likely intercept, and the fit there.

    Args:
      labels: `[*T, n]` in [0, 1].
      covariate: `[*T, n]` t, in [-1, 1].

    Returns:
      theta: `[*T]`, log-odds; at most 40 in size.
      fit: `Fit`.
    """
    start = np.zeros(labels.shape[:-1])
    best = at(start, labels, covariate, start)

    def gradient(theta):
        # Maximised over the slope, the likelihood is still concave in theta.
        fit = at(theta, labels, covariate, best.slope)
        return -np.sum(fit.residuals, axis=-1), fit.information

    theta = _root(gradient, start, _FAR, 4.0, _PRECISION * labels.shape[-1])
    return theta, at(theta, labels, covariate, best.slope)


def _root(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    limit: float,
    most: np.ndarray | float,
    tolerance: np.ndarray | float,
) -> np.ndarray:
    """Newton's method on increasing functions of one variable, all at once.

    Each is kept within a bracket. No step is longer than `most` (four log-odds: further
    off the curvature says nothing).
    """
    point = start
    low, high = np.full(start.shape, -limit), np.full(start.shape, limit)
    for _ in range(200):
        value, slope = function(point)
        low = np.where(value < 0, point, low)
        high = np.where(value > 0, point, high)
        step = np.clip(_ratio(value, slope, np.copysign(np.inf, value)), -most, most)
        proposed = np.clip(point - step, -limit, limit)
        inside = (low <= proposed) & (proposed <= high)
        moving = (np.abs(value) > tolerance) & (proposed != point)
        if not moving.any():
            break
        with np.errstate(invalid="ignore"):  # infinite on both sides: never outside
            proposed = np.where(inside, proposed, (low + high) / 2)
        point = np.where(moving, proposed, point)
    return point


def _ratio(numerator, denominator, otherwise):
    """The quotient, and something else where the denominator is zero."""
    positive = denominator > 0
    return np.where(
        positive, numerator / np.where(positive, denominator, 1.0), otherwise
    )


def dispersion(fit: Fit, labels: np.ndarray, index: np.ndarray) -> np.ndarray:
    """How much more, or less, a score varies than that of independent votes.

    The scatter of labels is compared with a vote's, which is 1 exactly, unanimous or
    not; that of clusters' sums with the one of independent terms. A sum is what it
    would be of a fit that had left its cluster out, as in the jackknife (Bell and
    McCaffrey 2002, Survey Methodology 28).

    Args:
      fit: at the estimate.
      labels: `[*T, n]` in [0, 1].
      index: `[n]` number of each label's cluster.

    Returns:
      `[*T]` the factor, 1 for votes each of which is its own cluster, 0 for labels that
      lie on the curve.
    """
    squares = np.sum(fit.errors**2, axis=-1)
    softness = np.sum(labels * (1 - labels), axis=-1)
    scatter = np.where(softness > 0, _ratio(squares, squares + softness, 1.0), 1.0)
    apart = _left_out(fit, np.arange(len(index)))
    return scatter * _ratio(_left_out(fit, index), apart, 1.0)


def _left_out(fit, index):
    """Sum of squares of clusters' scores, each of a fit without its cluster."""
    theta, slope = np.moveaxis(fit.directions, -2, 0)
    terms = np.stack([fit.residuals, theta**2, theta * slope])
    sums = intervals.cluster_sums(np.moveaxis(terms, -1, 0), index)
    score, power, shared = np.moveaxis(sums, 0, -1)
    leverage = power + _ratio(shared**2, power, 0.0)
    return np.sum((score / np.maximum(1 - leverage, _LEAST_LEFT)) ** 2, axis=-1)


def interval(
    labels: np.ndarray, covariate: np.ndarray, index: np.ndarray, quantile: float
) -> tuple[np.ndarray, np.ndarray]:
    """The values of theta that no test leaves out, as probabilities.

    Args:
      labels: `[*T, n]` in [0, 1], any number of tables.
      covariate: `[*T, n]` t, in [-1, 1].
      index: `[n]` number of each label's cluster.
      quantile: Student's, for the confidence and the number of clusters.

    Returns:
      low and high, `[*T]` in [0, 1].
    """
    theta, best = estimate(labels, covariate)
    allowed = quantile**2 * dispersion(best, labels, index)

    def kept(value):
        fit = at(value, labels, covariate, best.slope)
        score = np.sum(fit.residuals, axis=-1)
        rao = _ratio(score**2, fit.information, np.inf)
        ratio = 2 * (best.log_likelihood - fit.log_likelihood)
        return np.minimum(rao, ratio) <= allowed

    low, high = (_end(kept, theta, direction) for direction in (-1.0, 1.0))
    return scipy.special.expit(low), scipy.special.expit(high)


def _end(kept, theta, direction):
    """Where values cease to be kept, from the estimate in one direction."""
    inner = outer = theta
    searching = open_ended = np.ones(np.shape(theta), bool)
    step = 0.125
    while searching.any():
        outer = np.where(searching, inner + direction * step, outer)
        open_ended = np.where(searching, kept(outer), open_ended)
        inner = np.where(searching & open_ended, outer, inner)
        searching = searching & open_ended & (np.abs(outer) < _FAR)
        step *= 2
    for _ in range(24):
        middle = (inner + outer) / 2
        inside = kept(middle)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return np.where(open_ended, direction * np.inf, inner)
