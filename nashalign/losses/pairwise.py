"""Losses of a comparison: how far a margin is from what the annotator asks for.

The margin is the difference of two responses' log-ratios from an anchor,
`h = log pi(y)/mu(y) - log pi(z)/mu(z)` in nats, and `preferred` is P(y beats z). A hard
label is `preferred` 0 or 1; a tie is 1/2. Each loss is symmetric: swapping y and z
(negating the margin and complementing the preference) changes nothing. One number per
comparison: no models, no means, no keys. Settings and labels out of their ranges are
errors; a traced setting makes the loss NaN.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.types import Array, Numeric


def ipo(margin: Array, preferred: Array, *, tau: Numeric) -> Array:
    r"""IPO: the squared distance of the margin from the preference over tau.

    .. math:: \left(h - \frac{p - 1/2}{\tau}\right)^2

    Its gradient equals that of :math:`p (h - 1/2\tau)^2 + (1 - p) (h + 1/2\tau)^2`, the
    loss on sampled labels. Azar et al. 2023, eq. 17 (arXiv:2310.12036); Calandriello et
    al. 2024, eq. 11 (arXiv:2403.08635), where both responses are the policy's own.

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: strength of the regularisation, > 0.

    Returns:
      `[*B]` loss, minimal at `margin = (preferred - 1/2) / tau`.

    Raises:
      ValueError: if tau is not positive, or a label not in [0, 1].
    """
    margin, preferred = _pair(margin, preferred)
    tau = checks.setting(tau, "tau", above=0)
    return (margin - (preferred - 0.5) / tau) ** 2


def dpo(margin: Array, preferred: Array, *, tau: Numeric) -> Array:
    r"""DPO: the cross-entropy of a logistic model of the preference.

    .. math:: -p \log\sigma(\tau h) - (1 - p) \log\sigma(-\tau h)

    With hard labels it has no minimum: it pushes the loser's probability to zero at any
    tau. Rafailov et al. 2023, eq. 7 (arXiv:2305.18290), where tau is called beta.

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: strength of the regularisation, > 0.

    Returns:
      `[*B]` nats, minimal at `margin = logit(preferred) / tau`.

    Raises:
      ValueError: if tau is not positive, or a label not in [0, 1].
    """
    margin, preferred = _pair(margin, preferred)
    return _cross_entropy(checks.setting(tau, "tau", above=0) * margin, preferred)


def bounded_dpo(
    margin: Array,
    preferred: Array,
    *,
    tau: Numeric,
    bound: Numeric,
) -> Array:
    r"""DPO on implicit rewards whose difference is at most twice a bound.

    .. math:: -p \log\sigma(c) - (1 - p) \log\sigma(-c), \quad
              c = \mathrm{clip}(\tau h, -2R, 2R)

    A pair beyond that is not trained on. Huang et al. 2024 (arXiv:2407.13399), whose
    margin is of `ratios.chi`.

    Args:
      margin: `[*B]` nats, or what the row's ratio makes of them.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: strength of the regularisation, > 0.
      bound: R, the largest reward in size, > 0.

    Returns:
      `[*B]` nats.
    """
    margin, preferred = _pair(margin, preferred)
    tau = checks.setting(tau, "tau", above=0)
    largest = 2 * checks.setting(bound, "bound", above=0)
    return _cross_entropy(jnp.clip(tau * margin, -largest, largest), preferred)


def slic(margin: Array, preferred: Array, *, tau: Numeric) -> Array:
    r"""SLiC's hinge on reference-normalised log-likelihoods.

    .. math:: p \max(0, 1 - \tau h) + (1 - p) \max(0, 1 + \tau h)

    Soft labels are flat for :math:`|\tau h| \le 1` at p = 1/2. The form of the online
    methods (Guo et al. 2024, arXiv:2402.04792), not SLiC-HF's raw hinge with a
    likelihood term (Zhao et al. 2023, arXiv:2305.10425).

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: inverse of the margin asked for, > 0.

    Returns:
      `[*B]` loss.
    """
    margin, preferred = _pair(margin, preferred)
    scaled = checks.setting(tau, "tau", above=0) * margin
    wins, losses = jax.nn.relu(1 - scaled), jax.nn.relu(1 + scaled)
    return preferred * wins + (1 - preferred) * losses


def cdpo(
    margin: Array,
    preferred: Array,
    *,
    tau: Numeric,
    flip: Numeric,
) -> Array:
    r"""Conservative DPO: labels are believed to be wrong with probability `flip`.

    .. math:: (1 - \epsilon) \ell(h) + \epsilon \ell(-h), \quad
              \ell(h) = -\log\sigma(\tau h)

    on the winner's margin h. With hard labels it is minimal at
    :math:`h = \log((1 - \epsilon) / \epsilon) / \tau`. Mitchell 2023; as a baseline of
    Chowdhury et al. 2024 (arXiv:2403.00409).

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: strength of the regularisation, > 0.
      flip: epsilon, in [0, 1/2].

    Returns:
      `[*B]` nats.
    """
    margin, preferred = _pair(margin, preferred)
    flip = checks.setting(flip, "flip", least=0, most=0.5)
    believed = (1 - flip) * preferred + flip * (1 - preferred)
    return dpo(margin, believed, tau=tau)


def rdpo(
    margin: Array,
    preferred: Array,
    *,
    tau: Numeric,
    flip: Numeric,
) -> Array:
    r"""Robust DPO: unbiased where labels are wrong with probability `flip`.

    .. math:: \frac{(1 - \epsilon) \ell(h) - \epsilon \ell(-h)}{1 - 2 \epsilon}, \quad
              \ell(h) = -\log\sigma(\tau h)

    on the winner's margin h: its mean over the flips is DPO's loss on the true label.
    A single term is unbounded below. Chowdhury et al. 2024 (arXiv:2403.00409).

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` share of the labels seen by which y beats z, in [0, 1].
      tau: strength of the regularisation, > 0.
      flip: epsilon, in [0, 1/2).

    Returns:
      `[*B]` nats.
    """
    margin, preferred = _pair(margin, preferred)
    tau = checks.setting(tau, "tau", above=0)
    flip = checks.setting(flip, "flip", least=0, below=0.5)
    debiased = (preferred - flip) / (1 - 2 * flip)
    return _cross_entropy(tau * margin, debiased)


def simpo(
    margin: Array,
    preferred: Array,
    *,
    tau: Numeric,
    gamma: Numeric,
) -> Array:
    r"""SimPO: DPO's loss, and the winner is to be ahead by a margin.

    .. math:: -p \log\sigma(\tau h - \gamma) - (1 - p) \log\sigma(-\tau h - \gamma)

    where h is the difference of mean log-likelihoods of a token. Meng et al. 2024
    (arXiv:2405.14734), where tau is called beta.

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      tau: steepness, > 0.
      gamma: margin of tau h that is asked for, >= 0.

    Returns:
      `[*B]` nats.
    """
    margin, preferred = _pair(margin, preferred)
    scaled = checks.setting(tau, "tau", above=0) * margin
    gamma = checks.setting(gamma, "gamma", least=0)
    wins, losses = (jax.nn.log_sigmoid(x - gamma) for x in (scaled, -scaled))
    return -preferred * wins - (1 - preferred) * losses


def soft(margin: Array, preferred: Array, *, alpha: Numeric) -> Array:
    r"""Soft preference optimisation of a pair: DPO's loss over alpha.

    .. math:: -\frac{1}{\alpha} \left[ p \log\sigma(\alpha h)
              + (1 - p) \log\sigma(-\alpha h) \right]

    where h is the difference of log-probabilities, from no anchor: preferences are
    modelled as powers of probabilities, and rewards r give the policy
    softmax(r / alpha). Sharifnassab et al. 2024 (arXiv:2405.00747).

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      alpha: softness, > 0.

    Returns:
      `[*B]` nats.
    """
    alpha = checks.setting(alpha, "alpha", above=0)
    return dpo(margin, preferred, tau=alpha) / alpha


def hinge(margin: Array, preferred: Array, *, delta: Numeric) -> Array:
    r"""SLiC-HF's rank calibration: a hinge on raw log-likelihoods.

    .. math:: p \max(0, \delta - h) + (1 - p) \max(0, \delta + h)

    where h is the difference of log-probabilities, from no anchor. Zhao et al. 2023
    (arXiv:2305.10425).

    Args:
      margin: `[*B]` nats.
      preferred: `[*B]` P(y beats z), in [0, 1].
      delta: margin asked for, nats, > 0.

    Returns:
      `[*B]` nats.
    """
    delta = checks.setting(delta, "delta", above=0)
    return delta * slic(margin, preferred, tau=1 / delta)


def _pair(margin, preferred):
    """Returns a comparison's numbers as arrays of one shape, labels in [0, 1].

    Labels inside a compiled program have been checked where they were given.
    """
    margin, preferred = (
        value if isinstance(value, jax.Array | np.ndarray) else np.asarray(value)
        for value in (
            checks.numeric(margin, "margin"),
            checks.numeric(preferred, "preferred"),
        )
    )
    chex.assert_equal_shape([margin, preferred])
    if checks.known(preferred):
        checks.number(preferred, "preferred", least=0, most=1)
    return margin, preferred


def _cross_entropy(scaled, label):
    """Of a logistic model whose logits are the scaled margins."""
    wins, losses = jax.nn.log_sigmoid(scaled), jax.nn.log_sigmoid(-scaled)
    return -label * wins - (1 - label) * losses
