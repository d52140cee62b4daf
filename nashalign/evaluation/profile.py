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
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
import scipy.special

_FAR = 40.0
"""Log-odds beyond which a probability is 0 or 1."""


class Fit(NamedTuple):
    """What the data say at one value of theta, with the slope at its best.

    Attributes:
      slope: phi.
      log_likelihood: of the data, with soft labels the negative cross-entropy.
      residuals: `[n]` label less prediction, weighted as in the efficient score of
        theta: what the slope could explain is taken out.
      information: about theta, that which the slope does not use up.
      naive_information: about theta if the slope were known.
    """

    slope: float
    log_likelihood: float
    residuals: np.ndarray
    information: float
    naive_information: float


def at(
    theta: float, labels: np.ndarray, covariate: np.ndarray, slope: float = 0.0
) -> Fit:
    """Fits the slope for a given intercept.

    Args:
      theta: the intercept, log-odds.
      labels: `[n]` in [0, 1].
      covariate: `[n]` t, in [-1, 1].
      slope: where to begin.

    Returns:
      `Fit`; a slope that would go to infinity stops where it changes nothing.
    """
    slope = _best_slope(theta, labels, covariate, slope)
    scores = theta + slope * covariate
    predicted = scipy.special.expit(scores)
    weights = predicted * scipy.special.expit(-scores)
    power = np.sum(weights * covariate**2)
    share = np.sum(weights * covariate) / power if power > 0 else 0.0
    efficient = 1.0 - share * covariate
    return Fit(
        slope=slope,
        log_likelihood=float(np.sum(labels * scores - np.logaddexp(0.0, scores))),
        residuals=(labels - predicted) * efficient,
        information=float(np.sum(weights * efficient**2)),
        naive_information=float(np.sum(weights)),
    )


def _best_slope(theta, labels, covariate, slope):
    """Newton's method on a convex function of one variable, kept within a bracket."""
    low, high = -np.inf, np.inf
    reach = np.abs(covariate).max()
    if reach == 0:
        return 0.0
    for _ in range(200):
        scores = theta + slope * covariate
        predicted = scipy.special.expit(scores)
        gradient = np.sum(covariate * (predicted - labels))
        if abs(gradient) <= 1e-12 * reach * len(labels):
            break
        low, high = (slope, high) if gradient < 0 else (low, slope)
        curvature = np.sum(covariate**2 * predicted * scipy.special.expit(-scores))
        # A step of more than four log-odds would leave where the curvature holds.
        most = 4.0 / reach
        step = gradient / curvature if curvature > 0 else np.inf * np.sign(gradient)
        proposed = slope - np.clip(step, -most, most)
        slope = proposed if low < proposed < high else (low + high) / 2
        if high - low <= 1e-15 * abs(slope):
            break
    return float(slope)


def dispersion(
    fit: Fit, labels: np.ndarray, raw: np.ndarray, index: np.ndarray
) -> float:
    """How much more, or less, a score varies than that of independent votes.

    The scatter of labels is compared with a vote's, which is 1 exactly, unanimous or
    not; that of clusters' sums with the one of as many independent terms.

    Args:
      fit: at the estimate.
      labels: `[n]` in [0, 1].
      raw: `[n]` label less prediction.
      index: `[n]` number of each label's cluster.

    Returns:
      The factor, 1 for votes each of which is its own cluster, 0 for labels that lie on
      the curve.
    """
    squares = np.sum(raw**2)
    softness = np.sum(labels * (1 - labels))
    scatter = squares / (squares + softness) if softness > 0 else 1.0
    sizes = np.bincount(index)
    share = sizes / len(index)
    num_clusters = len(sizes)
    sums = np.bincount(index, fit.residuals) / (1 - share)
    apart = np.sum(fit.residuals**2) * (num_clusters / (num_clusters - 1)) ** 2
    together = np.sum(sums**2) / apart if apart > 0 else 1.0
    return float(scatter * together)


def interval(
    labels: np.ndarray,
    covariate: np.ndarray,
    index: np.ndarray,
    estimate: tuple[float, float],
    quantile: float,
) -> tuple[float, float]:
    """The values of theta that no test leaves out, as probabilities.

    Args:
      labels: `[n]` in [0, 1].
      covariate: `[n]` t.
      index: `[n]` number of each label's cluster.
      estimate: theta and phi where the likelihood is greatest.
      quantile: Student's, for the confidence and the number of clusters.

    Returns:
      low and high, in [0, 1].
    """
    theta, slope = estimate
    best = at(theta, labels, covariate, slope)
    raw = labels - scipy.special.expit(theta + best.slope * covariate)
    allowed = quantile**2 * dispersion(best, labels, raw, index)

    def excess(value):
        fit = at(value, labels, covariate, best.slope)
        score = np.sum(fit.residuals)
        ratio = 2 * (best.log_likelihood - fit.log_likelihood)
        rao = score**2 / fit.information if fit.information > 0 else np.inf
        return min(rao, ratio) - allowed

    ends = [_end(excess, theta, direction) for direction in (-1.0, 1.0)]
    low, high = scipy.special.expit(ends)
    return float(low), float(high)


def _end(excess, theta, direction):
    """Where the tests begin to reject, from the estimate in one direction."""
    inner, step = theta, 0.125
    while abs(inner) < _FAR:
        outer = theta + direction * step
        if excess(outer) > 0:
            if excess(inner) > 0:  # labels on the curve: a point
                return inner
            return scipy.optimize.brentq(excess, inner, outer, xtol=1e-6)
        inner, step = outer, 2 * step
    return direction * np.inf
