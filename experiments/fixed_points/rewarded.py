"""Where rows that learn from rewards by policy gradient, and imitate the best, rest."""

import jax.numpy as jnp
import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry


def optimum(seen):
    """The KL-regularised optimum of the rewards."""
    return theory.tilted(seen.reference, seen.rewards / seen.tau)


def bonbon(seen):
    """Gui et al. 2024: likelihood of the best of n, and IPO on best and worst."""
    number, share = 3, seen.settings["likelihood"]
    mass = theory.best_and_worst(
        [seen.reference] * number, lambda group: seen.rewards[group]
    )
    target = (number - 1) * sum(1 / k for k in range(1, number))

    def objective(log_pi, _):
        h = theory.margins(log_pi - np.log(seen.reference))
        said = -jnp.sum(mass.sum(1) * log_pi)
        return share * said + (1 - share) * jnp.sum(mass * (h - target) ** 2)

    return theory.stationary(objective, seen.reference)


def bond(seen):
    """Sessa et al. 2024: Jeffreys divergence from the best of two of the anchor."""
    anchor, rewards = seen.reference, seen.rewards
    best = theory.law_of_best(anchor, rewards, 2)
    below_both = ((rewards[None, :] > rewards[:, None]) @ anchor) ** 2
    weight = seen.settings["backward"]

    def objective(log_pi, _):
        pi = jnp.exp(log_pi)
        divergence = jnp.sum(pi * (log_pi - np.log(anchor)))
        backward = np.log(16) * jnp.sum(pi * below_both) + divergence
        forward = -jnp.sum(best * log_pi)
        return (1 - weight) * forward + weight * backward + seen.tau * divergence

    return theory.stationary(objective, seen.reference)


def group_relative(in_deviations, per_token):
    """Shao et al. 2024, Liu et al. 2025: rewards against the group's, and k3 a token.

    What a response is credited with is a mean over who else is in its group of three.
    """

    def predict(seen):
        rewards, reference = seen.rewards, theory.per_prefix(np.log(seen.reference))
        groups = np.stack(np.broadcast_arrays(*np.ix_(rewards, rewards, rewards)))
        advantages = groups[0] - groups.mean(0)
        if in_deviations:
            advantages = advantages / (groups.std(0, ddof=1) + 1e-4)
        lengths = np.array([len(string) for string in game.STRINGS])
        scale = 1 / lengths if per_token else np.ones(game.SIZE)

        def objective(log_pi, standing):
            policy = theory.per_prefix(log_pi)
            k3 = []
            for string in game.STRINGS:
                found = jnp.stack(
                    [
                        reference[string[:t]][token] - policy[string[:t]][token]
                        for t, token in enumerate(string)
                    ]
                )
                k3.append(jnp.sum(jnp.exp(found) - found - 1))
            credit = (advantages @ standing) @ standing
            values = seen.tau * jnp.stack(k3) - credit * log_pi
            return jnp.sum(standing * scale * values)

        return theory.stationary(objective, seen.reference)

    return predict


_MIXED = {"threshold": 0.4, "dpo_tau": 1.2, "tau": 0.8}


def mixed_po(seen):
    """Gou and Nguyen 2024: DPO's policy, which PPO is held to, tilted once more."""
    after_dpo = theory.tilted(seen.reference, seen.rewards / _MIXED["dpo_tau"])
    return theory.tilted(after_dpo, seen.rewards / seen.tau)


ENTRIES = (
    Entry(
        row="rl",
        settings={"tau": 0.8},
        game=game.REWARDED,
        prediction="reference exp(r / tau)",
        predict=optimum,
    ),
    Entry(
        row="rloo",
        settings={"tau": 0.8, "num_responses": 3},
        game=game.REWARDED,
        prediction="reference exp(r / tau)",
        predict=optimum,
    ),
    Entry(
        row="ppo",
        settings={"tau": 0.8, "clip": 0.2, "trace": 0.95, "value": 0.1},
        game=game.REWARDED,
        prediction="reference exp(r / tau)",
        predict=optimum,
        note="four clipped epochs a batch, and a critic learnt beside: at the optimum "
        "the return after each prefix is a constant, so that an exact critic leaves "
        "no advantage, whatever the trace",
    ),
    Entry(
        row="grpo",
        settings={"tau": 0.8, "num_responses": 3},
        game=game.REWARDED,
        prediction="where rewards in deviations balance k3, both by mean tokens",
        predict=group_relative(in_deviations=True, per_token=True),
    ),
    Entry(
        row="dr_grpo",
        settings={"tau": 0.8, "num_responses": 3},
        game=game.REWARDED,
        prediction="where two thirds of rewards balance k3",
        predict=group_relative(in_deviations=False, per_token=False),
    ),
    Entry(
        row="reinforce_plus_plus",
        settings={"tau": 0.8, "num_epochs": 2},
        game=game.REWARDED,
        prediction="reference exp(r / tau)",
        predict=optimum,
        note="what a token is credited with on average, and in which unit, does not "
        "change where nothing is left to be gained",
    ),
    Entry(
        row="bonbon",
        settings={"likelihood": 0.3, "num_responses": 3},
        game=game.REWARDED,
        prediction="minimiser of likelihood of the best and IPO on best and worst",
        predict=bonbon,
    ),
    Entry(
        row="bond",
        settings={"tau": 0.3, "backward": 0.4, "decay": 1.0},
        game=game.REWARDED,
        prediction="minimiser of the Jeffreys divergence from the best of 2",
        predict=bond,
        note="the anchor stands still (decay 1); if it follows, the best response wins",
    ),
    Entry(
        row="mixed_po",
        settings=_MIXED,
        in_rounds=True,
        game=game.SCORED,
        prediction="DPO's reference exp(r / dpo_tau), times exp(r / tau)",
        predict=mixed_po,
        note="easy pairs connect all responses, so that DPO's optimum is that of all",
    ),
)
