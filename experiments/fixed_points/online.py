"""Where rows that learn from pairs of their own responses rest."""

import jax.numpy as jnp
import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry
from experiments.fixed_points.offline import LIKE_DPO
from experiments.fixed_points.rewarded import optimum
from nashalign import games

TAU = 0.7
# One response is preferred to all others, between which nobody has an opinion.
_FAVOURED = np.full((game.SIZE, game.SIZE), 0.5)
_FAVOURED[3, :], _FAVOURED[:, 3] = 0.8, 0.2
_FAVOURED[3, 3] = 0.5
FAVOURED = game.game(_FAVOURED)
# Of five verdicts, four.
_WON = np.where(_FAVOURED == 0.5, 0.5, np.where(_FAVOURED > 0.5, 1.0, 0.0))
FAVOURED_BY_MOST = game.game(np.stack([_WON] * 4 + [1 - _WON]))


def at_the_margin(seen):
    """The response that wins has odds that are exp(1 / tau) times the reference's."""
    return theory.tilted(seen.reference, np.eye(game.SIZE)[3] / seen.tau)


def nash(seen):
    """The Nash policy of the game held to the reference."""
    return games.regularized_nash(seen.preference, seen.reference, seen.tau)


def nash_of_verdicts(seen):
    """The Nash policy of the game of hard labels."""
    hard = theory.verdicts(seen.preference)
    return games.regularized_nash(hard, seen.reference, seen.tau)


def token_mixture(seen):
    """The best response to its own token-level mixture with the reference."""
    return games.token_mixture_fixed_point(
        game.TREE, seen.preference, seen.reference, seen.tau, seen.settings["mix"]
    )


def hard_dpo(seen):
    """Guo et al. 2024: where wins and losses against itself are those of its model."""
    hard, log_reference = theory.verdicts(seen.preference), np.log(seen.reference)

    def objective(log_pi, standing):
        h = theory.margins(log_pi - log_reference)
        return theory.over_pairs(standing, standing, theory.dpo(h, hard, seen.tau))

    return theory.stationary(objective, seen.reference)


def osp(seen):
    """Zhai et al. 2024: labels from comparisons with a baseline of its own."""
    odds = np.log(seen.preference) - np.log1p(-seen.preference)
    by_baseline = theory.logistic(odds[:, None, :] - odds[None, :, :])

    def objective(log_pi, standing):
        h = theory.margins(log_pi - np.log(seen.reference))
        losses = theory.dpo(h, by_baseline @ standing, seen.tau)
        return theory.over_pairs(standing, standing, losses)

    return theory.stationary(objective, seen.reference)


def self_prompted(seen):
    """Xu et al. 2024: reference (good / bad)^(1 / tau), by what is then prompted."""
    bad, *_, good = seen.found_at_levels
    policy, gap = seen.reference, seen.settings["gap"]
    for _ in range(500):
        writers = [game.TREE.mixture(policy, x, gap) for x in (good, bad)]
        moved = np.log(writers[0] / writers[1]) / seen.tau
        aim = theory.tilted(seen.reference, moved)
        policy = theory.mixed((policy, 0.5), (aim, 0.5))
    return policy


def sail(writer, labels):
    """Ding et al. 2024: nothing is detached, neither who writes nor who labels."""

    def predict(seen):
        hard, share = theory.verdicts(seen.preference), seen.settings["share"]
        log_reference, data = np.log(seen.reference), seen.data

        def objective(log_pi, _):
            h = theory.margins(log_pi - log_reference)
            label = theory.logistic(seen.tau * h) if labels == "own" else hard
            first = data if writer == "data" else jnp.exp(log_pi)
            own = theory.over_pairs(first, first, theory.dpo(h, label, seen.tau))
            plain = theory.over_pairs(data, data, theory.dpo(h, hard, seen.tau))
            return share * own + (1 - share) * plain

        return theory.stationary(objective, seen.reference)

    return predict


def xpo(seen):
    """Xie et al. 2024: verdicts on pairs with the reference, which is pushed down."""
    hard, reference = theory.verdicts(seen.preference), seen.reference

    def objective(log_pi, standing):
        h = theory.margins(log_pi - np.log(reference))
        fit = theory.over_pairs(standing, reference, theory.dpo(h, hard, seen.tau))
        return fit + seen.settings["alpha"] * jnp.sum(reference * log_pi)

    return theory.stationary(objective, reference)


# While their anchor stands still MPO is self-play, and COMAL is INPO; MNPO rests where
# INPO does.
NASH = {
    "game": game.CYCLIC,
    "prediction": "Nash(tau)",
    "predict": nash,
    "also": ("mpo", "comal", "mnpo"),
}
_SAIL = {"tau": TAU, "share": 0.4, "rho": 1.0}

ENTRIES = (
    Entry(
        row="online_dpo",
        settings={"tau": TAU},
        game=game.SCORED,
        prediction="reference exp(r / tau)",
        predict=optimum,
        also=LIKE_DPO,
    ),
    Entry(
        row="online_slic",
        settings={"tau": 0.6},
        game=FAVOURED,
        prediction="reference, the winner's odds times exp(1 / tau)",
        predict=at_the_margin,
        note="at the hinges' kinks, where steps overshoot by the rate",
        num_steps=4800,
    ),
    Entry(row="online_ipo", settings={"tau": 0.2}, **NASH),
    Entry(
        row="ipo_md",
        settings={"tau": 0.2, "mix": 0.25},
        game=game.CYCLIC,
        prediction="reference exp(P(y > w) / tau), w its token-level mixture",
        predict=token_mixture,
    ),
    Entry(
        row="oaif_dpo",
        settings={"tau": 3.0},
        game=game.CYCLIC,
        prediction="where verdicts against itself are those of its model",
        predict=hard_dpo,
    ),
    Entry(
        row="oaif_ipo",
        settings={"tau": 0.5},
        game=game.CYCLIC,
        prediction="Nash(tau) of the verdicts",
        predict=nash_of_verdicts,
    ),
    Entry(
        row="oaif_slic",
        settings={"tau": 0.6},
        game=FAVOURED_BY_MOST,
        prediction="reference, the winner's odds times exp(1 / tau)",
        predict=at_the_margin,
        note="of five reviewers' verdicts one disagrees",
        num_steps=4800,
    ),
    Entry(
        row="osp",
        settings={"tau": TAU, "num_responses": 2},
        game=game.CYCLIC,
        prediction="where labels by a baseline are those of its model",
        predict=osp,
    ),
    Entry(
        row="self_prompting",
        settings={"tau": TAU, "gap": 0.6, "half_life": 1e12},
        game=game.CYCLIC,
        prediction="reference (better / worse)^(1 / tau), both its own",
        predict=self_prompted,
    ),
    Entry(
        row="sail_ddp",
        settings=_SAIL,
        game=game.CYCLIC,
        prediction="minimiser of DPO on verdicts and own labels",
        predict=sail("data", "own"),
    ),
    Entry(
        row="sail_dpp",
        settings=_SAIL,
        game=game.CYCLIC,
        prediction="minimiser of DPO on verdicts, and on its own pairs and labels",
        predict=sail("policy", "own"),
    ),
    Entry(
        row="sail_dpr",
        settings=_SAIL,
        game=game.CYCLIC,
        prediction="minimiser of DPO on verdicts, and on those of its own pairs",
        predict=sail("policy", "verdicts"),
    ),
    Entry(
        row="xpo",
        settings={"tau": TAU, "alpha": 0.05},
        game=game.CYCLIC,
        prediction="where verdicts over the reference and optimism balance",
        predict=xpo,
        num_steps=4800,
        learning_rate=0.02,
    ),
)
