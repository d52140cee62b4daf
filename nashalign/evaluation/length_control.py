r"""Win rates with the effect of length removed, in the manner of AlpacaEval 2.

Annotators, people and models alike, reward length. A policy that only writes more then
wins without being better, and the plain win rate cannot tell. Here a logistic
regression explains the preference by the policy and by the difference in length, and
the win rate is what it predicts at no difference.

Notation: y and z the two responses, |y| the length of y, sigma the logistic function,
theta the policy term, phi the effect of length.
"""

from typing import NamedTuple

import chex
import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

from nashalign.evaluation.intervals import Interval, mean_interval


class LengthControlled(NamedTuple):
    """A win rate with the effect of length removed.

    Attributes:
      win_rate: `Interval`, the win rate predicted at equal lengths.
      raw: `Interval`, the win rate as it is.
      log_odds: theta, the policy term, nats of log-odds.
      length_effect: phi, log-odds gained by a much longer response.
    """

    win_rate: Interval
    raw: Interval
    log_odds: float
    length_effect: float


def length_controlled_win_rate(
    preferred: chex.Array,
    lengths: chex.Array,
    opponent_lengths: chex.Array,
    *,
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
    along with. The fit is logistic regression with soft labels (minimal cross-entropy);
    the interval is the sandwich estimate clustered by prompt and the delta method.
    Swapping the two policies gives exactly one minus the win rate.
    Dubois et al. 2024, section 3 (arXiv:2404.04475).

    Args:
      preferred: `[num_prompts, *R]` P(y beats z), in [0, 1]; votes 0 and 1 will do.
      lengths: `[num_prompts, *R]` lengths of y, in any one unit (tokens, words).
      opponent_lengths: `[num_prompts, *R]` lengths of z, in the same unit.
      ridge: strength of the penalty `ridge / 2 (theta^2 + phi^2)` on the summed
        cross-entropy, > 0: keeps the fit finite where all votes agree.
      confidence: coverage aimed at, in (0, 1).

    Returns:
      `LengthControlled`.

    Raises:
      ValueError: a preference outside [0, 1] or NaN, or fewer than two prompts.
    """
    chex.assert_equal_shape([preferred, lengths, opponent_lengths])
    preferred = np.asarray(preferred, np.float64)
    _check_probabilities(preferred)
    difference = np.asarray(lengths, np.float64) - np.asarray(opponent_lengths)
    num_prompts = len(preferred)
    raw = mean_interval(
        preferred.reshape(num_prompts, -1).mean(axis=1), confidence=confidence
    )
    features = _length_features(difference)
    weights = _fit_logistic(features, preferred.ravel(), ridge)
    covariance = _clustered_covariance(
        weights, features, preferred.ravel(), ridge, num_prompts
    )
    win_rate = float(scipy.special.expit(weights[0]))
    quantile = scipy.stats.t.ppf((1 + confidence) / 2, num_prompts - 1)
    slope = win_rate * (1 - win_rate)
    half_width = float(quantile * slope * np.sqrt(covariance[0, 0]))
    return LengthControlled(
        Interval(win_rate, half_width), raw, float(weights[0]), float(weights[1])
    )


def _length_features(difference):
    """Columns `[n, 2]`: one, and the squashed length difference."""
    difference = difference.ravel()
    # Scaled but not centred: equal lengths must stay at zero.
    scale = np.std(difference)
    squashed = np.tanh(difference / scale) if scale > 0 else np.zeros_like(difference)
    return np.stack([np.ones_like(difference), squashed], axis=1)


def _fit_logistic(features, labels, ridge):
    """Minimise the summed cross-entropy to soft labels plus the ridge."""

    def objective(weights):
        scores = features @ weights
        entropy = np.logaddexp(0.0, scores) - labels * scores
        slope = features.T @ (scipy.special.expit(scores) - labels)
        return (
            entropy.sum() + ridge / 2 * weights @ weights,
            slope + ridge * weights,
        )

    return scipy.optimize.minimize(
        objective,
        np.zeros(2),
        jac=True,
        hess=lambda weights: _curvature(weights, features, ridge),
        method="trust-exact",
        options={"gtol": 1e-9 * len(labels)},
    ).x


def _curvature(weights, features, ridge):
    """Second derivative of the penalised cross-entropy, `[2, 2]`."""
    predicted = scipy.special.expit(features @ weights)
    return (features.T * (predicted * (1 - predicted))) @ features + ridge * np.eye(2)


def _clustered_covariance(weights, features, labels, ridge, num_prompts):
    """Sandwich covariance of the fit with the prompt as the unit, `[2, 2]`."""
    residuals = scipy.special.expit(features @ weights) - labels
    scores = (features * residuals[:, None]).reshape(num_prompts, -1, 2).sum(axis=1)
    bread = np.linalg.inv(_curvature(weights, features, ridge))
    meat = scores.T @ scores * num_prompts / (num_prompts - 1)
    return bread @ meat @ bread


def _check_probabilities(preferred):
    """Refuse what is not a probability, naming where it is."""
    valid = (preferred >= 0.0) & (preferred <= 1.0)
    if not valid.all():
        where = np.argwhere(~valid)[0].tolist()
        raise ValueError(
            f"preferred{where} = {preferred[tuple(where)]:.6g} is not a probability: "
            "it must hold P(y beats z), in [0, 1]"
        )
