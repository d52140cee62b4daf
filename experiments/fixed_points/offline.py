"""Where rows that learn from a data set's pairs rest."""

import jax.numpy as jnp
import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry
from experiments.fixed_points.rewarded import optimum
from nashalign import games

TAU = 0.7
# Observed labels of which DPO's corrections make Bradley-Terry's.
FLIP = 0.1
OVERCONFIDENT = game.game((game.BRADLEY_TERRY - FLIP) / (1 - 2 * FLIP), game.REWARDS)
FLIPPED = game.game((1 - 2 * FLIP) * game.BRADLEY_TERRY + FLIP, game.REWARDS)


def soft_optimum(seen):
    """Sharifnassab et al. 2024: softmax of rewards, wherever it began."""
    return theory.tilted(np.ones(game.SIZE), seen.rewards / seen.settings["alpha"])


def calibrated_within_margin(seen):
    """While no margin is reached all hinges are straight, and only wins matter."""
    wins = seen.preference @ seen.data
    weights = seen.data * (seen.settings["likelihood"] * wins + 2 * wins - 1)
    return weights / weights.sum()


def calibrated(seen):
    """Zhao et al. 2023: hinges on log-likelihoods, and the winners' likelihood."""
    delta, weight = seen.settings["margin"], seen.settings["likelihood"]
    wins, data = seen.preference, seen.data

    def objective(log_pi, _):
        h = theory.margins(log_pi)
        hinge = wins * jnp.maximum(0, delta - h) + (1 - wins) * jnp.maximum(
            0, delta + h
        )
        said = -wins * log_pi[:, None] - (1 - wins) * log_pi[None, :]
        return theory.over_pairs(data, data, hinge + weight * said)

    return theory.stationary(objective, seen.data, flows=False)


def soft(power):
    """Soft preferences, with the KL of next tokens after the policy's own prefixes.

    Pairs weigh a power of their likelihood, over its geometric mean over the data.
    """

    def predict(seen):
        alpha, data = seen.settings["alpha"], seen.data

        def objective(log_pi, standing):
            weight = (standing[:, None] * standing[None, :]) ** power
            weight /= jnp.exp(2 * power * jnp.sum(data * jnp.log(standing)))
            pair = weight * theory.dpo(theory.margins(log_pi), seen.preference, alpha)
            held = theory.sequential_kl(log_pi, np.log(seen.reference))
            pairs = theory.over_pairs(data, data, pair) / alpha
            return pairs + seen.tau * jnp.sum(standing * held)

        return theory.stationary(objective, seen.reference)

    return predict


def token_level(detached):
    """Zeng et al. 2024: margins less the difference of sequential forward KLs."""

    def predict(seen):
        log_reference, alpha = np.log(seen.reference), seen.settings.get("alpha", 1.0)

        def objective(log_pi, standing):
            h = theory.margins(log_pi - log_reference)
            along = theory.sequential_kl(log_reference, log_pi)
            still = theory.sequential_kl(log_reference, jnp.log(standing))
            won = still if detached else along
            y_wins = h - alpha * (along[None, :] - won[:, None])
            z_wins = -h - alpha * (along[:, None] - won[None, :])
            losses = seen.preference * jnp.logaddexp(0.0, -seen.tau * y_wins)
            losses += (1 - seen.preference) * jnp.logaddexp(0.0, -seen.tau * z_wins)
            return theory.over_pairs(seen.data, seen.data, losses)

        return theory.stationary(objective, seen.reference)

    return predict


def best_response_to_data(seen):
    """Azar et al. 2023: the best response to the data set's distribution."""
    return games.best_response(seen.data, seen.preference, seen.reference, seen.tau)


def one_reward_after_another(seen):
    """Lou et al. 2024: what the first has taught is retained, and more, by the second.

    As derived from the margin: of several optima of this family only one adds a share
    of the first reward, and of that alone.
    """
    (later,) = seen.later
    lasting = (1 + seen.settings["retain"]) * seen.rewards
    return theory.tilted(seen.reference, (lasting + later.rewards[0]) / seen.tau)


_OPTIMUM = {"prediction": "reference exp(r / tau)", "predict": optimum}
# OSP's labels by a baseline are Bradley-Terry's where the game is; sequential PO is DPO
# before its second dimension.
LIKE_DPO = ("osp", "sequential_po")
_SOFT = {"prediction": "softmax(r / alpha)", "predict": soft_optimum}

ENTRIES = (
    Entry(
        row="dpo", settings={"tau": TAU}, game=game.SCORED, also=LIKE_DPO, **_OPTIMUM
    ),
    Entry(
        row="cdpo",
        settings={"tau": TAU, "flip": FLIP},
        game=OVERCONFIDENT,
        note="of labels of which a share of flips makes Bradley-Terry's",
        **_OPTIMUM,
    ),
    Entry(
        row="rdpo",
        settings={"tau": TAU, "flip": FLIP},
        game=FLIPPED,
        note="of Bradley-Terry's labels, a share of them flipped",
        **_OPTIMUM,
    ),
    Entry(
        row="ipo",
        settings={"tau": 0.1},
        game=game.CYCLIC,
        prediction="reference exp(P(y > data) / tau)",
        predict=best_response_to_data,
    ),
    Entry(
        row="slic_hf",
        settings={"margin": 2.0, "likelihood": 2.0},
        game=game.CYCLIC,
        prediction="data ((likelihood + 2) P(y > data) - 1): no margin is reached",
        predict=calibrated_within_margin,
    ),
    Entry(
        row="slic_hf",
        settings={"margin": 0.5, "likelihood": 8.0},
        game=game.CYCLIC,
        prediction="minimiser of hinges, some beyond their margin, and likelihood",
        predict=calibrated,
    ),
    Entry(
        row="soft_po", settings={"alpha": 0.7, "tau": 0.0}, game=game.SCORED, **_SOFT
    ),
    Entry(
        row="soft_po",
        settings={"alpha": 0.7, "tau": 0.3},
        game=game.CYCLIC,
        prediction="where cross-entropy and the KL of next tokens balance",
        predict=soft(0.0),
    ),
    Entry(
        row="soft_po_weighted",
        settings={"alpha": 0.7, "tau": 0.0, "power": 0.5},
        game=game.SCORED,
        note="the weight does not change what rewards ask for",
        **_SOFT,
    ),
    Entry(
        row="soft_po_weighted",
        settings={"alpha": 0.7, "tau": 0.3, "power": 0.5},
        game=game.CYCLIC,
        prediction="where weighted cross-entropy and the KL of next tokens balance",
        predict=soft(0.5),
    ),
    Entry(
        row="soft_po_ranked",
        settings={"alpha": 0.7, "tau": 0.0, "num_responses": 3},
        game=game.SCORED,
        **_SOFT,
    ),
    Entry(
        row="tdpo1",
        settings={"tau": TAU},
        game=game.CYCLIC,
        prediction="minimiser of DPO less sequential KLs",
        predict=token_level(detached=False),
    ),
    Entry(
        row="tdpo2",
        settings={"tau": TAU, "alpha": 0.4},
        game=game.CYCLIC,
        prediction="where DPO less sequential KLs rests, the winner's detached",
        predict=token_level(detached=True),
    ),
    Entry(
        row="preference_degree",
        settings={"tau": TAU, "degree": 0.5, "num_degrees": 3},
        # One opinion and three examples of each pair, of which each has a degree.
        game=game.game([game.BRADLEY_TERRY] * 3, [game.REWARDS] * 3),
        note="the policy has room for what the head asks of it, whose own optimum is "
        "at infinity",
        also=LIKE_DPO,
        from_examples=True,
        tolerance=1e-4,
        **_OPTIMUM,
    ),
    Entry(
        row="sequential_po",
        settings={"tau": 1.0, "retain": 0.4},
        game=game.SCORED,
        later=(game.OTHERWISE_SCORED,),
        prediction="after two dimensions, reference exp(((1 + retain) r1 + r2) / tau)",
        predict=one_reward_after_another,
        num_periods=2,
    ),
)
