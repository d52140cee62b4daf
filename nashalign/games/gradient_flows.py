r"""Gradient flows: what training does to a softmax policy, without its noise.

The update of a language model follows the gradient of a loss whose samples are frozen.
Here the parameters are the logits of a finite game's policy and every response is
enumerated, so that the gradient is exact and only the method is left:

    theta' = theta - learning_rate * gradient,    pi = softmax(theta).

Pairs are written by w, the geometric mixture of pi and mu with weight `mix` on mu. It
is detached, as samples are; with the margin h = log pi/mu (y) - log pi/mu (z),

    loss = sum_yz w(y) w(z) (P(y > z) l(h) + P(z > y) l(-h)).

The losses are written here again and not imported: what is trained is checked against
what is here. No bound on learning rates serves every game; a flow that leaves its fixed
point wants a smaller one.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.games import dynamics, measures, schedules
from nashalign.games.dynamics import Solver
from nashalign.games.schedules import Schedule
from nashalign.types import Array, Numeric

# `loss(log_policy, log_reference, preference) -> [*B]`.
Loss = Callable[[jax.Array, jax.Array, Array], jax.Array]


def ipo_md(*, tau: Numeric, mix: Numeric, learning_rate: Schedule) -> Solver:
    r"""Returns the flow of IPO-MD: squared margins of pairs from the mixture.

    .. math:: l(h) = (h - 1/(2\tau))^2

    Its fixed point is pi proportional to mu exp(P(y > w) / tau), whose mixture w is the
    Nash policy of tau / (1 - mix). Calandriello et al. 2024 (arXiv:2403.08635, sec. 5).

    Args:
      tau: strength of the regularisation, > 0.
      mix: the reference's weight in the mixture, in [0, 1].
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau, mix or a constant learning rate is out of range.
    """
    return _pair_flow(
        lambda margin, tau: (margin - 1 / (2 * tau)) ** 2, tau, mix, learning_rate
    )


def online_ipo(*, tau: Numeric, learning_rate: Schedule) -> Solver:
    """Returns the flow of online IPO, `ipo_md` at mix 0: to the Nash policy of tau.

    Calandriello et al. 2024 (arXiv:2403.08635, eq. 11).

    Args:
      tau: strength of the regularisation, > 0.
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant learning rate is out of range.
    """
    return ipo_md(tau=tau, mix=0.0, learning_rate=learning_rate)


def online_dpo(*, tau: Numeric, learning_rate: Schedule) -> Solver:
    r"""Returns the flow of online DPO, which does not look for the Nash policy.

    .. math:: l(h) = -\log \sigma(\tau h)

    Under a Bradley-Terry preference of rewards r it rests at mu exp(r / tau), RLHF's
    solution (Calandriello et al. 2024, arXiv:2403.08635, appendix F).

    Args:
      tau: strength of the regularisation, > 0.
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant learning rate is out of range.
    """
    return _pair_flow(
        lambda margin, tau: -jax.nn.log_sigmoid(tau * margin), tau, 0.0, learning_rate
    )


def online_slic(*, tau: Numeric, learning_rate: Schedule) -> Solver:
    r"""Returns the flow of online SLiC, which does not look for the Nash policy.

    .. math:: l(h) = \max(0, 1 - \tau h)

    In margins: Calandriello et al. 2024 (arXiv:2403.08635); SLiC-HF's own hinge (Zhao
    et al. 2023, arXiv:2305.10425) is of raw log-likelihoods.

    Args:
      tau: strength of the regularisation, > 0.
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant learning rate is out of range.
    """
    return _pair_flow(
        lambda margin, tau: jax.nn.relu(1 - tau * margin), tau, 0.0, learning_rate
    )


def nash_md_pg(*, tau: Numeric, mix: Numeric, learning_rate: Schedule) -> Solver:
    r"""Returns the flow of Nash-MD-PG: policy gradient against the mixture.

    .. math:: loss = -P(\pi > w) + \tau KL(\pi || \mu)

    It has the fixed point of `ipo_md`, and another gradient on the way (Munos et al.
    2023, arXiv:2312.00886, section 7).

    Args:
      tau: strength of the regularisation, >= 0.
      mix: the reference's weight in the mixture, in [0, 1].
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau, mix or a constant learning rate is out of range.
    """
    tau = checks.setting(tau, "tau", least=0)
    mix = checks.setting(mix, "mix", least=0, most=1)

    def loss(log_policy, log_reference, preference):
        writer = jax.lax.stop_gradient(dynamics.anchor(log_policy, log_reference, mix))
        policy = jnp.exp(log_policy)
        wins = measures.wins(jnp.exp(writer), preference)
        return jnp.sum(policy * (tau * (log_policy - log_reference) - wins), -1)

    return _flow(loss, learning_rate)


def self_play_pg(*, tau: Numeric, learning_rate: Schedule) -> Solver:
    """Returns the flow of self-play policy gradient, `nash_md_pg` at mix 0.

    Args:
      tau: strength of the regularisation, >= 0.
      learning_rate: > 0; a number or a function of the step's index.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant learning rate is out of range.
    """
    return nash_md_pg(tau=tau, mix=0.0, learning_rate=learning_rate)


def _pair_flow(loss_of_margin, tau, mix, learning_rate):
    """Returns the flow of a loss of margins, over pairs of the mixture."""
    tau = checks.setting(tau, "tau", above=0)
    mix = checks.setting(mix, "mix", least=0, most=1)

    def loss(log_policy, log_reference, preference):
        writer = dynamics.anchor(log_policy, log_reference, mix)
        writer = jnp.exp(jax.lax.stop_gradient(writer))
        log_ratio = log_policy - log_reference
        margin = log_ratio[..., :, None] - log_ratio[..., None, :]
        losses = 2 * preference * loss_of_margin(margin, tau)
        return jnp.einsum("...y,...yz,...z->...", writer, losses, writer)

    return _flow(loss, learning_rate)


def _flow(loss: Loss, learning_rate: Schedule) -> Solver:
    """Returns gradient descent on a loss, in the logits."""
    learning_rate = schedules.check_rate(learning_rate)

    def advance(state, preference):
        def total(logits):
            log_policy = jax.nn.log_softmax(logits)
            return jnp.sum(loss(log_policy, state.log_reference, preference))

        rate = schedules.at(learning_rate, state.step)
        logits = state.log_policy - rate * jax.grad(total)(state.log_policy)
        return state._replace(log_policy=jax.nn.log_softmax(logits))

    return dynamics.make_solver(advance)
