"""Where methods come to rest."""

import numpy as np
import scipy.special

from experiments.theorems.theorem import (
    Theorem,
    limit,
    mixture,
    random_games,
    total_variation,
)
from nashalign import games


def nash_md_bias() -> tuple[float, float]:
    """Total variation from the Nash policy of tau 0.2, eta 1, mean over 20 games.

    With s = eta tau, the limit is pi proportional to m exp(eta P(y > m)), and its own
    mixture is m, proportional to pi^(1 - s) mu^s. So m^s is proportional to
    mu^s exp((1 - s) eta P(y > m)), and m to mu exp(P(y > m) (1 - s) / tau): it is the
    Nash policy of tau / (1 - s).
    """
    preference, reference = random_games(10)
    tau, eta = 0.2, 1.0
    mixed = games.regularized_nash(preference, reference, tau / (1 - eta * tau))
    # The policy whose mixture it is: a geometric mixture with a negative weight.
    expected = mixture(mixed, reference, -eta * tau / (1 - eta * tau))
    nash = games.regularized_nash(preference, reference, tau)
    found = limit(games.nash_md(tau=tau, eta=eta), preference, reference, 2000)
    return (
        total_variation(expected, nash).mean(),
        total_variation(found, nash).mean(),
    )


def nash_md_bias_is_linear() -> tuple[float, float]:
    """The bias at eta 0.02 over that at eta 0.01; tau 0.2, mean over 20 games."""
    preference, reference = random_games(10)
    nash = games.regularized_nash(preference, reference, 0.2)
    bias = [
        total_variation(
            limit(games.nash_md(tau=0.2, eta=eta), preference, reference, 20_000), nash
        ).mean()
        for eta in (0.02, 0.01)
    ]
    return 2.0, bias[0] / bias[1]


def inpo_fixed_point() -> tuple[float, float]:
    """The largest total variation from the Nash policy of tau 0.2; eta 0.1, 0.4, 1."""
    preference, reference = random_games(11)
    nash = games.regularized_nash(preference, reference, 0.2)
    solvers = [games.inpo(tau=0.2, paper_eta=eta) for eta in (10.0, 2.5, 1.0)]
    found = [limit(solver, preference, reference, 5000) for solver in solvers]
    return 0.0, total_variation(np.array(found), nash).max()


def ipo_md_fixed_point() -> tuple[float, float]:
    """Total variation of the limit from the Nash policy, tau 0.2, mix 0.3, 20 games.

    Predicted by path following, of pi proportional to mu exp(P(y > w) / tau) for
    responses of one token, where the token-level mixture is the mixture.
    """
    preference, reference = random_games(12)
    tree = games.token_tree(np.arange(6)[:, None], np.ones((6, 1), bool))
    expected = games.token_mixture_fixed_point(tree, preference, reference, 0.2, 0.3)
    nash = games.regularized_nash(preference, reference, 0.2)
    flow = games.ipo_md(tau=0.2, mix=0.3, learning_rate=0.3)
    found = limit(flow, preference, reference, 5000)
    return total_variation(expected, nash).mean(), total_variation(found, nash).mean()


def ipo_md_mixture() -> tuple[float, float]:
    """From Nash at tau / (1 - mix), the mixture of the limit; mix 0.3, 20 games."""
    preference, reference = random_games(12)
    flow = games.ipo_md(tau=0.2, mix=0.3, learning_rate=0.3)
    found = limit(flow, preference, reference, 5000)
    nash = games.regularized_nash(preference, reference, 0.2 / 0.7)
    return 0.0, total_variation(mixture(found, reference, 0.3), nash).max()


def nash_md_pg_fixed_point() -> tuple[float, float]:
    """From the limit of IPO-MD, the limit of Nash-MD-PG; tau 0.2, mix 0.3, 20 games."""
    preference, reference = random_games(12)
    flow = games.ipo_md(tau=0.2, mix=0.3, learning_rate=0.3)
    expected = limit(flow, preference, reference, 5000)
    flow = games.nash_md_pg(tau=0.2, mix=0.3, learning_rate=3.0)
    found = limit(flow, preference, reference, 20_000)
    return 0.0, total_variation(found, expected).max()


def two_responses() -> tuple[float, float]:
    """P(1 > 2) = 1, uniform reference, tau 0.5: IPO-MD at three mixes and online IPO.

    The log-odds are (P - 1/2) / tau whoever writes the pairs; the value shown is the
    one that differs most from sigmoid(1 / (2 tau)).
    """
    preference, uniform = np.array([[0.5, 1.0], [0.0, 0.5]]), np.array([0.5, 0.5])
    exact = scipy.special.expit(1.0)
    flows = [games.online_ipo(tau=0.5, learning_rate=0.3)]
    flows += [games.ipo_md(tau=0.5, mix=m, learning_rate=0.3) for m in (0.2, 0.6, 1)]
    found = [limit(flow, preference, uniform, 2000)[0] for flow in flows]
    return exact, max(found, key=lambda value: abs(value - exact))


MUNOS = "Nash-MD, Munos et al. 2023"
CALANDRIELLO = "IPO-MD, Calandriello et al. 2024"

THEOREMS = (
    Theorem(
        "Nash-MD, fixed eta: its mixture is Nash at tau/(1 - eta tau) (bias)",
        MUNOS,
        "=",
        nash_md_bias,
    ),
    Theorem(
        "Nash-MD: the bias is proportional to eta (ratio of two)",
        MUNOS,
        "=",
        nash_md_bias_is_linear,
        tolerance=0.02,
    ),
    Theorem(
        "INPO: the fixed point is the Nash policy, for every fixed eta that is stable",
        "INPO, Zhang et al. 2024",
        "=",
        inpo_fixed_point,
    ),
    Theorem(
        "IPO-MD rests at mu exp(P(y > w)/tau), w its mixture (distance from Nash)",
        CALANDRIELLO,
        "=",
        ipo_md_fixed_point,
    ),
    Theorem(
        "IPO-MD's mixture is the Nash policy of tau/(1 - mix)",
        CALANDRIELLO + ", prop. 5.2",
        "=",
        ipo_md_mixture,
    ),
    Theorem(
        "Nash-MD-PG and IPO-MD have the same fixed point",
        CALANDRIELLO + ", prop. 5.1",
        "=",
        nash_md_pg_fixed_point,
    ),
    Theorem(
        "two responses: online IPO and IPO-MD of any mix rest at sigmoid(1/(2 tau))",
        "IPO, Azar et al. 2023",
        "=",
        two_responses,
    ),
)
