"""Linear rates: how fast iterations approach the regularised Nash policy."""

import numpy as np

from experiments.theorems.theorem import Theorem, kl, path, random_games
from nashalign import games


def egpo_rate() -> tuple[float, float]:
    """The largest fitted factor over 1 - eta tau; 10 games of 10, tau 0.1, eta 0.3."""
    preference, reference = random_games(13, 10, 10)
    return 1.0, _fitted(games.extragradient, preference, reference, 0.1, 0.3) / 0.97


def egpo_bound() -> tuple[float, float]:
    """The largest KL_t over (1 - eta tau)^t KL_0, eta = 1/(tau + 3), 20 games."""
    preference, reference = random_games(14)
    worst = 0.0
    for tau in (0.01, 0.1, 1.0):
        eta = 1 / (tau + 3)
        nash = games.regularized_nash(preference, reference, tau)
        solver = games.extragradient(tau=tau, eta=eta)
        distance = kl(nash, path(solver, preference, reference, 100))
        bound = (1 - eta * tau) ** np.arange(101)[:, None] * distance[0]
        worst = max(worst, (distance / bound)[1:].max())
    return 1.0, worst


def mirror_prox_rate() -> tuple[float, float]:
    """The largest KL_{k+1} (1 + 2 tau) / KL_k, 20 games, tau 0.1, 0.5 and 2."""
    preference, reference = random_games(15)
    worst = 0.0
    for tau in (0.1, 0.5, 2.0):
        nash = games.regularized_nash(preference, reference, tau)
        solver = games.nash_mirror_prox(tau=tau, paper_eta=2 * tau)
        distance = kl(nash, path(solver, preference, reference, 30))
        above_rounding = distance[1:] > 1e-12
        ratio = distance[1:][above_rounding] / distance[:-1][above_rounding]
        worst = max(worst, ratio.max() * (1 + 2 * tau))
    return 1.0, worst


def _fitted(factory, preference, reference, tau, eta):
    """Returns the largest factor a step, fitted to KL(Nash || pi_t) above rounding."""
    nash = games.regularized_nash(preference, reference, tau)
    solver = factory(tau=tau, eta=eta)
    distance = kl(nash, path(solver, preference, reference, 400)).T
    factors = []
    for row in distance:
        steps = np.flatnonzero(row > 1e-11)
        factors.append(np.exp(np.polyfit(steps, np.log(row[steps]), 1)[0]))
    return max(factors)


THEOREMS = (
    Theorem(
        "EGPO: KL_t <= (1 - eta tau)^t KL_0 for eta <= 1/(tau + 3)",
        "EGPO, Zhou et al. 2025",
        "<=",
        egpo_bound,
    ),
    Theorem(
        "EGPO: fitted factor a step over 1 - eta tau",
        "EGPO, Zhou et al. 2025",
        "<=",
        egpo_rate,
    ),
    Theorem(
        "Nash mirror prox: KL shrinks by 1/(1 + 2 tau) a step",
        "Nash mirror prox, Tiapkin et al. 2025",
        "<=",
        mirror_prox_rate,
    ),
)
