"""Where rows that look for the Nash policy of a preference rest."""

import itertools
import math

import jax.numpy as jnp
import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry
from experiments.fixed_points.online import NASH, token_mixture
from nashalign import games


def best_response(seen):
    """The best response to the reference."""
    return games.best_response(
        seen.reference, seen.preference, seen.reference, seen.tau
    )


def nash_of_nash(seen, iterate):
    """The Nash policy of the game held to the last one."""
    return games.regularized_nash(seen.preference, iterate, seen.tau)


def solved(number, solver):
    """So many steps of a solver of the exact game: `solver(settings)`."""

    def predict(seen):
        dynamics = solver(seen.settings)
        state = dynamics.init(jnp.asarray(seen.reference))
        for _ in range(number):
            state = dynamics.update(state, jnp.asarray(seen.preference))
        return np.exp(state.log_policy)

    return predict


def shrunk(settings):
    """A step on win rates over K responses, itself among them, with which it ties."""
    number = settings["num_responses"]
    return settings["eta"] * (number - 1) / number


def regularised_regression(seen, iterate):
    """Tang et al. 2025: SPPO's square, and both divergences from the reference."""
    target = shrunk(seen.settings) * (seen.preference @ iterate - 0.5)

    def objective(log_pi, _):
        fit = (log_pi - np.log(iterate) - target) ** 2
        ratio = log_pi - np.log(seen.reference)
        reverse, forward = ratio**2, jnp.exp(-ratio)
        pull, push = seen.settings["pull"], seen.settings["forward"]
        return jnp.sum(iterate * (fit + pull * reverse + push * forward))

    return theory.stationary(objective, iterate)


def win_rate_entropy(seen):
    """Rosset et al. 2024, algorithm 1, with win rates over four more responses."""
    preference, reference = seen.preference, seen.reference
    label = np.zeros((game.SIZE, game.SIZE))
    for four in itertools.combinations_with_replacement(range(game.SIZE), 4):
        orders = len(set(itertools.permutations(four)))
        wins = preference[:, four].mean(1)
        mass = orders * math.prod(reference[y] for y in four)
        label += mass / (1 + np.exp(wins[None, :] - wins[:, None]))

    def objective(log_pi, _):
        h = theory.margins(log_pi - np.log(reference))
        losses = theory.dpo(h, label, 1 / seen.settings["eta"])
        return theory.over_pairs(reference, reference, losses)

    return theory.stationary(objective, reference)


def clear_pairs(seen, iterate):
    """Rosset et al. 2024, algorithm 2: the best and worst of four, where clear."""

    def scores(group):
        wins = seen.preference[np.ix_(group, group)]
        return (wins.sum(1) - 0.5) / 3

    mass = theory.best_and_worst(
        [iterate] * 3 + [seen.data], scores, seen.settings["margin"]
    )

    def objective(log_pi, _):
        h = theory.margins(log_pi - np.log(iterate))
        return jnp.sum(mass * theory.dpo(h, 1.0, seen.tau))

    return theory.stationary(objective, iterate)


def with_history(seen):
    """Wu et al. 2025: the anchor remembers two iterates, the opponent is the last."""
    weight, recent = seen.settings["eta"] * seen.tau, seen.settings["recent"]
    previous = iterate = seen.reference
    for _ in range(3):
        anchor = theory.mixed(
            (seen.reference, weight),
            (iterate, (1 - weight) * recent),
            (previous, (1 - weight) * (1 - recent)),
        )
        gain = seen.settings["eta"] * seen.preference @ iterate
        previous, iterate = iterate, theory.tilted(anchor, gain)
    return iterate


_NASH_OF_NASH = {
    "game": game.CYCLIC,
    "prediction": "the Nash policy held to that held to the reference",
    "predict": theory.repeated(2, nash_of_nash),
    "num_periods": 2,
}
_MIXTURE = "reference exp(P(y > w) / tau), w its token-level mixture"

ENTRIES = (
    Entry(
        row="nash_md_pg",
        settings={"tau": 0.2, "mix": 0.25},
        game=game.CYCLIC,
        prediction=_MIXTURE,
        predict=token_mixture,
    ),
    Entry(row="self_play_pg", settings={"tau": 0.2}, **NASH),
    Entry(
        row="best_response_pg",
        settings={"tau": 0.2},
        game=game.CYCLIC,
        prediction="reference exp(P(y > reference) / tau)",
        predict=best_response,
    ),
    Entry(row="nash_ema_pg", settings={"tau": 0.2, "decay": 0.9}, **NASH),
    Entry(row="spo", settings={"tau": 0.2, "num_responses": 3}, **NASH),
    Entry(
        row="sppo",
        settings={"eta": 2.0, "num_responses": 3},
        game=game.CYCLIC,
        prediction="two of SPPO's steps, of eta (K - 1) / K",
        predict=solved(2, lambda settings: games.sppo(eta=shrunk(settings))),
        num_periods=2,
        note="win rates over K responses have the response itself among them",
    ),
    Entry(
        row="dno",
        settings={"eta": 4.0},
        game=game.CYCLIC,
        prediction="minimiser of cross-entropy to win rates over four",
        predict=win_rate_entropy,
        num_steps=400,
        note="the logistic function of a mean of four wins is not that of the win "
        "rate: the step is a little shorter than the paper's",
    ),
    Entry(
        row="dno_prct",
        settings={"tau": 2.0, "margin": 0.2, "num_responses": 3},
        game=game.CYCLIC,
        prediction="minimiser of DPO on clear best and worst of four",
        predict=theory.repeated(1, clear_pairs),
    ),
    Entry(row="inpo", settings={"tau": 0.2, "eta": 1.0}, period=1, **NASH),
    Entry(
        row="inpo",
        settings={"tau": 0.2, "eta": 2.0},
        game=game.CYCLIC,
        prediction="two steps of mirror descent",
        predict=solved(
            2, lambda settings: games.mirror_descent(tau=0.2, eta=settings["eta"])
        ),
        num_periods=2,
    ),
    Entry(
        row="rspo",
        settings={"eta": 2.0, "pull": 0.3, "forward": 0.4, "num_responses": 3},
        game=game.CYCLIC,
        prediction="twice the minimiser of SPPO's square with both divergences",
        predict=theory.repeated(2, regularised_regression),
        num_periods=2,
    ),
    Entry(
        row="comal",
        settings={"tau": 0.2, "eta": 1.0, "num_inner": 1200},
        period=1,
        **_NASH_OF_NASH,
    ),
    Entry(
        row="onpo",
        settings={"eta": 1.0},
        game=game.CYCLIC,
        prediction="three steps of optimistic multiplicative weights",
        predict=solved(3, lambda settings: games.omwu(eta=settings["eta"])),
        num_periods=3,
    ),
    Entry(row="egpo", settings={"tau": 0.2}, **NASH),
    Entry(row="nash_mirror_prox", settings={"tau": 0.2, "eta": 1.0}, period=1, **NASH),
    Entry(
        row="nash_mirror_prox",
        settings={"tau": 0.2, "eta": 1.5},
        game=game.CYCLIC,
        prediction="two steps of extragradient",
        predict=solved(
            2, lambda settings: games.extragradient(tau=0.2, eta=settings["eta"])
        ),
        num_periods=4,
    ),
    Entry(row="mpo", settings={"tau": 0.2}, **_NASH_OF_NASH),
    Entry(
        row="mnpo",
        settings={"tau": 0.2, "eta": 1.5, "recent": 0.6},
        game=game.CYCLIC,
        prediction="three mirror steps from an anchor with a memory",
        predict=with_history,
        num_periods=3,
        note="the paper's theory also plays against the memory; the row's opponent is "
        "the last iterate alone, as in the paper's practical loss",
    ),
)
