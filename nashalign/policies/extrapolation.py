"""Extrapolation in weight space: further along the way that training has gone."""

import chex
import jax

from nashalign import checks
from nashalign.policies.policy import Params
from nashalign.types import Numeric


def extrapolate(params: Params, start: Params, *, alpha: Numeric) -> Params:
    r"""Parameters beyond the trained ones, as seen from where training began (ExPO).

    .. math:: \theta + \alpha (\theta - \theta_0)

    No data and no gradients. It amplifies what alignment has changed, good and bad, and
    is a first-order guess of more training, or of less regularisation: if the
    parameters are a table of logits, and training from the reference has added
    `reward / beta` to them, the optimum of the reward less beta KL, this is the optimum
    at `beta / (1 + alpha)`.
    Zheng et al. 2024 (arXiv:2404.16792).

    Args:
      params: the trained parameters, theta.
      start: those they were trained from, theta_0: the same pytree, leaf by leaf.
      alpha: a number; 0 is the trained policy, -1 the start, between them they are
        interpolated. The paper suggests 0.3 to 0.5.

    Returns:
      A pytree like `params`; leaves that training did not move stay as they are.
    """
    alpha = checks.setting(alpha, "alpha")
    chex.assert_trees_all_equal_shapes(params, start)
    return jax.tree.map(lambda new, old: new + alpha * (new - old), params, start)
