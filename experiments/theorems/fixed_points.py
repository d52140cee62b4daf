"""Where methods come to rest, and how fast those do that have a linear rate."""

import jax
import numpy as np
import scipy.optimize
import scipy.special

from experiments.theorems.theorem import (
    Theorem,
    kl,
    limit,
    mixture,
    path,
    random_games,
    total_variation,
)
from experiments.theorems.token_mixtures import distances
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
    """The largest total variation from the Nash policy of tau 0.2, eta 0.4."""
    preference, reference = random_games(11)
    nash = games.regularized_nash(preference, reference, 0.2)
    found = limit(games.inpo(tau=0.2, eta=0.4), preference, reference, 2000)
    return 0.0, total_variation(found, nash).max()


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
        solver = games.nash_mirror_prox(tau=tau, eta=2 / (1 + 2 * tau))
        distance = kl(nash, path(solver, preference, reference, 30))
        ratio = distance[1:] / distance[:-1]
        worst = max(worst, (ratio * (1 + 2 * tau))[distance[1:] > 1e-12].max())
    return 1.0, worst


def token_mixture_at_one_token() -> tuple[float, float]:
    """Five responses of one token: token-level from sequence-level mixture, mix 0.4."""
    game = games.token_game(5, 1, lambda y, z: 0.5)
    policy, reference = np.random.default_rng(0).dirichlet(np.ones(5), size=2)
    token = game.tree.mixture(policy, reference, 0.4)
    return 0.0, total_variation(token, mixture(policy, reference, 0.4))


def token_mixture_fixed_point() -> tuple[float, float]:
    """IPO-MD that writes from the token-level mixture: all strings of up to 3 tokens.

    The exact gradient of the loss over pairs of the token-level mixture is followed;
    its limit and the fixed point solved on the tree of prefixes are compared by their
    distance from the fixed point of the sequence-level mixture.
    """
    game, reference = _strings(3)
    tau, mix = 0.05, 0.5
    exact = games.token_mixture_fixed_point(
        game.tree, game.preference, reference, tau, mix
    )
    sequences = _sequence_fixed_point(game.preference, reference, tau, mix)

    def loss(logits, writer):
        log_ratio = jax.nn.log_softmax(logits) - np.log(reference)
        margin = log_ratio[:, None] - log_ratio[None, :]
        losses = game.preference * (margin - 1 / (2 * tau)) ** 2
        return writer @ losses @ writer

    slope, logits = jax.jit(jax.grad(loss)), np.log(reference)
    for _ in range(2000):
        writer = game.tree.mixture(scipy.special.softmax(logits), reference, mix)
        logits = logits - 2.0 * np.asarray(slope(logits, writer))
    found = scipy.special.softmax(logits)
    return total_variation(exact, sequences), total_variation(found, sequences)


def token_mixture_and_tau() -> tuple[float, float]:
    """The mean distance of the two mixtures at tau 10 over that at tau 20, mix 0.5.

    They differ by the normalisers of prefixes, log E_mu[(pi/mu)^(1 - mix)] within a
    prefix, against those of siblings: as log pi/mu is P(y > w)/tau up to a constant, by
    mix (1 - mix) / 2 times its variance within the prefix, to leading order 1/tau^2.
    """
    (near, _), (far, _) = (distances(3, tau, 0.5) for tau in (10.0, 20.0))
    return 4.0, near / far


def token_mixture_fixed_point_and_tau() -> tuple[float, float]:
    """The same for the fixed points: another 1/tau, by which win rates count."""
    (_, near), (_, far) = (distances(3, tau, 0.5) for tau in (10.0, 20.0))
    return 8.0, near / far


def token_mixture_and_mix() -> tuple[float, float]:
    """The mean distance of the two mixtures at mix 0.5 over that at 0.1, tau 20."""
    (half, _), (tenth, _) = (distances(3, 20.0, mix) for mix in (0.5, 0.1))
    return 0.25 / 0.09, half / tenth


def _strings(length):
    """Returns a token game of three tokens, and a reference that is not uniform."""
    rng = np.random.default_rng(length)
    game = games.token_game(3, length, lambda y, z: rng.uniform())
    logits = rng.normal(size=len(game.responses))
    return game, scipy.special.softmax(logits)


def _sequence_fixed_point(preference, reference, tau, mix):
    """Returns the policy whose mixture is the Nash policy of tau / (1 - mix)."""
    mixed = games.regularized_nash(preference, reference, tau / (1 - mix))
    return mixture(mixed, reference, -mix / (1 - mix))


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
        "INPO: the fixed point is the Nash policy, for every fixed eta",
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
    Theorem(
        "token-level and sequence-level mixture agree for one token",
        CALANDRIELLO + "; ours",
        "=",
        token_mixture_at_one_token,
    ),
    Theorem(
        "IPO-MD writing token by token rests elsewhere, by this distance",
        "ours",
        "=",
        token_mixture_fixed_point,
        tolerance=1e-5,
    ),
    Theorem(
        "the two mixtures differ by O(1/tau^2) (tau 10 over 20)",
        "ours",
        "=",
        token_mixture_and_tau,
        tolerance=0.02,
    ),
    Theorem(
        "their fixed points by O(1/tau^3) (tau 10 over 20)",
        "ours",
        "=",
        token_mixture_fixed_point_and_tau,
        tolerance=0.02,
    ),
    Theorem(
        "and in proportion to mix (1 - mix) (mix .5 over .1)",
        "ours",
        "=",
        token_mixture_and_mix,
        tolerance=0.02,
    ),
)
