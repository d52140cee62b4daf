r"""Dynamics whose step is the least-squares fit of a log-ratio to a target.

Read `dynamics` first. The fit is over all policies and exact. `mirror.inpo` and
`mirror.dno` are defined by regressions too, but theirs are solved by mirror steps.
"""

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.games import dynamics, measures, schedules
from nashalign.games.dynamics import Solver
from nashalign.games.schedules import Schedule
from nashalign.types import Array


def sppo(*, eta: Schedule) -> Solver:
    r"""Returns SPPO's practical iteration, in which eta / 2 stands for log Z.

    .. math:: \pi_{t+1} = \arg\min_\pi E_{y \sim \pi_t}
              (\log \frac{\pi(y)}{\pi_t(y)} - \eta (P(y > \pi_t) - 1/2))^2

    Wu et al. 2024 (arXiv:2405.00675, eq. 4.6). Over policies, which must add up to 1,
    its minimiser is pi_t exp(l), where l + c exp(l) = eta (P - 1/2) and c >= 0 makes
    the sum 1. It is not `mirror_descent` at tau = 0, the ideal step, which the paper's
    theorem is about, unless log Z is eta / 2; the two differ from the second order on.

    Args:
      eta: step, > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if a constant eta is out of range.
    """
    _, eta = schedules.check_step(0.0, eta)

    def advance(state, preference):
        wins = measures.wins(jnp.exp(state.log_policy), preference)
        target = schedules.at(eta, state.step) * (wins - 0.5)
        log_ratio = _normalising(state.log_policy, target)
        moved = jax.nn.log_softmax(state.log_policy + log_ratio)
        return state._replace(log_policy=moved)

    return dynamics.make_solver(advance)


def rebel(*, rewards: Array, eta: Schedule) -> Solver:
    r"""Returns REBEL's exact iteration: rewards take the place of win rates.

    .. math:: \pi_{t+1} = \arg\min_\pi E_{y, z \sim \pi_t}
              (h(y) - h(z) - \eta (r(y) - r(z)))^2 \propto \pi_t \exp(\eta r), \quad
              h = \log \pi / \pi_t

    It goes to the best reward without end: a comparison for games whose preference is
    not a reward's. Gao et al. 2024 (arXiv:2404.16767), with its eta.

    Args:
      rewards: `[Y]` or `[*B, Y]` rewards r; the preference is not looked at.
      eta: step, > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if a reward is not finite, or a constant eta out of range.
    """
    _, eta = schedules.check_step(0.0, eta)
    rewards = jnp.asarray(checks.number(rewards, "rewards"))

    def advance(state, preference):
        step = schedules.at(eta, state.step)
        gain = step * jnp.broadcast_to(rewards, state.log_policy.shape)
        return state._replace(log_policy=jax.nn.log_softmax(state.log_policy + gain))

    return dynamics.make_solver(advance)


def _normalising(log_policy, target):
    """Returns l with l + c exp(l) = target and sum of policy exp(l) = 1, `[*B, Y]`."""

    def solution(shift):
        # With c = exp(shift), u = l + shift is Wright's omega of target + shift.
        return _omega(target + shift) - shift

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        total = jnp.sum(jnp.exp(log_policy + solution(middle)), -1, keepdims=True)
        return jnp.where(total > 1, middle, low), jnp.where(total > 1, high, middle)

    # As a mean of exp(target) over the policy is at least 1, the least c is 0.
    low = jnp.full_like(target[..., :1], -40.0)
    high = jnp.log1p(jnp.abs(target).max(axis=-1, keepdims=True)) + 3.0
    low, high = jax.lax.fori_loop(0, 60, halve, (low, high))
    return solution((low + high) / 2)


def _omega(x):
    """Returns u with u + exp(u) = x."""
    u = jnp.where(x < 0, x, jnp.log1p(jnp.maximum(x, 0)))
    # The left-hand side is convex, and this is above the root: Newton cannot overshoot.
    for _ in range(6):
        u = u - (u + jnp.exp(u) - x) / (1 + jnp.exp(u))
    return u
