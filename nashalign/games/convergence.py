r"""Convergence: whether a run of a dynamics has come to rest.

The last change alone does not tell: it is small in a slow drift, and a cycle may just
be back where it was. So the last quarter of a run is held against the quarter before.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.types import Array, Numeric


class Settling(NamedTuple):
    """How far a run is from rest.

    Attributes:
      width: `[*B]` how far the policies of the last quarter are from the last one, at
        most, in total variation: a difference of probabilities, in [0, 1].
      trend: `[*B]` the width of the last quarter over that of the quarter before, a
        ratio >= 0: below 1 the run closes in, a cycle stays near 1, above 1 it goes
        outwards. 0 where the last quarter has no width.
      settled: `[*B]` whether the distance still to go is within the tolerance, if
        each quarter's width goes on to be `trend` times that of the one before:
        width / (1 - trend); or the width within rounding.
    """

    width: jax.Array
    trend: jax.Array
    settled: jax.Array


def settling(log_policies: Array, *, tolerance: Numeric = 1e-4) -> Settling:
    r"""Returns whether a run has come to rest, and how it moves if not::

        state, log_policies = games.run(solver, start, preference, num_steps=4000)
        games.settling(log_policies).settled

    .. math:: width = \max_{t \ge 3T/4} TV(\pi_t, \pi_T)

    It sees what was measured: a cycle of which each measurement is at the same place
    looks like rest, so that `every` of `games.run` should not be a period. And it sees
    a run, not an equilibrium: how far that is away is `duality_gap`.

    Args:
      log_policies: `[T, *B, Y]` log pi at equal distances of steps, nats, T >= 4: what
        `games.run` measures by default.
      tolerance: total variation within which a run is at rest, a probability > 0.

    Returns:
      `Settling` of `[*B]`.

    Raises:
      ValueError: if there are fewer than four policies, or the tolerance is not
        positive.
    """
    log_policies = jnp.asarray(checks.numeric(log_policies, "log_policies"))
    tolerance = checks.setting(tolerance, "tolerance", above=0)
    shape = log_policies.shape
    if len(shape) < 2 or shape[0] < 4:
        raise ValueError(
            f"log_policies of shape {list(shape)} must be [T, *B, Y] with T >= 4: "
            "measure a run more often"
        )
    quarter = shape[0] // 4
    policies = jnp.exp(log_policies)
    width = _width(policies[-1 - quarter :])
    before = _width(policies[-1 - 2 * quarter : -quarter])
    ratio = width / jnp.where(before > 0, before, 1)
    trend = jnp.where(width > 0, jnp.where(before > 0, ratio, jnp.inf), 0.0)
    rounding = 8 * jnp.finfo(policies.dtype).eps
    settled = width <= jnp.maximum(tolerance * (1 - trend), rounding)
    return Settling(width, trend, settled)


def _width(policies):
    """Returns how far policies `[T, *B, Y]` are from their last one, `[*B]`."""
    return jnp.abs(policies - policies[-1:]).sum(axis=-1).max(axis=0) / 2
