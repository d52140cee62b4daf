"""Closed forms, and minimisers over all policies of objectives written out by hand.

An objective is a function of log-probabilities `[Y]` and of where they stand: the same
policy, detached, `[Y]`. It is stationary where its derivative with respect to the
first, taken along the simplex, is zero; where nothing is detached that is its minimum.
Nothing here knows rows, groups or models.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.optimize

from experiments.fixed_points import game as token_game

Objective = Callable[[jax.Array, jax.Array], jax.Array]


def tilted(policy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the policy proportional to policy * exp(values), `[..., Y]`."""
    logits = np.log(policy) + values
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def mixed(*shares: tuple[np.ndarray, float]) -> np.ndarray:
    """Returns the product of policies to real powers, normalised, `[Y]`."""
    powers = [weight * np.log(policy) for policy, weight in shares]
    return tilted(np.ones(token_game.SIZE), np.sum(powers, 0))


def law_of_best(policy: np.ndarray, rewards: np.ndarray, number: int) -> np.ndarray:
    """Returns the law `[Y]` of the best of so many responses: F(r)^n - F(r-)^n."""
    up_to = np.array([policy[rewards <= r].sum() for r in rewards])
    below = np.array([policy[rewards < r].sum() for r in rewards])
    return up_to**number - below**number


def logistic(x):
    """1 / (1 + exp(-x))."""
    return 1 / (1 + jnp.exp(-x))


def dpo(margin, preferred, tau):
    """Cross-entropy of a logistic model of the preference."""
    win, lose = jnp.logaddexp(0.0, -tau * margin), jnp.logaddexp(0.0, tau * margin)
    return preferred * win + (1 - preferred) * lose


def margins(values):
    """Differences `[Y, Y]`, row minus column."""
    return values[:, None] - values[None, :]


def over_pairs(first, second, values):
    """Mean of `values [Y, Y]` over independent writers of the row and the column."""
    return jnp.sum(first[:, None] * second[None, :] * values)


def verdicts(preference):
    """Hard labels: the more probable winner has won; ties are halves."""
    return np.where(preference > 0.5, 1.0, np.where(preference < 0.5, 0.0, 0.5))


def best_and_worst(
    writers: Sequence[np.ndarray],
    scores: Callable[[list[int]], np.ndarray],
    least_gap: float = 0.0,
) -> np.ndarray:
    """Returns the mass `[Y, Y]` of each best and worst of a group.

    Args:
      writers: of each response of the group, `[Y]`.
      scores: indices -> one number a response; of equals the first is taken.
      least_gap: groups whose best and worst are nearer count for nothing.
    """
    mass = np.zeros((token_game.SIZE, token_game.SIZE))
    for group in itertools.product(range(token_game.SIZE), repeat=len(writers)):
        found = scores(list(group))
        if np.ptp(found) >= least_gap:
            share = math.prod(w[i] for w, i in zip(writers, group, strict=True))
            mass[group[np.argmax(found)], group[np.argmin(found)]] += share
    return mass


def repeated(number: int, step: Callable) -> Callable:
    """Returns the prediction of so many outer steps `(seen, iterate) -> policy`."""

    def predict(seen):
        steps = range(number)
        return functools.reduce(
            lambda policy, _: step(seen, policy), steps, seen.reference
        )

    return predict


def per_prefix(log_policy) -> dict[tuple[int, ...], jax.Array]:
    """Returns log-probabilities `[V]` of the next token after each prefix."""
    mass = jnp.exp(log_policy)

    def total(prefix):
        passes = np.array([s[: len(prefix)] == prefix for s in token_game.STRINGS])
        return jnp.sum(jnp.where(passes, mass, 0.0))

    prefixes = {s[:t] for s in token_game.STRINGS for t in range(len(s))}
    return {
        s: jnp.log(
            jnp.stack([total((*s, v)) for v in range(token_game.VOCABULARY)]) / total(s)
        )
        for s in prefixes
    }


def sequential_kl(log_p, log_q):
    """KL of next-token distributions of p from q, summed along each response, `[Y]`."""
    p, q = per_prefix(log_p), per_prefix(log_q)
    per = {s: jnp.sum(jnp.exp(p[s]) * (p[s] - q[s])) for s in p}
    return jnp.stack(
        [sum(per[s[:t]] for t in range(len(s))) for s in token_game.STRINGS]
    )


def stationary(
    objective: Objective, start: np.ndarray, *, flows: bool = True
) -> np.ndarray:
    """Returns the policy `[Y]` to which gradient flow leads, and where it rests.

    Args:
      objective: as in the module's docstring; finite at policies inside the simplex.
      start: where the flow begins.
      flows: if false, a Newton search takes the place of the flow, which comes to
        nothing at kinks.

    Raises:
      ArithmeticError: the flow has not led to where the slope is below 1e-11.
    """

    def slope_at(free):
        log_policy, back = jax.vjp(_log_policy, free)
        return back(jax.grad(objective)(log_policy, jnp.exp(log_policy)))[0]

    slope, curvature = _compiled(slope_at), _compiled(jax.jacfwd(slope_at))
    free = np.log(start[:-1] / start[-1])
    if flows:
        free = scipy.integrate.solve_ivp(
            lambda _, free: -slope(free),
            (0.0, _LONG),
            free,
            method="BDF",
            jac=lambda _, free: -curvature(free),
        ).y[:, -1]
    else:
        free = scipy.optimize.root(slope, free, jac=curvature).x
    for _ in range(8):
        free = free - np.linalg.lstsq(curvature(free), slope(free), rcond=None)[0]
    miss = np.abs(slope(free)).max()
    if not miss < 1e-11:
        raise ArithmeticError(f"the slope is {miss} where it should be zero")
    return np.exp(np.asarray(_log_policy(jnp.asarray(free))))


# They run for a moment: compiling them is what they cost.
_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
# Of gradient flow, which has settled long before.
_LONG = 1e7


def _log_policy(free):
    """Log-probabilities from all logits but the last, which is zero."""
    return jax.nn.log_softmax(jnp.append(free, 0.0))
