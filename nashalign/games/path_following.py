r"""Path following: fixed points of regularised games, from large tau down to small.

With advantages v, and A = P - 1/2,

    v = A w(pi),    pi = softmax(log mu + v / tau),

is solved by Newton's method while log tau decreases, each solution extrapolated along
the path's tangent. Damped iterations find it where tau is large; from there the path
leads down. Where w = pi, A being antisymmetric, the Jacobian is invertible at every tau
and the path never turns back. Games of a batch go down together, each to its own tau.

Everything here is NumPy in float64 on the host.
"""

from collections.abc import Callable

import chex
import numpy as np
import scipy.special

from nashalign import checks

# tau max|log pi - log BR(pi)| of every answer, in win probability.
TOLERANCE = 1e-10

# `opponent(log_policy [N, Y]) -> (w [N, Y], pull)`, pull(A) = A dw/d log_policy,
# `[N, Y, Y]`.
Opponent = Callable[[np.ndarray], tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]


def follow_path(
    preference: np.ndarray,
    log_reference: np.ndarray,
    tau: float | np.ndarray,
    opponent: Opponent,
) -> np.ndarray:
    r"""Solves pi = softmax(log mu + P w(pi) / tau) of each game, following tau down.

    Args:
      preference: `[N, Y, Y]` preference.
      log_reference: `[N, Y]` logarithm of mu, nats.
      tau: `[]` or `[N]` strength of the regularisation, > 0.
      opponent: the policy w that responses are scored against, a function of pi, with
        its derivative.

    Returns:
      `[N, Y]` log pi, float64, with tau max|log pi - log BR(w(pi))| <= 1e-10.

    Raises:
      ValueError: if tau is not positive.
      ArithmeticError: if the path breaks off before that accuracy.
    """
    chex.assert_shape(preference, (*log_reference.shape, log_reference.shape[-1]))
    tau = np.broadcast_to(checks.number(tau, "tau", above=0), len(log_reference))
    tau = tau.astype(np.float64)[:, None]
    problem = (preference - 0.5, log_reference, opponent)
    # At tau = 1 the best response is already a contraction: the games above it are
    # where they should be, and wait there for the others.
    ends = np.log(tau)
    level, lowest = 0.0, ends.min(initial=0.0)
    advantages, tangent = np.zeros_like(log_reference), np.zeros_like(log_reference)
    stride = 0.0
    while True:
        trial = max(level - stride, lowest)
        way = np.maximum(trial, ends) - np.maximum(level, ends)
        guess = advantages + tangent * way
        found = _correct(guess, np.exp(np.maximum(trial, ends)), *problem)
        if found is not None:
            level, (advantages, tangent, iterations) = trial, found
            if level == lowest:
                break
            stride = 0.25 if stride == 0 else stride * (2.0 if iterations < 4 else 1.0)
        elif stride < 1e-6:
            raise ArithmeticError(
                f"no fixed point found below tau = {np.exp(level):.3g}, on the way "
                f"to {tau.min():.3g}: the path turns back or the game is "
                "ill-conditioned"
            )
        else:
            stride /= 2
    # One step more squares what error is left.
    found = _correct(advantages, tau, *problem)
    return _checked(advantages if found is None else found[0], tau, *problem)


def _correct(advantages, tau, game, log_reference, opponent):
    """Returns Newton's solution at tau and the path's tangent there, or None.

    Between them, how many linear systems it took, at least one.
    """
    tangent = None
    for iteration in range(9):
        log_policy = _log_softmax(log_reference + advantages / tau)
        weights, pull = opponent(log_policy)
        residual = advantages - _times(game, weights)
        error = np.abs(residual).max(initial=0.0)
        if tangent is not None and error < TOLERANCE / 5:
            return advantages, tangent, iteration
        # A win rate's advantage is at most 1/2: whatever is beyond has diverged.
        if not error < 10:
            return None
        # d log pi = (dv - <pi, dv>) / tau
        jacobian = pull(game)
        jacobian /= -tau[:, :, None]
        jacobian -= jacobian.sum(axis=-1)[:, :, None] * np.exp(log_policy)[:, None, :]
        np.einsum("nyy->ny", jacobian)[...] += 1
        # v depends on log tau as on a direction -v of its own: J dv = (J - 1) v.
        both = np.stack([residual, advantages], axis=-1)
        correction, pulled = np.moveaxis(np.linalg.solve(jacobian, both), -1, 0)
        advantages, tangent = advantages - correction, advantages - pulled
    return None


def _checked(advantages, tau, game, log_reference, opponent):
    """Returns log pi, or raises if it is not a solution."""
    log_policy = _log_softmax(log_reference + advantages / tau)
    wins = _times(game, opponent(log_policy)[0])
    response = _log_softmax(log_reference + wins / tau)
    errors = (tau * np.abs(log_policy - response)).max(axis=-1)
    wrong = ~(errors <= TOLERANCE)
    if np.any(wrong):
        raise ArithmeticError(
            f"fixed point at tau = {tau[wrong][0, 0]:.3g} is only "
            f"{errors[wrong][0]:.1e} true"
        )
    return log_policy


def _times(game, weights):
    """Returns A w of each game, `[N, Y]`."""
    return np.matmul(game, weights[:, :, None])[:, :, 0]


def _log_softmax(logits):
    """Returns normalised log-probabilities, `[N, Y]`."""
    return logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
