"""What each group adds to the objective, how much it counts, and how many do.

A weight is never trained through, and neither are statistics of the whole batch, which
are sums over devices.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign.algorithms.columns import Reduce, equal, formula
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups


def weighs(method: Method) -> bool:
    """Whether some groups of a row count more than others."""
    return method.weight is not equal


def group_losses(
    method: Method, groups: Groups, reduce: Reduce = lambda values: values
) -> tuple[Array, Array]:
    """What each group adds to the objective, and how much it counts, `[B, G]` each.

    Args:
      method: the row.
      groups: with what its loss reads.
      reduce: sums a pytree over devices, as in `learn`.

    Raises:
      ValueError: loss, weight or regulariser is not one number a group.
    """
    found = {
        name: jax.lax.stop_gradient(statistic(method, _detached(groups), reduce))
        for name, statistic in method.batch
    }
    groups = dataclasses.replace(groups, statistics={**groups.statistics, **found})
    weight = jax.lax.stop_gradient(_of_each("weight", method, groups))
    held = _of_each("regulariser", method, groups)
    if groups.kept is not None:
        weight, held = (jnp.where(groups.kept, x, 0.0) for x in (weight, held))
    return weight * _of_each("loss", method, groups) + held, weight


def effective_sample_size(
    probability: Array, weight: Array, reduce: Reduce = lambda values: values
) -> Array:
    r"""How many groups of equal weight would vary as much (Kish 1965).

    .. math:: \Big(\sum_g p_g w_g\Big)^2 \Big/ \sum_g p_g w_g^2

    Args:
      probability: `[B, G]` of the groups, one for each that was sampled.
      weight: `[B, G]` how much each counts, >= 0.
      reduce: sums a pytree over devices, as in `learn`.

    Returns:
      A number between one and the number of sampled groups; 0 if none counts.
    """
    total = reduce(jnp.sum(probability * weight))
    # Shares of the sum, not weights, are squared: those may be of any size.
    share = weight / jnp.where(total > 0, total, 1.0)
    squares = reduce(jnp.sum(probability * jnp.square(share)))
    return jnp.where(squares > 0, 1 / jnp.where(squares > 0, squares, 1.0), 0.0)


def _of_each(column, method, groups):
    """What a column of the row says of each group, `[B, G]` and nothing else."""
    value = getattr(method, column)
    found = value(method, groups)
    shape = groups.members.shape[:2]
    if jnp.shape(found) != shape:
        raise ValueError(
            f"the row's {column} ({formula(value)}) must be one number a group, "
            f"[B, G] = {list(shape)}, not of shape {list(jnp.shape(found))}"
        )
    return found


def _detached(groups):
    """The groups, through whose log-probabilities and statistics nothing is trained."""
    fixed = jax.lax.stop_gradient((groups.log_probs, groups.statistics))
    return dataclasses.replace(groups, log_probs=fixed[0], statistics=fixed[1])
