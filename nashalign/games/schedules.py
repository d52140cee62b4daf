"""Steps and rates of dynamics, constant or by the step, and their checks."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.types import Array, Numeric

Schedule = Numeric | Callable[[Array], Numeric]


def at(schedule: Schedule, step: Array) -> Numeric:
    """Returns the step size at a step, NaN where a schedule's is not positive."""
    if not callable(schedule):
        return schedule
    value = schedule(step)
    return jnp.where((value > 0) & (value < jnp.inf), value, jnp.nan)


def convert(paper_eta: Schedule, convert: Callable[[Numeric], Numeric]) -> Schedule:
    """Returns the step for a paper's eta, constant or scheduled.

    Raises:
      ValueError: if a constant is not positive.
    """
    if callable(paper_eta):
        return lambda step: convert(paper_eta(step))
    return convert(checks.setting(paper_eta, "paper_eta", above=0))


def check_step(tau: Numeric, eta: Schedule) -> tuple[Numeric, Schedule]:
    """Returns a strength and a step that give no policy a negative weight in an anchor.

    Raises:
      ValueError: if they would; traced, they are NaN then.
    """
    if callable(eta):
        return checks.setting(tau, "tau", least=0), eta
    tau = checks.setting(tau, "tau", least=0)
    eta = checks.setting(eta, "eta", above=0)
    inside = (tau >= 0) & (eta > 0) & (eta < jnp.inf) & (eta * tau <= 1)
    if not checks.known(tau, eta):
        return tau, jnp.where(inside, eta, jnp.nan)
    if not np.all(inside):
        raise ValueError(
            f"need tau >= 0, eta > 0 and eta * tau <= 1, not tau = {tau}, eta = {eta}: "
            "eta is the mirror-descent step, not its inverse"
        )
    return tau, eta


def check_rate(learning_rate: Schedule) -> Schedule:
    """Returns a learning rate, constant or scheduled.

    Raises:
      ValueError: if a constant is not positive; traced, it is NaN then.
    """
    if callable(learning_rate):
        return learning_rate
    return checks.setting(learning_rate, "learning_rate", above=0)
