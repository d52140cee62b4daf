"""Rewards against preferences: what a Bradley-Terry model can and cannot hold."""

import jax
import numpy as np
import scipy.optimize
import scipy.special

from experiments.theorems.stability import speed
from experiments.theorems.theorem import (
    Theorem,
    limit,
    random_games,
    total_variation,
)
from nashalign import games

TAU = 0.5


def online_dpo_finds_rlhf() -> tuple[float, float]:
    """Total variation of the limit from mu exp(r / tau), Bradley-Terry, 5 games."""
    rng = np.random.default_rng(30)
    rewards = 0.5 * rng.normal(size=(5, 6))
    reference = rng.dirichlet(np.full(6, 4.0), size=5)
    expected = scipy.special.softmax(np.log(reference) + rewards / TAU, axis=-1)
    flow = games.online_dpo(tau=TAU, learning_rate=5.0)
    found = limit(flow, games.from_rewards(rewards), reference, 20_000)
    return 0.0, total_variation(found, expected).max()


def online_dpo_misses_nash() -> tuple[float, float]:
    """Total variation of the limit from the Nash policy, mean of 20 random games.

    Predicted by a root finder from where online DPO is stationary: for every response,
    P(y > pi) is the mean of sigmoid(tau h(y, z)) over z from pi.
    """
    preference, reference = random_games(33)
    nash = games.regularized_nash(preference, reference, TAU)
    flow = games.online_dpo(tau=TAU, learning_rate=5.0)
    found = limit(flow, preference, reference, 100_000)

    def stationary(game, anchor):
        def equation(logits):
            policy = scipy.special.softmax(logits)
            reward = TAU * (np.log(policy) - np.log(anchor))
            fitted = scipy.special.expit(reward[:, None] - reward[None, :])
            return (game - fitted) @ policy

        root = scipy.optimize.root(equation, np.log(anchor), method="lm", tol=1e-13)
        return scipy.special.softmax(root.x)

    exact = np.array(
        [stationary(*pair) for pair in zip(preference, reference, strict=True)]
    )
    return total_variation(exact, nash).mean(), total_variation(found, nash).mean()


def online_slic_misses_nash() -> tuple[float, float]:
    """The least total variation from the Nash policy, 20 random games.

    The hinge keeps the flow from settling at any fixed rate; the rate falls like 1/t.
    """
    preference, reference = random_games(33)
    flow = games.online_slic(
        tau=TAU, learning_rate=lambda step: 0.2 / (1 + step / 1000)
    )
    found = limit(flow, preference, reference, 50_000)
    nash = games.regularized_nash(preference, reference, TAU)
    return 0.01, total_variation(found, nash).min()


def online_dpo_at_nash() -> tuple[float, float]:
    """The gradient's size at the Nash policy over that of lemma F.5's residual.

    The gradient by logits is -2 tau pi (P(y > pi) - E_z sigmoid(tau h(y, z))), and at
    the Nash policy tau h is P(y > pi) - P(z > pi).
    """
    preference, reference = random_games(31, 1)
    preference, reference = preference[0], reference[0]
    nash = games.regularized_nash(preference, reference, TAU)
    solver = games.online_dpo(tau=TAU, learning_rate=1.0)
    state = solver.init(reference)._replace(log_policy=np.log(nash))
    after = np.asarray(solver.update(state, preference).log_policy)
    gradient = np.log(nash) - after
    wins = preference @ nash
    residual = wins - scipy.special.expit(wins[:, None] - wins[None, :]) @ nash
    exact = -2 * TAU * nash * residual
    size = np.linalg.norm(exact - exact.mean())
    return float(size), float(np.linalg.norm(gradient - gradient.mean()))


def online_dpo_around_uniform() -> tuple[float, float]:
    """Rock-paper-scissors, uniform policy and reference, tau 0.5, learning rate 0.5.

    Around it, P(y > pi) - 1/2 is A d/3 and the mean of sigmoid(tau h) - 1/2 is tau d/4,
    d being differences of logits, so that a step multiplies d by
    1 + l (2 tau/3) (i/sqrt(12) - tau/4), and online DPO is stationary at the Nash
    policy there.
    """
    rate = 0.5
    factor = 1 + rate * 2 * TAU / 3 * (1j / np.sqrt(12) - TAU / 4)
    flow = games.online_dpo(tau=TAU, learning_rate=rate)
    found = speed(flow, games.rock_paper_scissors(), np.full(3, 1 / 3))
    return abs(factor), found


def soft_preference_optimisation() -> tuple[float, float]:
    """Total variation of the minimiser from softmax(r / alpha), alpha 0.7, 4 weights.

    The minimiser of (1/alpha) E softplus(-alpha (log pi(y_w) - log pi(y_l))) is found
    by a general optimiser, for four distributions of pairs.
    """
    rng = np.random.default_rng(32)
    rewards, alpha, worst = rng.normal(size=5), 0.7, 0.0
    preference = games.from_rewards(rewards)
    expected = scipy.special.softmax(rewards / alpha)
    for _ in range(4):
        pairs = rng.dirichlet(np.ones(25)).reshape(5, 5)
        pairs = pairs + pairs.T

        def loss(logits, pairs=pairs):
            log_policy = jax.nn.log_softmax(logits)
            margin = alpha * (log_policy[:, None] - log_policy[None, :])
            return -(pairs * preference * jax.nn.log_sigmoid(margin)).sum() / alpha

        found = scipy.optimize.minimize(
            jax.jit(loss), np.zeros(5), jac=jax.jit(jax.grad(loss)), tol=1e-13
        )
        policy = scipy.special.softmax(found.x)
        worst = max(worst, float(total_variation(policy, expected)))
    return 0.0, worst


def _raters(shift):
    """Returns the preference of three kinds of raters, weights 1/3 - shift and more.

    Rankings 012, 201 and 120, with shares (1/3 - shift, 1/3 + shift / 2 each).
    """
    rankings = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]
    matrices = []
    for ranking in rankings:
        place = np.argsort(ranking)
        matrices.append(0.5 + 0.5 * np.sign(place[None, :] - place[:, None]))
    shares = np.array([1 / 3 - shift, 1 / 3 + shift / 2, 1 / 3 + shift / 2])
    return games.population(np.array(matrices), shares)


def nash_is_continuous() -> tuple[float, float]:
    """How far the Nash policy moves as e goes from -0.001 to 0.001.

    It weighs each response by the margin of the other two, which is 1 minus twice the
    share of those who rank them the other way: (1/3 - e, 1/3 + 2 e, 1/3 - e).
    """
    shift = 1e-3
    before, after = games.nash(_raters(-shift)), games.nash(_raters(shift))
    return 4 * shift, float(total_variation(before, after))


def rlhf_jumps() -> tuple[float, float]:
    """How far the best response to the fitted rewards moves then: all of it."""
    fits = [games.fit_bradley_terry(_raters(shift)) for shift in (-1e-3, 1e-3)]
    best = [np.eye(3)[fit.rewards.argmax()] for fit in fits]
    return 1.0, float(total_variation(*best))


def regularized_rlhf_is_steep() -> tuple[float, float]:
    """How far mu exp(r / tau) moves then, uniform mu, tau 0.01, to first order.

    The fitted rewards solve the sum over z of (r_y - r_z)/4 = P(y > z) - 1/2, which
    gives (-2 e, 0, 2 e), and the softmax around uniform moves by a third of r / tau.
    """
    shift, tau = 1e-3, 0.01
    fits = [games.fit_bradley_terry(_raters(sign * shift)) for sign in (-1, 1)]
    policies = [scipy.special.softmax(fit.rewards / tau) for fit in fits]
    return 4 * shift / (3 * tau), float(total_variation(*policies))


def constrained_policies() -> tuple[float, float]:
    """The preference-optimal over the reward-optimal policy, where pi_1 = 2 pi_2.

    Of policies (2 a, a, 1 - 3 a), under Elo ratings 0, log 9 and log 2: both are looked
    for among 1,000 values of a, the second as the Nash policy of the game among them.
    By hand they are (2/3, 1/3, 0) and (0, 0, 1).
    """
    ratings = np.array([0.0, np.log(9), np.log(2)])
    share = np.linspace(0, 1 / 3, 1000)
    policies = np.stack([2 * share, share, 1 - 3 * share], axis=-1)
    preference = games.from_rewards(ratings)
    by_reward = policies[(policies @ ratings).argmax()]
    among = policies @ preference @ policies.T
    by_preference = games.nash(among) @ policies
    return 50 / 99, by_preference @ preference @ by_reward


CALANDRIELLO = "Calandriello et al. 2024, appendix F"
MUNOS = "after Munos et al. 2023, with raters of our own"

THEOREMS = (
    Theorem(
        "online DPO under Bradley-Terry rests at RLHF's solution mu exp(r/tau)",
        CALANDRIELLO,
        "=",
        online_dpo_finds_rlhf,
    ),
    Theorem(
        "online DPO's gradient at the Nash policy is not zero (its size)",
        CALANDRIELLO + ", lemma F.5",
        "=",
        online_dpo_at_nash,
    ),
    Theorem(
        "online DPO's limit is its own, at this distance from the Nash policy",
        CALANDRIELLO + ", theorem F.6",
        "=",
        online_dpo_misses_nash,
        tolerance=1e-3,
    ),
    Theorem(
        "online SLiC misses the Nash policy (least distance; threshold)",
        "ours",
        ">=",
        online_slic_misses_nash,
    ),
    Theorem(
        "on rock-paper-scissors online DPO does come to Nash (factor a step, nearby)",
        CALANDRIELLO + ", F.8",
        "=",
        online_dpo_around_uniform,
    ),
    Theorem(
        "soft PO rests at softmax(r/alpha), whatever pairs are drawn",
        "Sharifnassab et al. 2024",
        "=",
        soft_preference_optimisation,
        tolerance=1.0,
    ),
    Theorem(
        "raters' shares move a little: so does the Nash policy",
        MUNOS,
        "=",
        nash_is_continuous,
    ),
    Theorem(
        "raters' shares move a little: the reward's best response jumps",
        MUNOS,
        "=",
        rlhf_jumps,
    ),
    Theorem(
        "raters' shares move by e: RLHF's solution moves by 4 e/(3 tau)",
        MUNOS,
        "=",
        regularized_rlhf_is_steep,
        tolerance=0.02,
    ),
    Theorem(
        "the preferred policy of a constrained set is not the rewarded one: it wins",
        "Nash-MD, Munos et al. 2023",
        "=",
        constrained_policies,
    ),
)
