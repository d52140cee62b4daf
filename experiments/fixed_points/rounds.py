"""Where rows rest that learn in rounds: from what the last one wrote, or has scored."""

import jax.numpy as jnp
import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry
from experiments.fixed_points.offline import LIKE_DPO
from experiments.fixed_points.rewarded import optimum

TAU = 0.7


def of_iterate(seen, iterate):
    """Xu et al. 2024: DPO on verdicts, from the policy that has written."""
    hard = theory.verdicts(seen.preference)

    def objective(log_pi, _):
        h = theory.margins(log_pi - np.log(iterate))
        return theory.over_pairs(iterate, iterate, theory.dpo(h, hard, seen.tau))

    return theory.stationary(objective, iterate)


def optune(seen):
    """Chen et al. 2024: DPO on rankings, weighted by their rewards' distance."""
    log_reference, rewards = np.log(seen.reference), seen.game.rewards
    gaps = rewards[:, :, None] - rewards[:, None, :]
    weights = 1 / (1 + np.exp(-seen.settings["sharpness"] * np.abs(gaps)))
    ranked = (1 + np.sign(gaps)) / 2

    def objective(log_pi, _):
        h = theory.margins(log_pi - log_reference)[None]
        losses = jnp.mean(weights * theory.dpo(h, ranked, seen.tau), 0)
        return theory.over_pairs(seen.data, seen.data, losses)

    return theory.stationary(objective, seen.reference)


def selm(seen):
    """Zhang et al. 2024: the greedy response against the data's, itself pushed down."""
    reference = seen.reference
    table, said = theory.per_prefix(np.log(reference)), ()
    while said in table:
        said = (*said, int(np.argmax(table[said])))
    greedy = np.eye(game.SIZE)[game.STRINGS.index(said)]
    mass = np.mean(
        [
            theory.best_and_worst(
                [greedy, seen.data, seen.data],
                lambda group, hard=hard: hard[np.ix_(group, group)].sum(1),
            )
            for hard in theory.verdicts(seen.game.preference)
        ],
        0,
    )

    def objective(log_pi, _):
        ratio = log_pi - np.log(reference)
        fit = jnp.sum(mass * theory.dpo(theory.margins(ratio), 1.0, seen.tau))
        return fit + seen.settings["alpha"] * seen.tau * jnp.sum(greedy * ratio)

    return theory.stationary(objective, reference)


def best_of_three(seen, iterate):
    """Xiong et al. 2023: DPO on the iterate's best and worst, by each ranking."""
    follow = seen.settings["follow"]
    anchor = follow * np.log(iterate) + (1 - follow) * np.log(seen.reference)
    mass = sum(
        theory.best_and_worst([iterate] * 3, lambda group, r=rewards: r[group])
        for rewards in seen.game.rewards
    )

    def objective(log_pi, _):
        h = theory.margins(log_pi - anchor)
        return jnp.sum(mass * theory.dpo(h, 1.0, seen.tau))

    return theory.stationary(objective, iterate)


def likely_best_of_three(seen, iterate):
    """Pang et al. 2024: DPO on the iterate's best and worst, and the best's mean.

    Where no response is better than another there is no pair.
    """
    mass = sum(
        theory.best_and_worst([iterate] * 3, lambda group, r=r: r[group], 1e-9)
        for r in seen.game.rewards
    )
    lengths = np.array([len(string) for string in game.STRINGS])
    weight = seen.settings["likelihood"]

    def objective(log_pi, _):
        h = theory.margins(log_pi - np.log(iterate))
        losses = theory.dpo(h, 1.0, seen.tau) - weight * (log_pi / lengths)[:, None]
        return jnp.sum(mass * losses)

    return theory.stationary(objective, iterate)


def from_iterate(seen, iterate):
    """Gorbatovski et al. 2024: DPO's optimum from the one before."""
    return theory.tilted(iterate, seen.rewards / seen.tau)


def from_between(seen):
    """Gorbatovski et al. 2024: DPO's optimum, twice, from a reference that follows.

    In a table the mean of parameters is the geometric mean of each next token.
    """
    reference, policy = seen.reference, seen.reference
    for _ in range(2):
        rest = 1 - seen.settings["share"]
        reference = game.TREE.mixture(policy, reference, rest)
        policy = theory.tilted(reference, seen.rewards / seen.tau)
    return policy


def dice(seen):
    """Chen et al. 2024: own rewards of what the last round has learnt, and replay."""
    share, policies = seen.settings["replay"], [seen.reference, seen.reference]
    lengths = np.array([len(string) for string in game.STRINGS])
    ended = np.array([string[-1] == game.EOS for string in game.STRINGS])
    for _ in range(2):
        before, iterate = policies[-2:]
        own = np.log(iterate) - np.log(before) - seen.settings["penalty"] * lengths
        # Equal ones are equal: the first is taken.
        own = own.round(9)
        mass = theory.best_and_worst([iterate] * 2, lambda group, r=own: r[group])
        # A pair with a response that was cut is none.
        mass = mass * np.outer(ended, ended)

        def objective(log_pi, _, mass=mass, iterate=iterate):
            h = theory.margins(log_pi - np.log(iterate))
            old = theory.dpo(h, seen.preference, seen.tau)
            new = jnp.sum(mass * theory.dpo(h, 1.0, seen.tau))
            return (
                share * theory.over_pairs(seen.data, seen.data, old) + (1 - share) * new
            )

        policies.append(theory.stationary(objective, iterate))
    return policies[-1]


def exponential(seen, iterate):
    """Gao et al. 2024: iterate exp(eta r)."""
    return theory.tilted(iterate, seen.settings["eta"] * seen.rewards)


ENTRIES = (
    Entry(
        row="bpo",
        settings={"tau": TAU},
        game=game.CYCLIC,
        prediction="twice the minimiser of DPO on the iterate's verdicts",
        predict=theory.repeated(2, of_iterate),
        num_periods=2,
    ),
    Entry(
        row="optune",
        settings={"tau": TAU, "sharpness": 1.5},
        game=game.RANKED,
        prediction="minimiser of weighted DPO on four rankings",
        predict=optune,
    ),
    Entry(
        row="selm",
        settings={"tau": TAU, "alpha": 0.01},
        game=game.DIVIDED,
        prediction="minimiser of DPO on best and worst of three, and optimism",
        predict=selm,
        note="there is one only while alpha is below the mass with which each response "
        "is the worst: optimism about the greedy one has no bound of its own",
    ),
    Entry(
        row="iterative_dpo",
        settings={"tau": TAU, "follow": 0.4, "num_responses": 3},
        game=game.RANKED,
        prediction="twice the minimiser of DPO on best and worst of 3",
        predict=theory.repeated(2, best_of_three),
        num_periods=2,
        num_steps=6000,
        learning_rate=0.02,
    ),
    Entry(
        row="iterative_rpo",
        settings={"tau": TAU, "likelihood": 0.3, "num_responses": 3},
        game=game.RANKED,
        prediction="twice the minimiser of DPO and likelihood on best and worst of 3",
        predict=theory.repeated(2, likely_best_of_three),
        num_periods=2,
        num_steps=6000,
        learning_rate=0.02,
    ),
    Entry(
        row="tr_dpo",
        settings={"tau": TAU, "share": 0.6},
        game=game.SCORED,
        prediction="twice reference exp(r / tau), the reference between both",
        predict=from_between,
        num_periods=2,
        families=("tabular",),
        note="a mean of a transformer's parameters is no mean of its policies",
    ),
    Entry(
        row="tr_dpo_hard",
        settings={"tau": TAU},
        game=game.SCORED,
        prediction="twice iterate exp(r / tau)",
        predict=theory.repeated(2, from_iterate),
        num_periods=2,
    ),
    Entry(
        row="rebel",
        settings={"eta": 0.5},
        game=game.REWARDED,
        prediction="twice iterate exp(eta r)",
        predict=theory.repeated(2, exponential),
        num_periods=2,
    ),
    Entry(
        row="dice",
        settings={"tau": TAU, "replay": 0.6, "penalty": 0.3, "num_responses": 2},
        game=game.CYCLIC,
        prediction="twice the minimiser of DPO on its own rewards and on replay",
        predict=dice,
        num_periods=2,
    ),
    Entry(
        row="self_rewarding",
        settings={"tau": TAU},
        game=game.SCORED,
        prediction="reference exp(r / tau)",
        predict=optimum,
        also=LIKE_DPO,
        note="its update is DPO's, on pairs given with the examples; what is its own "
        "is who writes and judges them, tested in own_judgement_test",
        from_examples=True,
    ),
    Entry(
        row="mcts_dpo",
        settings={"tau": TAU},
        game=game.SCORED,
        prediction="reference exp(r / tau)",
        predict=optimum,
        also=LIKE_DPO,
        note="its update is DPO's, on pairs and visits given with the examples; what "
        "is its own is the search that they come from, tested in search_test",
        from_examples=True,
    ),
)
