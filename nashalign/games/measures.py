r"""Measures: how far policies are from each other, and from equilibrium.

The regularised game is J(p, q) = P(p > q) - tau KL(p || mu) + tau KL(q || mu), mu being
the reference. It is symmetric and of constant sum 1. Its best response to q is
mu exp(P(y > q) / tau) up to normalisation, and a policy that is its own best response
is the Nash policy.

Policies are probabilities `[*B, Y]` and preferences `[*B, Y, Y]`, in the order policy,
preference, reference, tau everywhere. What is none is a ValueError; traced, it becomes
NaN. Everything here is pure JAX in the precision of its arguments; float32 sees gaps
down to about 1e-7.
"""

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import checks
from nashalign.games import arguments
from nashalign.types import Array, Numeric


def win_rates(opponent: Array, preference: Array) -> jax.Array:
    r"""Returns each response's probability of beating the opponent.

    .. math:: P(y > q) = \sum_z P_{yz} q(z)

    Args:
      opponent: `[*B, Y]` policy q.
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B, Y]` probabilities.

    Raises:
      ValueError: if an argument breaks its law.
    """
    return wins(*arguments.game(opponent=opponent, preference=preference))


def wins(opponent: Array, preference: Array) -> jax.Array:
    """Returns `win_rates` without looking at the arguments: for what runs in loops."""
    return jnp.matmul(preference, jnp.asarray(opponent)[..., None])[..., 0]


def best_response(
    opponent: Array,
    preference: Array,
    reference: Array,
    tau: Numeric,
) -> jax.Array:
    r"""Returns the best regularised response to an opponent.

    .. math:: p(y) \propto \mu(y) \exp(P(y > q) / \tau)

    It maximises P(p > q) - tau KL(p || mu), and is offline IPO's optimum when q wrote
    the data (Azar et al. 2023, arXiv:2310.12036).

    Args:
      opponent: `[*B, Y]` policy q.
      preference: `[*B, Y, Y]` preference.
      reference: `[*B, Y]` policy mu.
      tau: strength of the regularisation, > 0.

    Returns:
      `[*B, Y]` policy.

    Raises:
      ValueError: if an argument breaks its law, or tau is not positive.
    """
    opponent, preference, reference = arguments.game(
        opponent=opponent, preference=preference, reference=reference
    )
    tau = checks.setting(tau, "tau", above=0)
    return jnp.exp(_log_best_response(opponent, preference, reference, tau))


def duality_gap(
    policy: Array,
    preference: Array,
    reference: Array | None = None,
    tau: Numeric = 0.0,
) -> jax.Array:
    r"""Returns the distance of a policy from the Nash equilibrium, in win probability.

    .. math:: \max_p J(p, \pi) - \min_q J(\pi, q) = 2 \tau KL(\pi || BR(\pi))

    The right-hand side, used for tau > 0, has no cancellation against 1/2. At tau = 0
    the gap is 2 max_y P(y > pi) - 1.

    Args:
      policy: `[*B, Y]` policy pi.
      preference: `[*B, Y, Y]` preference.
      reference: `[*B, Y]` policy mu; may be left out where tau is 0.
      tau: strength of the regularisation, >= 0; may be traced if there is a reference.

    Returns:
      `[*B]` gap, >= 0 and 0 only at a Nash policy.

    Raises:
      ValueError: if an argument breaks its law, or tau is given without a reference.
    """
    policy, preference, reference = arguments.game(
        policy=policy, preference=preference, reference=reference
    )
    tau = checks.setting(tau, "tau", least=0)
    plain = 2 * jnp.max(wins(policy, preference), axis=-1) - 1
    # At a Nash policy the largest win rate may be rounded to less than a half.
    plain = jnp.where(plain < 0, 0.0, plain)
    if reference is None:
        if not checks.known(tau) or np.any(np.asarray(tau) != 0):
            raise ValueError(f"duality_gap at tau = {tau} needs a reference")
        return plain
    safe_tau = jnp.where(tau > 0, tau, 1.0).astype(plain.dtype)
    log_response = _log_best_response(policy, preference, reference, safe_tau)
    divergence = _kl(jnp.broadcast_to(policy, log_response.shape), log_response)
    plain = jnp.broadcast_to(plain, divergence.shape)
    return jnp.where(tau > 0, 2 * safe_tau * divergence, plain)


def exploitability(policy: Array, preference: Array) -> jax.Array:
    r"""Returns by how much the strongest opponent beats a policy.

    .. math:: \max_y P(y > \pi) - 1/2

    Half of the unregularised duality gap; NashConv over the number of players.

    Args:
      policy: `[*B, Y]` policy pi.
      preference: `[*B, Y, Y]` preference.

    Returns:
      `[*B]` probability in [0, 1/2].

    Raises:
      ValueError: if an argument breaks its law.
    """
    return duality_gap(policy, preference) / 2


def nash_conv(
    policy: Array,
    opponent: Array,
    preference: Array,
    reference: Array | None = None,
    tau: Numeric = 0.0,
) -> jax.Array:
    r"""Returns what two players together can gain by deviating, each alone.

    .. math:: \max_p J(p, q) - J(\pi, q) + J(\pi, q) - \min_p J(\pi, p)

    Of a policy with itself it is `duality_gap`; as the game is symmetric, of two it is
    the mean of theirs (Lanctot et al. 2017, arXiv:1711.00832).

    Args:
      policy: `[*B, Y]` policy pi of the first player.
      opponent: `[*B, Y]` policy q of the second.
      preference: `[*B, Y, Y]` preference.
      reference: `[*B, Y]` policy mu; may be left out where tau is 0.
      tau: strength of the regularisation, >= 0.

    Returns:
      `[*B]` gain in win probability, >= 0 and 0 only at an equilibrium.

    Raises:
      ValueError: if tau is given without a reference.
    """
    policy, opponent, preference = arguments.game(
        policy=policy, opponent=opponent, preference=preference
    )
    gaps = [duality_gap(p, preference, reference, tau) for p in (policy, opponent)]
    return (gaps[0] + gaps[1]) / 2


def kl(policy: Array, reference: Array) -> jax.Array:
    r"""Returns the Kullback-Leibler divergence of a policy from a reference.

    .. math:: \sum_y \pi(y) \log(\pi(y) / \mu(y))

    Args:
      policy: `[*B, Y]` policy pi; may have zeros.
      reference: `[*B, Y]` policy mu; the batches are broadcast.

    Returns:
      `[*B]` nats, >= 0; infinite where the reference lacks a response of the policy.

    Raises:
      ValueError: if one is no policy, or they are not over the same responses.
    """
    policy = arguments.policy(policy, "policy")
    reference = arguments.policy(reference, "reference")
    policy, reference = _broadcast(policy, reference, "reference")
    return _kl(policy, jnp.log(reference))


def total_variation(policy: Array, other: Array) -> jax.Array:
    r"""Returns the total variation distance of two policies.

    .. math:: \frac12 \sum_y |p(y) - q(y)|

    Args:
      policy: `[*B, Y]` policy p.
      other: `[*B, Y]` policy q; the batches are broadcast.

    Returns:
      `[*B]` distance in [0, 1].

    Raises:
      ValueError: if one is no policy, or they are not over the same responses.
    """
    policy, other = arguments.policy(policy, "policy"), arguments.policy(other, "other")
    policy, other = _broadcast(policy, other, "other")
    return jnp.abs(policy - other).sum(axis=-1) / 2


def _broadcast(policy, other, name):
    """Returns two policies with one batch, or raises if their responses differ."""
    if policy.shape[-1:] != other.shape[-1:]:
        raise ValueError(
            f"policy {list(policy.shape)} and {name} {list(other.shape)} are not over "
            "the same responses, their last axis"
        )
    return jnp.broadcast_arrays(jnp.asarray(policy), jnp.asarray(other))


def _log_best_response(opponent, preference, reference, tau):
    """Returns the logarithm of the best response, `[*B, Y]`."""
    log_reference, gain = jnp.broadcast_arrays(
        jnp.log(reference), wins(opponent, preference) / tau
    )
    return jax.nn.log_softmax(log_reference + gain, axis=-1)


def _kl(policy, log_reference):
    """Returns KL(policy || reference) as a sum of terms that are each >= 0."""
    policy = jnp.asarray(policy)
    log_policy = jnp.log(jnp.where(policy > 0, policy, 1.0))
    log_ratio = jnp.where(policy > 0, log_policy - log_reference, -jnp.inf)
    # p (d + exp(-d) - 1) adds q - p to p d, which sums to nothing and makes each term
    # quadratic in d: near equality nothing cancels.
    near = jnp.clip(log_ratio, -1, 1)
    quadratic = near + jnp.expm1(-near)
    near = policy * jnp.where(quadratic < 0, 0.0, quadratic)
    # Where the policy has a zero, d is -infinity, and 0 times that is not a number.
    finite = jnp.where(policy > 0, log_ratio, 0.0)
    far = policy * finite + jnp.exp(log_reference) - policy
    return jnp.where(jnp.abs(log_ratio) < 1, near, far).sum(axis=-1)
