r"""Win rates with the effect of length removed, in the manner of AlpacaEval 2.

Annotators, people and models alike, reward length. A policy that only writes more then
wins without being better, and the plain win rate cannot tell. Here a logistic
regression explains the preference by the policy and by the difference in length, and
the win rate is what it predicts at no difference. Where one side always writes longer
there is no such case to learn from: the interval says so, and so does a warning.

Notation: y and z the two responses, |y| the length of y, sigma the logistic function,
theta the policy term, phi the effect of length.
"""

import warnings
from typing import NamedTuple

import chex
import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from nashalign.evaluation import intervals, profile
from nashalign.evaluation.intervals import Clusters, Interval
from nashalign.types import Array

INFLATION = 10.0
"""So many times the prompts would be needed for what is known without length: from here
on a warning says that length and policy are hardly told apart."""


class LengthControlled(NamedTuple):
    """A win rate with the effect of length removed.

    Attributes:
      win_rate: `Interval` of the win rate at equal lengths. Its mean is the middle of
        the interval, not the fit's prediction `sigma(log_odds)`: votes near 0 or 1 say
        more on one side, and a symmetric interval about the fit misses on the other.
        The two agree as prompts become many.
      raw: `Interval`, the win rate as it is.
      log_odds: theta, the policy term, nats of log-odds.
      length_effect: phi, log-odds gained by a much longer response.
    """

    win_rate: Interval[float]
    raw: Interval[float]
    log_odds: float
    length_effect: float


def length_controlled_win_rate(
    preferred: Array,
    lengths: Array,
    opponent_lengths: Array,
    *,
    clusters: Clusters | None = None,
    ridge: float = 0.01,
    confidence: float = 0.95,
) -> LengthControlled:
    r"""Win rate that the policy would have if both responses had equal lengths.

    .. math:: P(y \text{ beats } z \mid x) \approx
        \sigma\!\left(\theta + \phi \tanh \frac{|y| - |z|}{s}\right),
        \qquad \text{win rate} = \sigma(\theta)

    with `s` the standard deviation of the length differences. Modelled: one policy term
    and one saturating effect of length, the same on every prompt. *Not* modelled: each
    prompt's own difficulty (AlpacaEval's third term, which needs many policies to be
    estimated), any length effect that varies with the prompt, and what else lengths go
    along with. The fit is logistic regression with soft labels (minimal cross-entropy).
    Swapping the two policies gives exactly one minus the win rate.
    Dubois et al. 2024, section 3 (arXiv:2404.04475).

    The interval is that of `profile`: all win rates that some effect of length makes
    likely enough, each cluster being one draw. The ridge has no part in it; it only
    chooses a value where the data do not.

    Args:
      preferred: `[num_prompts, *R]` P(y beats z), in [0, 1]; votes 0 and 1 will do.
      lengths: `[num_prompts, *R]` lengths of y, in any one unit (tokens, words).
      opponent_lengths: `[num_prompts, *R]` lengths of z, in the same unit.
      clusters: `[num_prompts]` name of each prompt's cluster; None, each its own.
      ridge: strength of the penalty `ridge / 2 (theta^2 + phi^2)` on the summed
        cross-entropy, > 0: keeps the fit finite where all votes agree.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `LengthControlled`.

    Warns:
      UserWarning: length and policy cannot be told apart (`INFLATION`).

    Raises:
      ValueError: a preference outside [0, 1] or NaN, a length that is not finite, a
        ridge that is not positive, or fewer than two prompts or clusters.
    """
    preferred = _numbers("preferred", preferred)
    lengths = _numbers("lengths", lengths)
    opponent_lengths = _numbers("opponent_lengths", opponent_lengths)
    chex.assert_equal_shape([preferred, lengths, opponent_lengths])
    _check(preferred, lengths, opponent_lengths, ridge)
    num_prompts = len(preferred)
    labels = preferred.reshape(num_prompts, -1)
    raw = intervals.mean_interval(
        labels.mean(axis=1), clusters=clusters, confidence=confidence
    )
    covariate = _squashed((lengths - opponent_lengths).ravel())
    index = intervals.cluster_index(clusters, num_prompts)
    degrees = intervals.cluster_variance(labels, clusters).degrees
    index = np.repeat(index, labels.shape[1])
    labels = labels.ravel()
    theta, phi = _fit_logistic(covariate, labels, ridge)
    quantile = float(scipy.stats.t.ppf((1 + confidence) / 2, degrees))
    low, high = profile.interval(labels, covariate, index, quantile)
    _warn_of_confusion(profile.at(theta, labels, covariate, phi))
    middle = Interval(float(low + high) / 2, float(high - low) / 2)
    return LengthControlled(middle, raw, theta, phi)


def _squashed(difference):
    """The covariate `[n]`: the squashed length difference."""
    # Scaled but not centred: equal lengths must stay at zero.
    scale = np.std(difference)
    return np.tanh(difference / scale) if scale > 0 else np.sign(difference)


def _fit_logistic(covariate, labels, ridge):
    """Minimise the summed cross-entropy to soft labels plus the ridge."""
    features = np.stack([np.ones_like(covariate), covariate], axis=1)

    def objective(weights):
        scores = features @ weights
        entropy = np.logaddexp(0.0, scores) - labels * scores
        slope = features.T @ (scipy.special.expit(scores) - labels)
        return (
            entropy.sum() + ridge / 2 * weights @ weights,
            slope + ridge * weights,
        )

    def curvature(weights):
        predicted = scipy.special.expit(features @ weights)
        own = (features.T * (predicted * (1 - predicted))) @ features
        return own + ridge * np.eye(2)

    found = scipy.optimize.minimize(
        objective,
        np.zeros(2),
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-9 * len(labels)},
    )
    return float(found.x[0]), float(found.x[1])


def _warn_of_confusion(fit):
    """Say that length and policy cannot be told apart, where they cannot."""
    if fit.information * INFLATION < fit.naive_information:
        warnings.warn(
            "One side's responses are almost always the longer ones: length and policy "
            "can hardly be told apart, and the length-controlled win rate is known "
            "only as far as its interval says.",
            UserWarning,
            stacklevel=3,
        )


def _numbers(name, values):
    """The argument as float64 `[num_prompts, *R]`."""
    try:
        values = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} does not hold numbers in rows of one length: {error}"
        ) from error
    return np.atleast_1d(values)


def _check(preferred, lengths, opponent_lengths, ridge):
    """Refuse what is no probability or no length, naming where it is."""
    if not preferred.size:
        raise ValueError(f"preferred has shape {preferred.shape}: it holds nothing.")
    if not 0 < ridge < np.inf:
        raise ValueError(f"ridge is {ridge}; it must be positive and finite.")
    valid = (preferred >= 0.0) & (preferred <= 1.0)
    _refuse("preferred", preferred, valid, "a probability: it must hold P(y beats z)")
    for name, own in (("lengths", lengths), ("opponent_lengths", opponent_lengths)):
        _refuse(name, own, np.isfinite(own), "a length: give the number of tokens")


def _refuse(name, values, valid, what):
    """Raise for the first value that is not valid."""
    if not valid.all():
        where = np.argwhere(~valid)[0].tolist()
        value = values[tuple(where)]
        raise ValueError(f"{name}{where} = {value:.6g} is not {what}")
