r"""Equilibria: the Nash policies of finite games, exactly.

Without regularisation a game is a linear program. With it, the Nash policy is the one
solution of pi proportional to mu exp(P(y > pi) / tau). Damped iterations find it when
tau is large; here it is followed down from there: with advantages v, and A = P - 1/2,

    v = A w,    w = pi = softmax(log mu + v / tau),

is solved by Newton's method while log tau decreases, each solution extrapolated along
the path's tangent. A is antisymmetric, so that the Jacobian is invertible at every tau
and the path never turns back.

The same path serves when w is another function of pi (`token_games`). Everything here
is NumPy in float64 on the host.
"""

from collections.abc import Callable

import chex
import numpy as np
import scipy.optimize
import scipy.special

from nashalign.games import preferences

# tau max|log pi - log BR(pi)| of every answer, in win probability.
TOLERANCE = 1e-10

# `opponent(log_policy) -> (w, pull)`, with pull(A) = A dw/d log_policy, `[Y, Y]`.
Opponent = Callable[[np.ndarray], tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]


def nash(preference: chex.Array) -> np.ndarray:
    r"""Returns a Nash policy of each game, by linear programming.

    .. math:: \pi \in \arg\max_p \min_z P(p > z)

    The Nash policy of a game drawn at random is unique. Where it is not, this is a
    vertex of the set of Nash policies: whichever HiGHS's simplex method stops at, not
    the one of maximal entropy.

    Args:
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B, Y]` policy, float64, with exact zeros and an exploitability below 1e-10.

    Raises:
      ValueError: if the preference breaks a law of preferences.
      ArithmeticError: if the linear program fails, or misses that exploitability.
    """
    preference = preferences.check(preference)
    games = preference.reshape(-1, *preference.shape[-2:])
    policies = np.array([_solve_program((game - game.T) / 2) for game in games])
    return policies.reshape(preference.shape[:-1])


def regularized_nash(
    preference: chex.Array, reference: chex.Array, tau: float
) -> np.ndarray:
    r"""Returns the Nash policy of each KL-regularised game.

    .. math:: \pi(y) \propto \mu(y) \exp(P(y > \pi) / \tau)

    As tau grows it tends to the reference; as tau vanishes, to the Nash policy nearest
    to the reference in KL(pi || mu). Munos et al. 2023 (arXiv:2312.00886), eq. 2.

    Args:
      preference: `[*B, Y, Y]` preference.
      reference: `[Y]` or `[*B, Y]` policy mu, positive everywhere.
      tau: strength of the regularisation, > 0; made for 1e-3 to 10.

    Returns:
      `[*B, Y]` policy, float64, with tau max|log pi - log BR(pi)| <= 1e-10.

    Raises:
      ValueError: if an argument breaks its law.
      ArithmeticError: if the path breaks off before that accuracy.
    """
    preference = preferences.check(preference)
    log_reference = np.log(check_policy(reference, "reference"))
    log_reference = np.broadcast_to(log_reference, preference.shape[:-1])
    log_policies = np.empty_like(log_reference)
    for index in np.ndindex(preference.shape[:-2]):
        log_policies[index] = follow_path(
            preference[index], log_reference[index], tau, _itself
        )
    return np.exp(log_policies)


def check_policy(policy: chex.Array, name: str) -> np.ndarray:
    """Returns a policy in float64 if it is one and has full support.

    Args:
      policy: `[*B, Y]` probabilities, positive, adding up to 1 within 1e-5 (float32).
      name: what an error calls it.

    Returns:
      `[*B, Y]` float64.

    Raises:
      ValueError: naming the first entry that is not positive, or the wrong sum.
    """
    policy = np.asarray(policy, np.float64)
    positive = (policy > 0) & np.isfinite(policy)
    if not np.all(positive):
        entry = tuple(int(axis) for axis in np.argwhere(~positive)[0])
        raise ValueError(
            f"{name}{list(entry)} = {policy[entry]:.6g}, but must be positive: a "
            "response of probability 0 is left out of the game instead"
        )
    total = policy.sum(axis=-1, keepdims=True)
    if np.abs(total - 1).max() > 1e-5:
        worst = total.flat[np.abs(total - 1).argmax()]
        raise ValueError(f"{name} must add up to 1 over responses, not to {worst:.6g}")
    return policy


def follow_path(
    preference: np.ndarray, log_reference: np.ndarray, tau: float, opponent: Opponent
) -> np.ndarray:
    r"""Solves pi = softmax(log mu + P w(pi) / tau), following tau down.

    Args:
      preference: `[Y, Y]` preference.
      log_reference: `[Y]` logarithm of mu, nats.
      tau: strength of the regularisation, > 0.
      opponent: the policy w that responses are scored against, a function of pi, with
        its derivative.

    Returns:
      `[Y]` log pi, float64, with tau max|log pi - log BR(w(pi))| <= 1e-10.

    Raises:
      ValueError: if tau is not positive.
      ArithmeticError: if the path breaks off before that accuracy.
    """
    chex.assert_shape(preference, (*log_reference.shape, *log_reference.shape))
    if not (tau > 0 and np.isfinite(tau)):
        raise ValueError(f"tau must be positive and finite, not {tau}")
    problem = (preference - 0.5, log_reference, opponent)
    # At tau = 1 the best response is already a contraction.
    log_tau, end = np.log(max(tau, 1.0)), np.log(tau)
    advantages = np.zeros_like(log_reference)
    tangent, stride = np.zeros_like(log_reference), 0.0
    while True:
        trial = max(log_tau - stride, end)
        guess = advantages + tangent * (trial - log_tau)
        corrected, iterations = _correct(guess, np.exp(trial), *problem)
        if corrected is not None:
            log_tau, advantages = trial, corrected
            if log_tau == end:
                break
            tangent = _tangent(advantages, np.exp(log_tau), *problem)
            stride = 0.25 if stride == 0 else stride * (2.0 if iterations < 4 else 1.0)
        elif stride < 1e-6:
            raise ArithmeticError(
                f"no fixed point found below tau = {np.exp(log_tau):.3g}, on the way "
                f"to {tau:.3g}: the path turns back or the game is ill-conditioned"
            )
        else:
            stride /= 2
    return _finish(advantages, tau, *problem)


def _itself(log_policy):
    """Returns the policy as its own opponent, with its derivative."""
    policy = np.exp(log_policy)
    return policy, lambda matrix: matrix * policy


def _linearise(advantages, tau, game, log_reference, opponent):
    """Returns v - A w(v) and its Jacobian with respect to v."""
    log_policy = _log_softmax(log_reference + advantages / tau)
    weights, pull = opponent(log_policy)
    slope = pull(game) / tau
    # d log pi = (dv - <pi, dv>) / tau
    jacobian = np.outer(slope.sum(axis=1), np.exp(log_policy)) - slope
    jacobian[np.diag_indices_from(jacobian)] += 1
    return advantages - game @ weights, jacobian


def _correct(advantages, tau, *problem):
    """Returns Newton's solution at tau, or None, and how many iterations it took."""
    for iteration in range(8):
        residual, jacobian = _linearise(advantages, tau, *problem)
        # A win rate's advantage is at most 1/2: whatever is beyond has diverged.
        if not np.abs(residual).max() < 10:
            return None, iteration
        if np.abs(residual).max() < TOLERANCE / 5:
            return advantages, iteration
        advantages = advantages - np.linalg.solve(jacobian, residual)
    return None, 8


def _tangent(advantages, tau, *problem):
    """Returns dv / d log tau along the path of solutions."""
    _, jacobian = _linearise(advantages, tau, *problem)
    # v depends on log tau as on a direction -v of its own: J dv = (J - 1) v.
    return advantages - np.linalg.solve(jacobian, advantages)


def _finish(advantages, tau, game, log_reference, opponent):
    """Returns log pi after a last Newton step, or raises if it is not a solution."""
    problem = (game, log_reference, opponent)
    residual, jacobian = _linearise(advantages, tau, *problem)
    advantages = advantages - np.linalg.solve(jacobian, residual)
    log_policy = _log_softmax(log_reference + advantages / tau)
    response = _log_softmax(log_reference + game @ opponent(log_policy)[0] / tau)
    error = tau * np.abs(log_policy - response).max()
    if not error <= TOLERANCE:
        raise ArithmeticError(
            f"fixed point at tau = {tau:.3g} is only {error:.1e} true"
        )
    return log_policy


def _log_softmax(logits):
    """Returns normalised log-probabilities, `[Y]`."""
    return logits - scipy.special.logsumexp(logits)


def _solve_program(game):
    """Returns a vertex of the Nash policies of an antisymmetric game `[Y, Y]`."""
    size = len(game)
    # Variables: the policy, then its worst advantage, which is to be maximised.
    answer = scipy.optimize.linprog(
        np.append(np.zeros(size), -1.0),
        A_ub=np.hstack([-game.T, np.ones((size, 1))]),
        b_ub=np.zeros(size),
        A_eq=[np.append(np.ones(size), 0.0)],
        b_eq=[1.0],
        bounds=[(0, None)] * size + [(None, None)],
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10},
    )
    if not answer.success:
        raise ArithmeticError(f"the linear program of a game failed: {answer.message}")
    policy = _polish(np.maximum(answer.x[:-1], 0), game)
    if (game @ policy).max() > TOLERANCE:
        raise ArithmeticError(f"Nash policy is exploitable by {(game @ policy).max()}")
    return policy


def _polish(policy, game):
    """Returns the policy with the constraints that bind at it met to rounding."""
    played = policy > 1e-9
    binding = np.abs(game @ policy) < 1e-9
    system = np.vstack([game[np.ix_(binding, played)], np.ones(played.sum())])
    target = np.append(np.zeros(binding.sum()), 1.0)
    correction = np.linalg.lstsq(system, target - system @ policy[played])[0]
    polished = np.zeros_like(policy)
    polished[played] = np.maximum(policy[played] + correction, 0)
    return polished / polished.sum()
