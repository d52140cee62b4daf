r"""Dynamics: the iterations that look for the Nash policy of a finite game.

A dynamics is a `Solver`, a pair of pure functions: `init(reference)` starts at the
reference, `update(state, preference)` takes one step. Both can be compiled, mapped over
games and differentiated. Steps are geometric, so that states hold logarithms:

    log pi' = (1 - eta tau) log pi + eta tau log mu + eta P(y > opponent) + constant

and dynamics differ in who the opponent is. `eta` is always the mirror-descent step, the
factor of the win rates; papers that write its inverse are converted by the caller.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from nashalign.games import measures

Step = float | chex.Array | Callable[[chex.Array], chex.Array]


class State(NamedTuple):
    """Where a dynamics is.

    Attributes:
      log_policy: `[*B, Y]` logarithm of the current policy, nats.
      log_reference: `[*B, Y]` logarithm of the reference, nats.
      step: `[]` number of updates taken, int32.
    """

    log_policy: jax.Array
    log_reference: jax.Array
    step: jax.Array


class Solver(NamedTuple):
    """A dynamics as data.

    Attributes:
      init: `reference [*B, Y] -> State`, at the reference.
      update: `(State, preference [*B, Y, Y]) -> State`, one step later.
    """

    init: Callable[[chex.Array], State]
    update: Callable[[State, chex.Array], State]


def mirror_descent(*, tau: float, eta: Step) -> Solver:
    r"""Returns online mirror descent: the opponent is the current policy.

    .. math:: \pi_{t+1} \propto m_t \exp(\eta P(y > \pi_t)), \quad
              m_t \propto \pi_t^{1-\eta\tau} \mu^{\eta\tau}

    Wherever it converges, it is at the Nash policy of `tau`. It diverges for large eta,
    and for every eta at tau = 0 (multiplicative weights). INPO's exact update, whose
    eta is the inverse of ours: Zhang et al. 2024 (arXiv:2407.00617).

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    return _solver(tau, eta, lambda policy, anchor, respond: policy)


def nash_md(*, tau: float, eta: Step) -> Solver:
    r"""Returns Nash-MD: the opponent is the mixture of policy and reference.

    .. math:: \pi_{t+1} \propto m_t \exp(\eta P(y > m_t)), \quad
              m_t \propto \pi_t^{1-\eta\tau} \mu^{\eta\tau}

    With constant eta its limit is *not* the Nash policy of tau: the limit's mixture is
    the Nash policy of tau / (1 - eta tau). With eta_t = 2 / (tau (t + 2)) it is, and
    KL(Nash || pi_T) <= 8 / (tau^2 (T + 1)). Munos et al. 2023 (arXiv:2312.00886).

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    return _solver(tau, eta, lambda policy, anchor, respond: anchor)


def extragradient(*, tau: float, eta: Step) -> Solver:
    r"""Returns extragradient: the opponent is the policy half a step ahead.

    .. math:: \pi_{t+1/2} \propto m_t \exp(\eta P(y > \pi_t)), \quad
              \pi_{t+1} \propto m_t \exp(\eta P(y > \pi_{t+1/2}))

    Converges to the Nash policy of tau at the rate (1 - eta tau)^t for eta at most
    1 / (tau + 3). EGPO: Zhou et al. 2025 (arXiv:2503.08942).

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    return _solver(tau, eta, lambda policy, anchor, respond: respond(policy))


def _solver(tau, eta, opponent):
    """Returns the solver whose opponent is `opponent(policy, anchor, respond)`."""
    _check_step(tau, eta)

    def init(reference):
        log_reference = jnp.log(jnp.asarray(reference))
        return State(log_reference, log_reference, jnp.zeros((), jnp.int32))

    def update(state, preference):
        chex.assert_equal_shape_suffix([state.log_policy, preference], 1)
        step = eta(state.step) if callable(eta) else eta
        log_anchor = jax.nn.log_softmax(
            (1 - step * tau) * state.log_policy + step * tau * state.log_reference
        )

        def respond(rival):
            wins = measures.win_rates(preference, jnp.exp(rival))
            return jax.nn.log_softmax(log_anchor + step * wins)

        rival = opponent(state.log_policy, log_anchor, respond)
        return State(respond(rival), state.log_reference, state.step + 1)

    return Solver(init, update)


def _check_step(tau, eta):
    """Raises if the anchor would give either policy a negative weight."""
    if any(callable(x) or isinstance(x, jax.core.Tracer) for x in (tau, eta)):
        return
    if not (tau >= 0 and eta > 0 and eta * tau <= 1):
        raise ValueError(
            f"need tau >= 0, eta > 0 and eta * tau <= 1, not tau = {tau}, eta = {eta}: "
            "eta is the mirror-descent step, not its inverse"
        )
