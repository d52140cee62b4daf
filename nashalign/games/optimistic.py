r"""Optimistic dynamics: they answer where the opponent is about to be.

Mirror descent circles around an equilibrium because each step answers where the
opponent was. Looking ahead, by a half step taken for the purpose (extragradient) or by
the last step repeated (optimistic), turns the circle into a spiral inwards.
"""

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.games import dynamics, measures, schedules
from nashalign.games.dynamics import Solver
from nashalign.games.schedules import Schedule
from nashalign.types import Numeric


def extragradient(*, tau: Numeric, eta: Schedule) -> Solver:
    r"""Returns extragradient: the opponent is the policy half a step ahead.

    .. math:: \pi_{t+1/2} \propto m_t \exp(\eta P(y > \pi_t)), \quad
              \pi_{t+1} \propto m_t \exp(\eta P(y > \pi_{t+1/2})), \quad
              m_t \propto \pi_t^{1-\eta\tau} \mu^{\eta\tau}

    Converges to the Nash policy of tau at the rate (1 - eta tau)^t for eta at most
    1 / (tau + 3). EGPO: Zhou et al. 2025 (arXiv:2503.08942), with their eta.

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    tau, eta = schedules.check_step(tau, eta)

    def advance(state, first, second):
        step = schedules.at(eta, state.step)
        anchor = dynamics.anchor(state.log_policy, state.log_reference, step * tau)

        def respond(preference, log_opponent):
            wins = measures.wins(jnp.exp(log_opponent), preference)
            return jax.nn.log_softmax(anchor + step * wins)

        ahead = respond(first, state.log_policy)
        return state._replace(log_policy=respond(second, ahead))

    return dynamics.make_solver(advance, num_questions=2)


def nash_mirror_prox(*, tau: Numeric, paper_eta: Schedule) -> Solver:
    r"""Returns Nash mirror prox: `extragradient` with another step.

    .. math:: \pi_{k+1/2} = \arg\min_p \frac1\tau P(\pi_k > p) + KL(p || \mu)
              + \frac1{\eta'} KL(p || \pi_k), \quad
              \eta = \frac{\eta'}{(1 + \eta') \tau}

    and `k + 1` against `k + 1/2`, eta' being the paper's (Tiapkin et al. 2025,
    arXiv:2505.19731). At eta' = 2 tau the divergence from the Nash policy shrinks by
    1 / (1 + 2 tau) a step.

    Args:
      tau: strength of the regularisation, > 0.
      paper_eta: the paper's eta', > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta' is out of range.
    """
    tau = checks.setting(tau, "tau", above=0)
    eta = schedules.convert(paper_eta, lambda eta: eta / ((1 + eta) * tau))
    return extragradient(tau=tau, eta=eta)


def onpo(*, eta: Schedule) -> Solver:
    r"""Returns optimistic Nash policy optimisation: a slow policy and a prediction.

    .. math:: \pi_t \propto \pi'_t \exp(\eta P(y > \pi_{t-1})), \quad
              \pi'_{t+1} \propto \pi'_t \exp(\eta P(y > \pi_t))

    The gap of the average is O(1 / T), that of mirror descent O(1 / sqrt T). Zhang et
    al. 2025 (arXiv:2502.16852), with their eta.

    Args:
      eta: step, > 0; a number or a function of the step's index.

    Returns:
      The solver; its memory is the logarithm of the slow policy pi', `[*B, Y]`.

    Raises:
      ValueError: if a constant eta is out of range.
    """
    _, eta = schedules.check_step(0.0, eta)

    def advance(state, preference):
        step = schedules.at(eta, state.step)
        wins = measures.wins(jnp.exp(state.log_policy), preference)
        slow = jax.nn.log_softmax(state.memory + step * wins)
        fast = jax.nn.log_softmax(slow + step * wins)
        return state._replace(log_policy=fast, memory=slow)

    return dynamics.make_solver(advance, lambda log_reference: log_reference)


def omwu(*, eta: Schedule) -> Solver:
    r"""Returns optimistic multiplicative weights.

    .. math:: \pi_{t+1} \propto \pi_t
              \exp(\eta (2 P(y > \pi_t) - P(y > \pi_{t-1}))), \quad \pi_{-1} = \pi_0

    The last policy converges in the game without regularisation, linearly after a
    burn-in where some Nash policy has full support (arXiv:2512.24818, with its eta),
    for eta small enough. `onpo` with a constant eta differs in its first step alone,
    which is twice as long.

    Args:
      eta: step, > 0; a number or a function of the step's index.

    Returns:
      The solver; its memory is the win rates against the policy before, `[*B, Y]`.

    Raises:
      ValueError: if a constant eta is out of range.
    """
    _, eta = schedules.check_step(0.0, eta)

    def advance(state, preference):
        wins = measures.wins(jnp.exp(state.log_policy), preference)
        before = jnp.where(state.step == 0, wins, state.memory)
        step = schedules.at(eta, state.step)
        moved = jax.nn.log_softmax(state.log_policy + step * (2 * wins - before))
        return state._replace(log_policy=moved, memory=wins)

    return dynamics.make_solver(advance, jnp.zeros_like)
