"""Bounds that hold at every step of an iteration."""

import numpy as np

from experiments.theorems.theorem import Theorem, kl, path, random_games
from nashalign import games


def nash_md_one_step() -> tuple[float, float]:
    """The largest (KL_{t+1} - (1 - eta tau) KL_t) / eta^2, 20 games, 18 settings.

    At the smallest steps, a policy that stays or goes elsewhere exceeds it many times.
    """
    preference, reference = random_games(0)
    worst = -np.inf
    for tau in (0.01, 0.1, 0.5):
        nash = games.regularized_nash(preference, reference, tau)
        for eta in (1e-3, 0.01, 0.05, 0.3, 1.0, 1.9):
            solver = games.nash_md(tau=tau, eta=eta)
            distance = kl(nash, path(solver, preference, reference, 200))
            rise = distance[1:] - (1 - eta * tau) * distance[:-1]
            worst = max(worst, rise.max() / eta**2)
    return 2.0, worst


def nash_md_last_step() -> tuple[float, float]:
    """The largest KL(Nash || pi_T) tau^2 (T + 1), T up to 5,000, 20 games, tau 0.1."""
    preference, reference = random_games(1)
    tau = 0.1
    solver = games.nash_md(tau=tau, eta=lambda step: 2 / (tau * (step + 2)))
    nash = games.regularized_nash(preference, reference, tau)
    distance = kl(nash, path(solver, preference, reference, 5000))[1:]
    return 8.0, (distance * tau**2 * np.arange(2, 5002)[:, None]).max()


def nash_md_decay() -> tuple[float, float]:
    """The slope of log KL over log T from T = 500 to 5,000, mean of 20 games, tau 0.1.

    With a fixed step Nash-MD stops at a bias proportional to eta; with eta_t of the
    order 1/t it is behind its bias, which is 1/t too, and KL is the square of that.
    """
    preference, reference = random_games(1)
    solver = games.nash_md(tau=0.1, eta=lambda step: 2 / (0.1 * (step + 2)))
    return -2.0, _slope(solver, preference, reference, 0.1)


def inpo_decay() -> tuple[float, float]:
    """The same slope for INPO, tau 0.2."""
    preference, reference = random_games(3)
    solver = games.inpo(tau=0.2, paper_eta=lambda step: 0.2 * (step + 2) / 2)
    return -1.0, _slope(solver, preference, reference, 0.2)


def _slope(solver, preference, reference, tau):
    """Returns the slope of the mean log KL from the Nash policy, over log steps."""
    nash = games.regularized_nash(preference, reference, tau)
    distance = np.abs(kl(nash, path(solver, preference, reference, 5000))) + 1e-18
    steps = np.arange(500, 5001)
    return np.polyfit(np.log(steps), np.log(distance[steps]).mean(axis=1), 1)[0]


def inpo_one_step() -> tuple[float, float]:
    """The largest (KL_{t+1} - (1 - eta tau) KL_t) / (C eta)^2, 20 games, 15 settings.

    C = max(B tau, 1), B being the largest |log pi_t / mu| on the way.
    """
    preference, reference = random_games(2)
    worst = -np.inf
    for tau in (0.05, 0.2, 1.0):
        nash = games.regularized_nash(preference, reference, tau)
        for eta in (1e-3, 0.01, 0.05, 0.2, 0.9):
            policies = path(
                games.inpo(tau=tau, paper_eta=1 / eta), preference, reference, 300
            )
            scale = np.maximum(np.abs(policies - policies[0]).max((0, -1)) * tau, 1)
            distance = kl(nash, policies)
            rise = distance[1:] - (1 - eta * tau) * distance[:-1]
            worst = max(worst, (rise / (scale * eta) ** 2).max())
    return 8.0, worst


def inpo_last_step() -> tuple[float, float]:
    """The largest KL(Nash || pi_T) tau^2 (T + 1) / C^2, T up to 5,000, 20 games."""
    preference, reference = random_games(3)
    tau = 0.2
    solver = games.inpo(tau=tau, paper_eta=lambda step: tau * (step + 2) / 2)
    nash = games.regularized_nash(preference, reference, tau)
    policies = path(solver, preference, reference, 5000)
    scale = np.maximum(np.abs(policies - policies[0]).max((0, -1)) * tau, 1)
    distance = kl(nash, policies)[1:]
    steps = np.arange(2, 5002)[:, None]
    return 32.0, (distance * tau**2 * steps / scale**2).max()


def dno_improves() -> tuple[float, float]:
    """The least (P(pi_{t+1} > pi_t) - 1/2) eta / KL(pi_{t+1} || pi_t), 20 games."""
    preference, reference = random_games(4)
    least = np.inf
    for eta in (0.1, 1.0, 10.0):
        log_policies = path(games.dno(paper_eta=1 / eta), preference, reference, 30)
        after, before = np.exp(log_policies[1:]), np.exp(log_policies[:-1])
        wins = np.einsum("tny,nyz,tnz->tn", after, preference, before) - 0.5
        moved = kl(np.maximum(after, 1e-300), log_policies[:-1])
        # Once the policy is nearly pure, both sides are rounding.
        least = min(least, (wins * eta / moved)[moved > 1e-8].min())
    return 1.0, least


def average_of_mirror_descent() -> tuple[float, float]:
    """The largest gap of the average over its bound, T = 100 to 10,000, 20 games.

    A standard regret bound: with win rates in [0, 1] and the uniform start, the average
    of T policies is beaten by no response by more than log Y / (eta T) + eta / 8
    (Hoeffding's lemma), and the duality gap is twice that.
    """
    preference, _ = random_games(5)
    uniform = np.full(preference.shape[:-1], 1 / 6)
    worst = 0.0
    for num_steps in (100, 1000, 10_000):
        eta = np.sqrt(8 * np.log(6) / num_steps)
        solver = games.mirror_descent(tau=0.0, eta=eta)
        policies = np.exp(path(solver, preference, uniform, num_steps - 1))
        gap = games.duality_gap(policies.mean(axis=0), preference)
        worst = max(worst, float(np.max(gap)) / (eta / 2))
    return 1.0, worst


def comal_inner() -> tuple[float, float]:
    """The largest KL(Nash || pi_k) over (1 - eta tau / 2)^k KL(Nash || mu), 20 games.

    The step is tau / (tau + 1)^2 / 2, small against tau.
    """
    preference, reference = random_games(6)
    worst = 0.0
    for tau in (0.1, 0.5, 2.0):
        eta = tau / (1 + tau) ** 2 / 2
        solver = games.mirror_descent(tau=tau, eta=eta)
        nash = games.regularized_nash(preference, reference, tau)
        distance = kl(nash, path(solver, preference, reference, 200))
        bound = (1 - eta * tau / 2) ** np.arange(201)[:, None] * distance[0]
        worst = max(worst, (distance / bound)[1:].max())
    return 1.0, worst


def comal_outer() -> tuple[float, float]:
    """The largest rise of KL(Nash || pi_t), inner games solved exactly, 20 games."""
    preference, policy = random_games(7, size=5)
    nash = games.nash(preference)
    worst = -np.inf
    for tau in (0.05, 0.5, 5.0):
        distance = [_divergence(nash, policy)]
        current = policy
        for _ in range(10):
            current = games.regularized_nash(preference, current, tau)
            current = np.maximum(current, 1e-200)
            distance.append(_divergence(nash, current))
        worst = max(worst, np.diff(distance, axis=0).max())
    return 0.0, worst


def magnets_approach() -> tuple[float, float]:
    """The largest rise of KL(Nash || magnet) at a refresh, planted 10 x 10 games."""
    nash = np.random.default_rng(0).dirichlet(np.full(10, 5.0), size=10)
    preference = games.planted(0, nash)
    uniform = np.full((10, 10), 0.1)
    solver = games.magnetic_descent(tau=0.1, paper_eta=0.5, num_inner=100)
    magnets = path(solver, preference, uniform, 20_000, every=100)
    return 0.0, np.diff(kl(nash, magnets), axis=0).max()


def average_of_onpo() -> tuple[float, float]:
    """The slope of log gap over log T, T = 100 to 30,000, three-cycle, eta 0.3."""
    gaps, steps = [], (100, 300, 1000, 3000, 10_000, 30_000)
    start = np.array([0.2, 0.5, 0.3])
    policies = np.exp(path(games.onpo(eta=0.3), games.three_cycle(), start, 30_000))
    for num_steps in steps:
        average = policies[1 : num_steps + 1].mean(axis=0)
        gaps.append(float(games.duality_gap(average, games.three_cycle())))
    return -1.0, np.polyfit(np.log(steps), np.log(gaps), 1)[0]


def _divergence(nash, policy):
    """Returns KL(Nash || policy) of Nash policies with zeros, `[N]`."""
    ratio = np.where(nash > 0, np.log(np.maximum(nash, 1e-300) / policy), 0.0)
    return np.sum(nash * ratio, axis=-1)


MUNOS = "Nash-MD, Munos et al. 2023"
ZHANG = "INPO, Zhang et al. 2024"
LIU = "COMAL, Liu et al. 2024"

THEOREMS = (
    Theorem(
        "Nash-MD: KL_{t+1} <= (1 - eta tau) KL_t + 2 eta^2",
        MUNOS,
        "<=",
        nash_md_one_step,
    ),
    Theorem(
        "Nash-MD, eta_t = 2/(tau(t+2)): KL_T <= 8/(tau^2 (T+1))",
        MUNOS,
        "<=",
        nash_md_last_step,
    ),
    Theorem(
        "Nash-MD, eta_t = 2/(tau(t+2)): KL_T falls like 1/T^2 (slope; the bound: 1/T)",
        MUNOS + "; ours",
        "=",
        nash_md_decay,
        tolerance=0.1,
    ),
    Theorem(
        "INPO, eta_t = 2/(tau(t+2)): KL_T falls like 1/T or faster (slope)",
        ZHANG,
        "<=",
        inpo_decay,
    ),
    Theorem(
        "INPO: KL_{t+1} <= (1 - eta tau) KL_t + 8 C^2 eta^2",
        ZHANG,
        "<=",
        inpo_one_step,
    ),
    Theorem(
        "INPO, eta_t = 2/(tau(t+2)): KL_T <= 32 C^2/(tau^2 (T+1))",
        ZHANG,
        "<=",
        inpo_last_step,
    ),
    Theorem(
        "DNO: P(pi_{t+1} > pi_t) >= 1/2 + KL(pi_{t+1} || pi_t)/eta",
        "DNO, Rosset et al. 2024",
        ">=",
        dno_improves,
    ),
    Theorem(
        "SPPO, SPO: gap of the average <= 2 (log Y/(eta T) + eta/8)",
        "SPPO, Wu et al. 2024; Swamy et al. 2024",
        "<=",
        average_of_mirror_descent,
    ),
    Theorem(
        "ONPO: gap of the average falls like 1/T (slope)",
        "ONPO, Zhang et al. 2025",
        "=",
        average_of_onpo,
        tolerance=0.1,
    ),
    Theorem("COMAL, inner: KL_k <= (1 - eta tau/2)^k KL_0", LIU, "<=", comal_inner),
    Theorem(
        "COMAL, outer: KL(Nash || pi_t) never rises, for any tau",
        LIU,
        "<=",
        comal_outer,
    ),
    Theorem(
        "MPO, NashPG: KL(Nash || magnet) never rises",
        "Wang et al. 2024; NashPG 2025",
        "<=",
        magnets_approach,
    ),
)
