r"""Where iterations turn from contraction to expansion, in closed form.

Around a Nash policy with full support, differences of log-policies d, weighted by
sqrt(pi), are turned by the skew matrix K = D^(1/2) (P - 1/2) D^(1/2), D = diag(pi),
whose eigenvalues are +- i s. On rock-paper-scissors with uniform pi, s = 1/sqrt(12). An
iteration then multiplies d by a number z(s):

    mirror descent   z = 1 - eta tau + i eta s
    Nash-MD          z = (1 - eta tau) (1 + i eta s)
    OMWU             z^2 = z (1 + 2 i eta s) - i eta s
    proximal point   z = 1 / (1 - i s / tau)

and converges nearby where |z| < 1 for every s.
"""

from typing import Any

import numpy as np
import scipy.optimize

from experiments.theorems.theorem import Theorem, path
from nashalign import games

SPIN = 1 / np.sqrt(12)
UNIFORM = np.full(3, 1 / 3)


def speed(solver, preference, nash, num_steps=40) -> float:
    """Returns the factor by which a small distance from a Nash policy grows a step."""
    # Started at the Nash policy: a dynamics is held to the reference it starts from.
    state = solver.init(nash)
    nudge = np.array([1e-7, -2e-7, 0.5e-7])
    state = state._replace(log_policy=state.log_policy + nudge)
    distances = []
    for _ in range(num_steps):
        state = solver.update(state, preference)
        weighted = np.sqrt(nash) * (np.asarray(state.log_policy) - np.log(nash))
        distances.append(np.linalg.norm(weighted))
    half = num_steps // 2
    return (distances[-1] / distances[half - 1]) ** (1 / (num_steps - half))


def threshold(factory, low, high) -> float:
    """Returns the eta at which a dynamics on rock-paper-scissors stops contracting."""
    game = games.rock_paper_scissors()

    def growth(eta):
        return np.log(speed(factory(eta), game, UNIFORM))

    return _root(growth, low, high, 1e-8)


def _root(function, low, high, tolerance) -> float:
    """Returns where a function is zero between two numbers."""
    found: Any = scipy.optimize.brentq(function, low, high, xtol=tolerance)
    return float(found)


def mirror_descent_threshold() -> tuple[float, float]:
    """Rock-paper-scissors, tau 0.05: |z| = 1 at eta = 2 tau / (tau^2 + 1/12)."""
    tau = 0.05
    found = threshold(lambda eta: games.mirror_descent(tau=tau, eta=eta), 0.1, 5.0)
    return 2 * tau / (tau**2 + 1 / 12), found


def nash_md_threshold() -> tuple[float, float]:
    """Rock-paper-scissors, tau 0.05: (1 - eta tau)^2 (1 + eta^2 / 12) = 1."""
    tau = 0.05
    exact = _root(
        lambda eta: (1 - eta * tau) * np.hypot(1, eta * SPIN) - 1, 0.1, 10.0, 2e-12
    )
    return exact, threshold(lambda eta: games.nash_md(tau=tau, eta=eta), 0.1, 10.0)


def mirror_descent_speed() -> tuple[float, float]:
    """Rock-paper-scissors, tau 0.05, eta 1.25, where mirror descent expands."""
    solver = games.mirror_descent(tau=0.05, eta=1.25)
    found = speed(solver, games.rock_paper_scissors(), UNIFORM)
    return np.hypot(1 - 1.25 * 0.05, 1.25 * SPIN), found


def nash_md_speed() -> tuple[float, float]:
    """Rock-paper-scissors, tau 0.05, eta 1.25, where Nash-MD contracts."""
    solver = games.nash_md(tau=0.05, eta=1.25)
    found = speed(solver, games.rock_paper_scissors(), UNIFORM)
    return (1 - 1.25 * 0.05) * np.hypot(1, 1.25 * SPIN), found


def small_steps_diverge_too() -> tuple[float, float]:
    """Rock-paper-scissors, tau 0, eta 0.01."""
    solver = games.mirror_descent(tau=0.0, eta=0.01)
    found = speed(solver, games.rock_paper_scissors(), UNIFORM, 400)
    return np.hypot(1, 0.01 * SPIN), found


def omwu_threshold() -> tuple[float, float]:
    """The three-cycle of COMAL: the larger root z leaves the disc at eta s = 1/sqrt(3).

    On |z| = 1 with a = eta s, z = exp(i t): z^2 - z = i a (2 z - 1), whose modulus is
    4 sin^2(t/2) = a^2 (5 - 4 cos t), and at cos t = 1/2 both sides agree in phase too.
    """
    nash, spin = _three_cycle()
    game = games.three_cycle()
    found = _root(
        lambda eta: np.log(speed(games.omwu(eta=eta), game, nash, 80)), 2.5, 3.1, 1e-6
    )
    return 1 / (np.sqrt(3) * spin), found


def omwu_speed() -> tuple[float, float]:
    """The three-cycle of COMAL at eta 2."""
    nash, spin = _three_cycle()
    roots = np.roots([1, -(1 + 4j * spin), 2j * spin])
    found = speed(games.omwu(eta=2.0), games.three_cycle(), nash, 40)
    return np.abs(roots).max(), found


def comal_speed() -> tuple[float, float]:
    """The three-cycle, tau 0.1, from nearby: 600 inner steps make one outer."""
    tau = 0.1
    nash, spin = _three_cycle()
    solver = games.comal(tau=tau, eta=0.3, num_inner=600)
    start = nash * np.exp([1e-3, -1e-3, 2e-3])
    policies = path(
        solver, games.three_cycle(), start / start.sum(), 600 * 8, every=600
    )
    weighted = np.linalg.norm(np.sqrt(nash) * (policies - np.log(nash)), axis=-1)
    return 1 / np.hypot(1, spin / tau), (weighted[8] / weighted[2]) ** (1 / 6)


def comal_with_one_inner_step() -> tuple[float, float]:
    """The three-cycle, tau 1, eta 0.3: it expands as multiplicative weights do."""
    nash, spin = _three_cycle()
    solver = games.comal(tau=1.0, eta=0.3, num_inner=1)
    return np.hypot(1, 0.3 * spin), speed(solver, games.three_cycle(), nash)


def omwu_converges() -> tuple[float, float]:
    """The gap after 300 steps at eta 2, three-cycle, start (.2, .5, .3)."""
    return 1e-12, _last_gap(games.omwu(eta=2.0), 300)


def omwu_fails() -> tuple[float, float]:
    """The gap after 5,000 steps at eta 4, three-cycle, start (.2, .5, .3)."""
    return 0.3, _last_gap(games.omwu(eta=4.0), 5000)


def comal_fails() -> tuple[float, float]:
    """The gap after 5,000 steps of one inner step, three-cycle, start (.2, .5, .3)."""
    return 0.3, _last_gap(games.comal(tau=1.0, eta=0.3, num_inner=1), 5000)


def _last_gap(solver, num_steps):
    """Returns the duality gap of the last policy, on the three-cycle."""
    game, start = games.three_cycle(), np.array([0.2, 0.5, 0.3])
    last = np.exp(path(solver, game, start, num_steps, num_steps)[-1])
    return float(games.duality_gap(last, game))


def _three_cycle():
    """Returns the Nash policy of the three-cycle of COMAL, and its s."""
    game = games.three_cycle()
    nash = games.nash(game)
    root = np.sqrt(nash)
    turns = np.linalg.eigvals(root[:, None] * (game - 0.5) * root[None, :])
    return nash, np.abs(turns.imag).max()


MUNOS = "Nash-MD, Munos et al. 2023; linearised"
ZHANG = "INPO, Zhang et al. 2024; linearised"
OMWU = "OMWU, arXiv:2512.24818; linearised"
LIU = "COMAL, Liu et al. 2024"

THEOREMS = (
    Theorem(
        "mirror descent (INPO) turns unstable on rock-paper-scissors at this eta",
        ZHANG,
        "=",
        mirror_descent_threshold,
        tolerance=1e-5,
    ),
    Theorem(
        "Nash-MD turns unstable on rock-paper-scissors at this larger eta",
        MUNOS,
        "=",
        nash_md_threshold,
        tolerance=1e-5,
    ),
    Theorem(
        "at tau .05, eta 1.25 mirror descent expands (factor a step)",
        ZHANG,
        "=",
        mirror_descent_speed,
        tolerance=1e-5,
    ),
    Theorem(
        "at tau .05, eta 1.25 Nash-MD contracts (factor a step)",
        MUNOS,
        "=",
        nash_md_speed,
        tolerance=1e-5,
    ),
    Theorem(
        "without a reference mirror descent expands at any eta, even .01",
        "SPPO, DNO: the last iterate",
        "=",
        small_steps_diverge_too,
        tolerance=1e-7,
    ),
    Theorem(
        "OMWU turns unstable on COMAL's game at this eta",
        OMWU,
        "=",
        omwu_threshold,
        tolerance=1e-3,
    ),
    Theorem(
        "OMWU's linear rate at eta 2 on COMAL's game (factor a step)",
        OMWU,
        "=",
        omwu_speed,
        tolerance=1e-4,
    ),
    Theorem(
        "OMWU at eta 2: gap after 300 steps (threshold)", OMWU, "<=", omwu_converges
    ),
    Theorem("OMWU at eta 4: gap after 5,000 steps (threshold)", OMWU, ">=", omwu_fails),
    Theorem(
        "COMAL's linear rate on its own game (factor an outer step)",
        LIU,
        "=",
        comal_speed,
        tolerance=1e-3,
    ),
    Theorem(
        "COMAL with one inner step expands as multiplicative weights do",
        LIU,
        "=",
        comal_with_one_inner_step,
        tolerance=1e-5,
    ),
    Theorem(
        "COMAL with one inner step: gap after 5,000 steps (threshold)",
        LIU,
        ">=",
        comal_fails,
    ),
)
