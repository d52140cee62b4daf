r"""Regularised equilibria: the one Nash policy of a KL-regularised game, exactly.

It solves pi proportional to mu exp(P(y > pi) / tau). Damped iterations find it when tau
is large; here it is followed down from there: with advantages v, and A = P - 1/2,

    v = A w,    w = pi = softmax(log mu + v / tau),

is solved by Newton's method while log tau decreases, each solution extrapolated along
the path's tangent. A is antisymmetric, so that the Jacobian is invertible at every tau
and the path never turns back. Games of a batch go down together.

The same path serves when w is another function of pi (`token_games`). Everything here
is NumPy in float64 on the host.
"""

from collections.abc import Callable

import chex
import numpy as np
import scipy.special

from nashalign import checks
from nashalign.games import doors, preferences

# tau max|log pi - log BR(pi)| of every answer, in win probability.
TOLERANCE = 1e-10

# `opponent(log_policy [N, Y]) -> (w [N, Y], pull)`, pull(A) = A dw/d log_policy,
# `[N, Y, Y]`.
Opponent = Callable[[np.ndarray], tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]

# Entries of the matrices that go down together: 32 MB each.
_MOST_ENTRIES = 4_000_000


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
    doors.game(preference=preference, reference=reference)
    preference = preferences.check(preference)
    log_reference = np.log(preferences.check_policy(reference, "reference"))
    shape = np.broadcast_shapes(log_reference.shape, preference.shape[:-1])
    games = np.broadcast_to(preference, (*shape, shape[-1])).reshape(
        -1, *preference.shape[-2:]
    )
    anchors = np.broadcast_to(log_reference, shape).reshape(-1, shape[-1])
    size = max(1, _MOST_ENTRIES // games[0].size) if len(games) else 1
    log_policies = [
        follow_path(games[i : i + size], anchors[i : i + size], tau, _itself)
        for i in range(0, len(games), size)
    ]
    return np.exp(np.concatenate([anchors[:0], *log_policies])).reshape(shape)


def follow_path(
    preference: np.ndarray, log_reference: np.ndarray, tau: float, opponent: Opponent
) -> np.ndarray:
    r"""Solves pi = softmax(log mu + P w(pi) / tau) of each game, following tau down.

    Args:
      preference: `[N, Y, Y]` preference.
      log_reference: `[N, Y]` logarithm of mu, nats.
      tau: strength of the regularisation, > 0.
      opponent: the policy w that responses are scored against, a function of pi, with
        its derivative.

    Returns:
      `[N, Y]` log pi, float64, with tau max|log pi - log BR(w(pi))| <= 1e-10.

    Raises:
      ValueError: if tau is not positive.
      ArithmeticError: if the path breaks off before that accuracy.
    """
    chex.assert_shape(preference, (*log_reference.shape, log_reference.shape[-1]))
    tau = float(checks.setting(tau, "tau", above=0))
    problem = (preference - 0.5, log_reference, opponent)
    # At tau = 1 the best response is already a contraction.
    log_tau, end = np.log(max(tau, 1.0)), np.log(tau)
    advantages, tangent = np.zeros_like(log_reference), np.zeros_like(log_reference)
    stride = 0.0
    while True:
        trial = max(log_tau - stride, end)
        guess = advantages + tangent * (trial - log_tau)
        found = _correct(guess, np.exp(trial), *problem)
        if found is not None:
            log_tau, (advantages, tangent, iterations) = trial, found
            if log_tau == end:
                break
            stride = 0.25 if stride == 0 else stride * (2.0 if iterations < 4 else 1.0)
        elif stride < 1e-6:
            raise ArithmeticError(
                f"no fixed point found below tau = {np.exp(log_tau):.3g}, on the way "
                f"to {tau:.3g}: the path turns back or the game is ill-conditioned"
            )
        else:
            stride /= 2
    # One step more squares what error is left.
    found = _correct(advantages, tau, *problem)
    return _checked(advantages if found is None else found[0], tau, *problem)


def _itself(log_policy):
    """Returns the policy as its own opponent, with its derivative."""
    policy = np.exp(log_policy)
    return policy, lambda matrix: matrix * policy[:, None, :]


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
        jacobian /= -tau
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
    error = tau * np.abs(log_policy - response).max(initial=0.0)
    if not error <= TOLERANCE:
        raise ArithmeticError(
            f"fixed point at tau = {tau:.3g} is only {error:.1e} true"
        )
    return log_policy


def _times(game, weights):
    """Returns A w of each game, `[N, Y]`."""
    return np.matmul(game, weights[:, :, None])[:, :, 0]


def _log_softmax(logits):
    """Returns normalised log-probabilities, `[N, Y]`."""
    return logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
