r"""Mirror-family dynamics: one gradient a step, against one opponent.

    pi' proportional to pi^(1 - eta tau) mu^(eta tau) exp(eta P(y > opponent))

Read `dynamics` first. Which opponent makes which method:

    the policy itself                         mirror_descent, inpo, dno
    the step's own mixture of pi and mu       nash_md
    the running geometric mean of the past    nash_ema
    the average of the past                   fictitious_play
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.games import dynamics, measures, schedules
from nashalign.games.dynamics import Solver
from nashalign.games.schedules import Schedule
from nashalign.types import Numeric


def mirror_descent(*, tau: Numeric, eta: Schedule) -> Solver:
    r"""Returns online mirror descent: the opponent is the current policy.

    .. math:: \pi_{t+1} \propto \pi_t^{1-\eta\tau} \mu^{\eta\tau}
              \exp(\eta P(y > \pi_t))

    Wherever it converges, it is at the Nash policy of `tau`. Around one that mixes
    several responses it diverges for large eta, and at tau = 0 for every constant eta:
    then only the average converges. At tau = 0 it is known as multiplicative weights,
    SPO's inner step (Swamy et al. 2024, arXiv:2401.04056) and SPPO's ideal one (Wu et
    al. 2024, arXiv:2405.00675).

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    return _solver(tau, eta, lambda policy, anchor: policy)


def inpo(*, tau: Numeric, paper_eta: Schedule) -> Solver:
    r"""Returns INPO's exact iteration: `mirror_descent` with eta = 1 / paper_eta.

    .. math:: \arg\min_\pi E_{y, z \sim \pi_t} (h_t(\pi, y, z)
              - \eta (P(y > z) - 1/2))^2, \quad
              h_t = \log \frac{\pi(y)}{\pi(z)} - \log \frac{m_t(y)}{m_t(z)}, \quad
              m_t = \pi_t^{1-\eta\tau} \mu^{\eta\tau}

    Zhang et al. 2024 (arXiv:2407.00617). With eta_t = tau (t + 2) / 2 in the paper's
    convention and log-ratios bounded by B, KL(Nash || pi_T) is at most
    32 C^2 / (tau^2 (T + 1)), C = max(B tau, 1) (theorem 4).

    Args:
      tau: strength of the regularisation, >= 0.
      paper_eta: the paper's eta, an inverse step: >= tau and > 0; a number or a
        function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    return mirror_descent(tau=tau, eta=schedules.convert(paper_eta, _inverse))


def dno(*, paper_eta: Schedule) -> Solver:
    r"""Returns DNO's exact iteration: `mirror_descent`, tau = 0, eta = 1 / paper_eta.

    .. math:: \pi_{t+1} \propto \pi_t \exp(r_t / paper\_eta), \quad
              r_t(y) = P(y > \pi_t)

    It minimises the cross-entropy between sigmoid(r_t(y) - r_t(z)) and
    sigmoid(paper_eta (h(y) - h(z))), h = log pi / pi_t, whatever distribution of pairs
    it is summed over. Rosset et al. 2024 (arXiv:2404.03715, algorithm 1).

    Args:
      paper_eta: the paper's eta, an inverse step, > 0; a number or a function of the
        step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if a constant eta is out of range.
    """
    return mirror_descent(tau=0.0, eta=schedules.convert(paper_eta, _inverse))


def nash_md(*, tau: Numeric, eta: Schedule) -> Solver:
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
    return _solver(tau, eta, lambda policy, anchor: anchor)


def nash_ema(*, tau: Numeric, eta: Schedule, decay: Numeric) -> Solver:
    r"""Returns Nash-EMA: the opponent is a running geometric mean of past policies.

    .. math:: \pi_{t+1} \propto \pi_t^{1-\eta\tau} \mu^{\eta\tau}
              \exp(\eta P(y > \bar\pi_t)), \quad
              \log \bar\pi_t = decay \log \bar\pi_{t-1} + (1 - decay) \log \pi_t

    The mean of log-policies is that of parameters, for a softmax policy (Munos et al.
    2023, arXiv:2312.00886, section 7, where the mean is written with theta_0 in the
    place of its own last value; it starts there: bar pi_{-1} = mu).

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.
      decay: of the mean, in [0, 1]; 0 is `mirror_descent`, 1 plays against mu.

    Returns:
      The solver; its memory is the logarithm of the mean, `[*B, Y]`.

    Raises:
      ValueError: if tau, a constant eta or the decay is out of range.
    """
    tau, eta = schedules.check_step(tau, eta)
    decay = checks.setting(decay, "decay", least=0, most=1)

    def advance(state, preference):
        mean = decay * state.memory + (1 - decay) * state.log_policy
        mean = jax.nn.log_softmax(mean)
        step = schedules.at(eta, state.step)
        anchor = dynamics.anchor(state.log_policy, state.log_reference, step * tau)
        moved = _respond(preference, mean, anchor, step)
        return state._replace(log_policy=moved, memory=mean)

    return dynamics.make_solver(advance, lambda log_reference: log_reference)


def fictitious_play(*, tau: Numeric = 0.0) -> Solver:
    r"""Returns fictitious play: the best response to the average of the past.

    .. math:: \pi_{t+1} = \arg\max_p P(p > \bar\pi_t) - \tau KL(p || \mu)

    `state.average` is what converges (Brown 1951; Robinson 1951). At tau = 0 the
    response is pure, the first of the best ones; with tau > 0 it is smooth (Fudenberg &
    Levine 1998), and both policy and average tend to the Nash policy of tau.

    Args:
      tau: strength of the regularisation, >= 0, not traced.

    Returns:
      The solver.

    Raises:
      ValueError: if tau is negative.
    """
    tau = float(checks.setting(tau, "tau", least=0))

    def advance(state, preference):
        wins = measures.wins(state.average, preference)
        if tau == 0:
            best = jax.nn.one_hot(jnp.argmax(wins, -1), wins.shape[-1], dtype=bool)
            return state._replace(log_policy=jnp.where(best, 0.0, -jnp.inf))
        logits = state.log_reference + wins / tau
        return state._replace(log_policy=jax.nn.log_softmax(logits))

    return dynamics.make_solver(advance)


def _solver(
    tau: Numeric,
    eta: Schedule,
    opponent: Callable[[jax.Array, jax.Array], jax.Array],
) -> Solver:
    """Returns the solver whose opponent is `opponent(log_policy, log_anchor)`."""
    tau, eta = schedules.check_step(tau, eta)

    def advance(state, preference):
        step = schedules.at(eta, state.step)
        anchor = dynamics.anchor(state.log_policy, state.log_reference, step * tau)
        rival = opponent(state.log_policy, anchor)
        return state._replace(log_policy=_respond(preference, rival, anchor, step))

    return dynamics.make_solver(advance)


def _respond(preference, log_opponent, log_anchor, step):
    """Returns log of the anchor times exp(step P(y > opponent)), normalised."""
    wins = measures.wins(jnp.exp(log_opponent), preference)
    return jax.nn.log_softmax(log_anchor + step * wins)


def _inverse(eta):
    """Returns the step of which eta is the inverse."""
    return 1 / eta
