r"""Proximal dynamics: held to policies of the past rather than to one reference.

For any tau > 0, the Nash policy of the game held to the last solution is nearer, in
KL(Nash || .), to every Nash policy of the game without regularisation than the last
solution was. Repeated, this converges to a Nash policy however large tau is: COMAL,
magnetic preference optimisation and NashPG differ in how the inner game is solved and
in how often the reference moves, never a step sooner than it must.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.games import dynamics, measures, mirror, schedules
from nashalign.games.dynamics import Solver
from nashalign.games.schedules import Schedule
from nashalign.types import Array, Numeric

# `slope(log_policy, log_reference) -> [*B, Y]`, the derivative of a regulariser
# R(pi, mu) with respect to pi(y), up to what all responses share.
Slope = Callable[[jax.Array, jax.Array], jax.Array]


def comal(*, tau: Numeric, eta: Schedule, num_inner: int) -> Solver:
    r"""Returns COMAL: mirror descent whose reference moves to it now and then.

    After every `num_inner` steps of `mirror_descent` the reference becomes the policy.
    With enough of them to solve the inner game, the last policy converges to a Nash
    policy of the game without regularisation; with one it is multiplicative weights,
    whatever tau is, which diverge around a Nash policy that mixes responses. Liu et al.
    2024 (arXiv:2410.23223), with their eta.

    Args:
      tau: strength of the regularisation of the inner game, > 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.
      num_inner: steps from one reference to the next, >= 1.

    Returns:
      The solver; `state.log_reference` is the last solution.

    Raises:
      ValueError: if an argument is out of range.
    """
    if checks.known(num_inner):
        num_inner = checks.whole(num_inner, "num_inner")
    tau = checks.setting(tau, "tau", above=0)
    inner = mirror.mirror_descent(tau=tau, eta=eta)

    def advance(state, preference):
        after = inner.update(state, preference)
        solved = after.step % num_inner == 0
        moved = jnp.where(solved, after.log_policy, state.log_reference)
        return state._replace(log_policy=after.log_policy, log_reference=moved)

    return dynamics.make_solver(advance)


def magnetic_descent(*, tau: Numeric, paper_eta: Schedule, num_inner: int) -> Solver:
    r"""Returns magnetic mirror descent with a refreshed magnet: `comal`, another step.

    .. math:: \log \pi_{t+1} = \frac{\log \pi_t + \eta' \tau \log \rho
              + \eta' P(y > \pi_t)}{1 + \eta' \tau} + constant, \quad
              \eta = \frac{\eta'}{1 + \eta' \tau}

    with the magnet rho moved to the policy every `num_inner` steps and eta' that of the
    papers: magnetic preference optimisation (MPO, Wang et al. 2024, arXiv:2410.16714)
    and NashPG (2025, arXiv:2510.18183). The divergence of the magnets from a Nash
    policy falls at every refresh once the inner game is solved well enough.

    Args:
      tau: pull of the magnet, > 0.
      paper_eta: the papers' eta', > 0; a number or a function of the step's index.
      num_inner: steps from one magnet to the next, >= 1.

    Returns:
      The solver; `state.log_reference` is the magnet.

    Raises:
      ValueError: if an argument is out of range.
    """
    tau = checks.setting(tau, "tau", above=0)
    eta = schedules.convert(paper_eta, lambda eta: eta / (1 + eta * tau))
    return comal(tau=tau, eta=eta, num_inner=num_inner)


def reverse_kl(log_policy: Array, log_reference: Array) -> jax.Array:
    """Returns the slope of KL(pi || mu): log pi - log mu, `[*B, Y]`."""
    return jnp.asarray(log_policy - log_reference)


def forward_kl(log_policy: Array, log_reference: Array) -> jax.Array:
    """Returns the slope of KL(mu || pi): -mu / pi, `[*B, Y]`."""
    return -jnp.exp(log_reference - log_policy)


def chi_squared(log_policy: Array, log_reference: Array) -> jax.Array:
    """Returns the slope of the sum of (pi - mu)^2 / mu: 2 pi / mu, `[*B, Y]`."""
    return 2 * jnp.exp(log_policy - log_reference)


def rspo(*, tau: Numeric, eta: Schedule, slope: Slope = reverse_kl) -> Solver:
    r"""Returns regularised self-play: mirror descent on any regulariser's slope.

    .. math:: \pi_{t+1} \propto \pi_t
              \exp(\eta (P(y > \pi_t) - \tau \partial_{\pi(y)} R(\pi_t, \mu)))

    Where it converges, it is at the Nash policy of the game with
    -tau R(p, mu) + tau R(q, mu) added: P(y > pi) - tau slope(y) is the same for every
    y. With `reverse_kl` it is `mirror_descent`. Tang et al. 2025 (arXiv:2503.00030),
    whose loss is SPPO's plus the regulariser. Of the form in their code, for reverse KL
    with weight c beside SPPO's (1/2) (log pi / pi_t - g)^2, g = (P - 1/2) / beta, the
    step is eta = 1 / (beta (1 + 2 c)) and tau = 2 c beta.

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.
        `forward_kl` and `chi_squared` need small ones: their slopes have no bound.
      slope: of the regulariser.

    Returns:
      The solver.

    Raises:
      ValueError: if tau or a constant eta is out of range.
    """
    tau, eta = schedules.check_step(tau, eta)

    def advance(state, preference):
        wins = measures.wins(jnp.exp(state.log_policy), preference)
        pull = slope(state.log_policy, state.log_reference)
        step = schedules.at(eta, state.step)
        logits = state.log_policy + step * (wins - tau * pull)
        return state._replace(log_policy=jax.nn.log_softmax(logits))

    return dynamics.make_solver(advance)


def multiplayer(*, tau: Numeric, eta: Schedule, weights: Sequence[float]) -> Solver:
    r"""Returns multiplayer Nash policy optimisation: the last policies as opponents.

    .. math:: \pi_{t+1} \propto \mu^{\eta\tau}
              \Big(\prod_j \pi_{t-j}^{\lambda_j}\Big)^{1-\eta\tau}
              \exp\Big(\eta \sum_j \lambda_j P(y > \pi_{t-j})\Big)

    Before the first step all of them are the reference. With weights (1, 0, ...) it is
    `inpo`. Wu et al. 2025 (arXiv:2509.23102), the time-dependent form, whose rho is our
    eta tau and whose practical eta, as in INPO, is 1 / eta.

    Args:
      tau: strength of the regularisation, >= 0.
      eta: step, > 0 with eta tau <= 1; a number or a function of the step's index.
      weights: lambda of the current policy, the one before, ...; >= 0, sum 1.

    Returns:
      The solver; its memory is the policies before the current one, the latest first,
      `[len(weights) - 1, *B, Y]` logarithms.

    Raises:
      ValueError: if an argument is out of range.
    """
    tau, eta = schedules.check_step(tau, eta)
    checks.number(weights, "weights", least=0)
    if np.ndim(weights) != 1 or abs(np.sum(weights) - 1) > 1e-6:
        raise ValueError(f"weights must be >= 0 and add up to 1, not {weights}")

    def advance(state, preference):
        history = jnp.concatenate([state.log_policy[None], state.memory])
        shares = jnp.asarray(weights, history.dtype)
        past = jnp.tensordot(shares, history, axes=1)
        rivals = jnp.tensordot(shares, jnp.exp(history), axes=1)
        step = schedules.at(eta, state.step)
        anchor = dynamics.anchor(past, state.log_reference, step * tau)
        wins = measures.wins(rivals, preference)
        moved = jax.nn.log_softmax(anchor + step * wins)
        return state._replace(log_policy=moved, memory=history[:-1])

    def remember(log_reference):
        return jnp.stack([log_reference] * len(weights))[1:]

    return dynamics.make_solver(advance, remember)
