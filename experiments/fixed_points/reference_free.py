"""Where rows rest that learn from a data set's pairs and have no reference."""

import jax.numpy as jnp
import numpy as np
import scipy.optimize

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry

LENGTHS = np.array([len(string) for string in game.STRINGS])


def of_winners(preference, values):
    """Minus the value of each pair's winner, in expectation over the label."""
    return -preference * values[:, None] - (1 - preference) * values[None, :]


def mean_rewards(seen):
    """Meng et al. 2024 without a margin: rewards are tau times means over tokens.

    Mean log-likelihoods are (r + c) / tau, where c makes the policy sum to one.
    """

    def log_policy(shift):
        return LENGTHS * (seen.rewards + shift) / seen.tau

    shift = scipy.optimize.brentq(
        lambda c: np.exp(log_policy(c)).sum() - 1, -50, 50, xtol=1e-14
    )
    return np.exp(log_policy(shift))


def simpo(seen):
    """Meng et al. 2024: means over tokens, and a margin that the winner is to have."""
    gamma, wins = seen.settings["gamma"], seen.preference

    def objective(log_pi, _):
        h = seen.tau * theory.margins(log_pi / LENGTHS)
        losses = wins * jnp.logaddexp(0.0, gamma - h)
        losses += (1 - wins) * jnp.logaddexp(0.0, gamma + h)
        return theory.over_pairs(seen.data, seen.data, losses)

    return theory.stationary(objective, seen.reference)


def cpo(seen):
    """Xu et al. 2024: preferences of whole responses, and the winners' likelihood."""
    weight = seen.settings["likelihood"]

    def objective(log_pi, _):
        h = theory.margins(log_pi)
        losses = theory.dpo(h, seen.preference, seen.tau)
        losses += weight * of_winners(seen.preference, log_pi)
        return theory.over_pairs(seen.data, seen.data, losses)

    return theory.stationary(objective, seen.reference)


def orpo(seen):
    """Hong et al. 2024: mean likelihood of winners, and odds of mean tokens."""
    weight = seen.settings["odds"]

    def objective(log_pi, _):
        mean = log_pi / LENGTHS
        h = theory.margins(mean - jnp.log1p(-jnp.exp(mean)))
        losses = of_winners(seen.preference, mean)
        losses += weight * theory.dpo(h, seen.preference, 1.0)
        return theory.over_pairs(seen.data, seen.data, losses)

    return theory.stationary(objective, seen.reference)


ENTRIES = (
    Entry(
        row="simpo",
        settings={"tau": 2.0, "gamma": 0.0},
        game=game.SCORED,
        prediction="exp(|y| (r + c) / tau), with c by which it sums to one",
        predict=mean_rewards,
    ),
    Entry(
        row="simpo",
        settings={"tau": 2.0, "gamma": 0.8},
        game=game.CYCLIC,
        prediction="minimiser of a logistic loss of mean likelihoods, with a margin",
        predict=simpo,
    ),
    Entry(
        row="cpo",
        settings={"tau": 0.7, "likelihood": 0.2},
        game=game.CYCLIC,
        prediction="minimiser of a logistic loss and the winners' likelihood",
        predict=cpo,
    ),
    Entry(
        row="orpo",
        settings={"odds": 0.6},
        game=game.CYCLIC,
        prediction="minimiser of winners' mean likelihood and a ratio of odds",
        predict=orpo,
    ),
)
