"""Losses of a comparison: how far a margin is from what the annotator asks for.

The margin is the difference of two responses' log-ratios from an anchor,
`h = log pi(y)/mu(y) - log pi(z)/mu(z)` in nats, and `preferred` is P(y beats z). A hard
label is `preferred` 0 or 1; a tie is 1/2. Each loss is symmetric: swapping y and z
(negating the margin and complementing the preference) changes nothing. One number per
comparison: no models, no means, no keys.
"""

import chex
import jax


def ipo(margin: chex.Array, preferred: chex.Array, *, tau: chex.Numeric) -> chex.Array:
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
    """
    chex.assert_equal_shape([margin, preferred])
    return (margin - (preferred - 0.5) / tau) ** 2


def dpo(margin: chex.Array, preferred: chex.Array, *, tau: chex.Numeric) -> chex.Array:
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
    """
    chex.assert_equal_shape([margin, preferred])
    scaled = tau * margin
    wins, losses = jax.nn.log_sigmoid(scaled), jax.nn.log_sigmoid(-scaled)
    return -preferred * wins - (1 - preferred) * losses


def slic(margin: chex.Array, preferred: chex.Array, *, tau: chex.Numeric) -> chex.Array:
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
    chex.assert_equal_shape([margin, preferred])
    scaled = tau * margin
    wins, losses = jax.nn.relu(1 - scaled), jax.nn.relu(1 + scaled)
    return preferred * wins + (1 - preferred) * losses
