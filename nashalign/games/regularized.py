r"""Regularised equilibria: the one Nash policy of a KL-regularised game, exactly.

It solves pi proportional to mu exp(P(y > pi) / tau), and is found by following it down
from large tau (`path_following`), in NumPy and float64 on the host.

How it moves with the game, the reference and tau follows from the equation alone: with
A = P - 1/2, S = diag(pi) - pi pi^T and u = log mu + A pi / tau, of which pi is the
softmax,

    (tau - A S) du = tau dlog mu + dP pi - A pi dtau / tau,    dpi = S du,

a linear system that has a solution wherever there is a Nash policy, as A is
antisymmetric. Inside `jax.grad`, `jax.jit` and `jax.vmap` the host is asked for the
policy, and the device solves the system.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.games import arguments, path_following
from nashalign.types import Array, Numeric

# Entries of the matrices that go down together: 32 MB each.
_MOST_ENTRIES = 4_000_000


def regularized_nash(
    preference: Array, reference: Array, tau: Numeric
) -> np.ndarray | jax.Array:
    r"""Returns the Nash policy of each KL-regularised game.

    .. math:: \pi(y) \propto \mu(y) \exp(P(y > \pi) / \tau)

    As tau grows it tends to the reference; as tau vanishes, to the Nash policy nearest
    to the reference in KL(pi || mu). Munos et al. 2023 (arXiv:2312.00886), eq. 2.

    It has derivatives of any order, forwards and backwards, in all three arguments.
    The reference's are those of mu over its sum; a preference's, one for each entry,
    as if P(y > z) moved without P(z > y). They grow like 1 / tau: at a small tau they
    need float64.

    Args:
      preference: `[*B, Y, Y]` preference.
      reference: `[Y]` or `[*B, Y]` policy mu, positive everywhere.
      tau: `[]` or `[*B]` strength of the regularisation, > 0; made for 1e-3 to 10. The
        three batches are broadcast: one game at many tau is solved in one call.

    Returns:
      `[*B, Y]` policy with tau max|log pi - log BR(pi)| <= 1e-10: NumPy in float64. If
      something is traced, a JAX array in the precision of the arguments, and NaN where
      one breaks its law.

    Raises:
      ValueError: if an argument breaks its law.
      ArithmeticError: if the path breaks off before that accuracy; inside a compiled
        program, JAX's error with its text.
    """
    preference, reference = arguments.game(preference=preference, reference=reference)
    reference = arguments.policy(reference, "reference", positive=True)
    tau = checks.number(tau, "tau", above=0)
    shape = _batch(preference, reference, tau)
    if checks.known(preference, reference, tau):
        preference = np.asarray(preference, np.float64)
        log_reference = np.log(np.asarray(reference, np.float64))
        return np.exp(_solve(preference, log_reference, np.asarray(tau), shape))
    dtype = jnp.result_type(preference, reference, tau, jnp.float32)
    preference, reference, tau = (
        jnp.asarray(value, dtype) for value in (preference, reference, tau)
    )
    # Of one rank, they stay together where `jax.vmap` puts an axis in front.
    return jnp.exp(
        _log_nash(
            _lifted(preference, len(shape) + 2),
            jnp.log(_lifted(reference, len(shape) + 1)),
            _lifted(tau, len(shape)),
        )
    )


def _batch(preference, reference, tau):
    """Returns the shape `[*B]` of all games, or raises a ValueError."""
    games = np.broadcast_shapes(reference.shape[:-1], preference.shape[:-2])
    try:
        return np.broadcast_shapes(games, np.shape(tau))
    except ValueError:
        raise ValueError(
            f"tau of shape {list(np.shape(tau))} is not of the batch {list(games)} of "
            "the games and the reference: give one tau, or one for each game"
        ) from None


def _lifted(value, rank):
    """Returns an array with axes of length 1 in front of its own."""
    return value.reshape((1,) * (rank - value.ndim) + value.shape)


@jax.custom_jvp
def _log_nash(preference, log_reference, tau):
    """Returns log pi `[*B, Y]`, of arguments with as many batch axes each."""
    shape = (*_batch(preference, log_reference, tau), preference.shape[-1])
    answer = jax.ShapeDtypeStruct(shape, preference.dtype)
    return jax.pure_callback(
        _solve_lawful,
        answer,
        preference,
        log_reference,
        tau,
        vmap_method="expand_dims",
    )


@_log_nash.defjvp
def _derive(primals, tangents):
    """Returns log pi and its derivative along the tangents, by the linear system."""
    preference, _, tau = primals
    turn, shift, change = tangents
    log_policy = _log_nash(*primals)
    policy = jnp.exp(log_policy)
    game, tau, change = preference - 0.5, tau[..., None], change[..., None]
    advantages = _times(game, policy)
    pull = (game - advantages[..., None]) * policy[..., None, :]  # A S
    identity = _lifted(jnp.eye(policy.shape[-1], dtype=policy.dtype), pull.ndim)
    system = tau[..., None] * identity - pull
    right = tau * shift + _times(turn, policy) - advantages * change / tau
    moved = jnp.linalg.solve(system, right[..., None])[..., 0]
    return log_policy, moved - jnp.sum(policy * moved, axis=-1, keepdims=True)


def _times(matrix, vector):
    """Returns the product of each matrix `[*B, Y, Y]` with its vector `[*B, Y]`."""
    return jnp.matmul(matrix, vector[..., None])[..., 0]


def _solve_lawful(preference, log_reference, tau):
    """Returns log pi where a compiled program asks, NaN where it marked an argument."""
    dtype = preference.dtype
    preference, log_reference, tau = (
        np.asarray(value, np.float64) for value in (preference, log_reference, tau)
    )
    broken = np.isnan(preference).any(axis=(-1, -2)) | np.isnan(tau)
    broken = broken | np.isnan(log_reference).any(axis=-1)
    policies = _solve(
        np.where(np.isnan(preference), 0.5, preference),
        np.where(np.isnan(log_reference), 0.0, log_reference),
        np.where(np.isnan(tau), 1.0, tau),
        broken.shape,
    )
    return np.where(broken[..., None], np.nan, policies).astype(dtype)


def _solve(preference, log_reference, tau, shape):
    """Returns log pi `[*B, Y]` of games of batch shape `[*B]`, some at a time."""
    size = preference.shape[-1]
    count, step = math.prod(shape), max(1, _MOST_ENTRIES // size**2)
    game = _entries(preference, shape, 2)
    anchor = _entries(log_reference, shape, 1)
    strength = _entries(tau, shape, 0)
    some = [slice(start, start + step) for start in range(0, count, step)]
    found = [
        path_following.follow_path(game(own), anchor(own), strength(own), _itself)
        for own in some
    ]
    return np.concatenate([np.zeros((0, size)), *found]).reshape(*shape, size)


def _entries(
    values: np.ndarray, shape: tuple[int, ...], rank: int
) -> Callable[[slice], np.ndarray]:
    """Returns a function of some entries of the batch, which copies no more than those.

    Args:
      values: `[*b, ...]` array whose own batch is broadcast to `[*B]`.
      shape: `[*B]`.
      rank: number of axes behind the batch's.
    """
    own = values.shape[: values.ndim - rank]
    flat = values.reshape(-1, *values.shape[values.ndim - rank :])
    if own == shape:
        return lambda some: flat[some]
    numbers = np.broadcast_to(np.arange(len(flat)).reshape(own), shape).ravel()
    return lambda some: flat[numbers[some]]


def _itself(log_policy):
    """Returns the policy as its own opponent, with its derivative."""
    policy = np.exp(log_policy)
    return policy, lambda matrix: matrix * policy[:, None, :]
