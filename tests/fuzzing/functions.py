"""Public functions, with arguments that are right and kinds of wrong ones."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.docstrings import reviewers
from nashalign import (
    algorithms,
    data,
    evaluation,
    games,
    losses,
    policies,
    preferences,
    sampling,
)
from tests.fuzzing import values
from tests.fuzzing.trial import Trial


@dataclasses.dataclass(frozen=True)
class Function:
    """A public function.

    Attributes:
      name: as users write it.
      call: the function.
      good: arguments that are right, by name.
      kinds: how each may be wrong, by name.
      says: what an error may call the argument instead.
    """

    name: str
    call: Callable[..., Any]
    good: Mapping[str, Any]
    kinds: Mapping[str, values.Kind]
    says: tuple[str, ...] = ()


_PREFERENCE = games.three_cycle()
_POLICY, _OTHER = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.5, 0.3])
_TABLE = sampling.enumerate_responses(2, 2, 0)
_TREE = games.token_tree(_TABLE.tokens[0], _TABLE.mask[0])
_MARGIN, _PREFERRED = np.array([0.5, -1.0, 2.0]), np.array([0.9, 0.2, 0.5])
_MASK = np.array([[[True, True], [True, False]]])
_TOKENS = np.array([[[-1.0, -0.5], [-2.0, 0.0]]])


def _dynamics(factory, **kinds):
    """A solver by its factory: it is made and taken through one step."""
    good = {name: 0.25 for name in kinds}

    def call(**settings):
        solver = factory(**settings)
        return solver.update(solver.init(_OTHER), _PREFERENCE)

    return Function(f"games.{factory.__name__}", call, good, kinds)


def _run(**arguments):
    """A run of mirror descent from what is given."""
    solver = games.mirror_descent(tau=0.1, eta=0.5)
    start = solver.init(arguments.pop("reference"))
    return games.run(solver, start=start, **arguments)


def exact_games() -> list[Function]:
    """Measures, equilibria and dynamics."""
    step = {"eta": values.positive}
    flow = {"learning_rate": values.positive, "tau": values.positive}
    both = {"tau": values.not_negative, "eta": values.positive}
    prefer = {"preference": values.preference}
    policy = {"policy": values.distribution}
    anchored = {"reference": values.distribution, "tau": values.positive}
    given = {"preference": _PREFERENCE}
    anchor = {"reference": _OTHER, "tau": 0.2}
    mine = {"policy": _POLICY}
    single = [
        Function(f"games.{own.__name__}", own, given, prefer)
        for own in (
            games.nash,
            games.nash_vertices,
            games.condorcet_winner,
            games.top_cycle,
            games.intransitive_share,
            games.fit_bradley_terry,
            games.check,
        )
    ]
    return [
        *single,
        Function(
            "games.regularized_nash",
            games.regularized_nash,
            given | anchor,
            prefer | anchored,
        ),
        Function(
            "games.duality_gap",
            games.duality_gap,
            mine | given | anchor,
            policy | prefer | anchored | {"tau": values.not_negative},
        ),
        Function(
            "games.exploitability", games.exploitability, mine | given, policy | prefer
        ),
        Function(
            "games.nash_conv",
            games.nash_conv,
            mine | given | anchor | {"opponent": _OTHER},
            policy
            | prefer
            | anchored
            | {"tau": values.not_negative, "opponent": values.distribution},
        ),
        Function(
            "games.win_rates",
            games.win_rates,
            given | {"opponent": _OTHER},
            prefer | {"opponent": values.distribution},
        ),
        Function(
            "games.best_response",
            games.best_response,
            given | anchor | {"opponent": _OTHER},
            prefer | anchored | {"opponent": values.distribution},
        ),
        Function("games.kl", games.kl, mine | {"reference": _OTHER}, policy),
        Function(
            "games.total_variation",
            games.total_variation,
            mine | {"other": _OTHER},
            policy | {"other": values.distribution},
        ),
        Function(
            "games.run",
            _run,
            given | {"reference": _OTHER, "num_steps": 2},
            prefer | {"reference": values.distribution, "num_steps": values.count},
        ),
        Function(
            "games.token_mixture_fixed_point",
            games.token_mixture_fixed_point,
            {
                "tree": _TREE,
                "preference": np.full((7, 7), 0.5),
                "reference": np.full(7, 1 / 7),
                "tau": 0.2,
                "mix": 0.25,
            },
            {"tau": values.positive, "mix": values.share, **prefer},
        ),
        _dynamics(games.mirror_descent, **both),
        _dynamics(games.extragradient, **both),
        _dynamics(games.nash_md, **both),
        _dynamics(games.nash_ema, decay=values.share, **both),
        _dynamics(games.nash_mirror_prox, tau=values.positive, paper_eta=step["eta"]),
        _dynamics(games.inpo, tau=values.positive, paper_eta=step["eta"]),
        _dynamics(games.dno, paper_eta=step["eta"]),
        _dynamics(games.sppo, **step),
        _dynamics(games.omwu, **step),
        _dynamics(games.onpo, **step),
        _dynamics(games.online_ipo, **flow),
        _dynamics(games.online_dpo, **flow),
        _dynamics(games.online_slic, **flow),
        _dynamics(games.ipo_md, mix=values.share, **flow),
        _dynamics(games.nash_md_pg, mix=values.share, **flow),
        _dynamics(games.fictitious_play, tau=values.not_negative),
    ]


def families_of_games() -> list[Function]:
    """What makes games."""
    return [
        Function(
            "games.from_rewards",
            games.from_rewards,
            {"rewards": np.array([1.0, 0.0, -1.0])},
            {"rewards": values.finite},
        ),
        Function(
            "games.from_votes",
            games.from_votes,
            {"wins": np.array([[0, 3.0], [2, 0]]), "prior": 0.5},
            {"wins": values.finite, "prior": values.not_negative},
        ),
        Function(
            "games.population",
            games.population,
            {
                "preferences": np.stack([_PREFERENCE, _PREFERENCE.T]),
                "weights": np.array([0.5, 0.5]),
            },
            {"preferences": values.preference, "weights": values.distribution},
        ),
        Function(
            "games.planted",
            games.planted,
            {"seed": 0, "nash": _OTHER, "strength": 1.0},
            {"nash": values.alone(values.distribution), "strength": values.positive},
        ),
        Function(
            "games.rock_paper_scissors",
            games.rock_paper_scissors,
            {"strength": 1.0},
            {"strength": values.share},
        ),
        Function(
            "games.three_cycle",
            games.three_cycle,
            {"first": 0.9, "second": 0.8, "third": 0.7},
            {name: values.share for name in ("first", "second", "third")},
        ),
        Function(
            "games.low_rank",
            games.low_rank,
            {"seed": 0, "shape": 3, "rank": 2},
            {"shape": values.count, "rank": values.count},
        ),
        Function(
            "games.random_preference",
            games.random_preference,
            {"seed": 0, "shape": 3},
            {"shape": values.count},
        ),
        Function(
            "games.block_cyclic",
            games.block_cyclic,
            {"seed": 0, "shape": 6, "num_blocks": 3, "strength": 0.8},
            {
                "shape": values.count,
                "num_blocks": values.count,
                "strength": values.share,
            },
        ),
        Function(
            "games.token_game",
            games.token_game,
            {"vocabulary": 2, "length": 2, "prefer": lambda y, z: 0.5},
            {"vocabulary": values.count, "length": values.count},
        ),
        Function(
            "games.token_game of preferences",
            lambda preferred: games.token_game(2, 1, lambda y, z: preferred),
            {"preferred": 0.5},
            {"preferred": values.share},
            says=("prefer(y, z)",),
        ),
    ]


def loss_functions() -> list[Function]:
    """One number per comparison or response."""
    pair = {"margin": _MARGIN, "preferred": _PREFERRED}
    wrong = {"preferred": values.probabilities}
    token = {"log_probs": _TOKENS, "reference_log_probs": _TOKENS, "mask": _MASK}
    by_tau = [
        Function(
            f"losses.{own.__name__}",
            own,
            pair | {"tau": 0.1},
            wrong | {"tau": values.positive},
        )
        for own in (losses.ipo, losses.dpo, losses.slic)
    ]
    flipped = [
        Function(
            f"losses.{own.__name__}",
            own,
            pair | {"tau": 0.1, "flip": 0.2},
            wrong | {"tau": values.positive, "flip": values.share},
        )
        for own in (losses.cdpo, losses.rdpo)
    ]
    return [
        *by_tau,
        *flipped,
        Function(
            "losses.hinge",
            losses.hinge,
            pair | {"delta": 1.0},
            wrong | {"delta": values.not_negative},
        ),
        Function(
            "losses.soft",
            losses.soft,
            pair | {"alpha": 1.0},
            wrong | {"alpha": values.positive},
        ),
        Function(
            "losses.policy_gradient",
            losses.policy_gradient,
            token | {"advantage": np.array([[0.3, -0.2]]), "tau": 0.1},
            {"advantage": values.shaped, "tau": values.not_negative},
        ),
        Function(
            "losses.token_rewards",
            losses.token_rewards,
            {
                "log_ratios": _TOKENS,
                "mask": _MASK,
                "reward": np.array([[0.3, -0.2]]),
                "tau": 0.1,
            },
            {"reward": values.shaped, "tau": values.not_negative},
        ),
        Function(
            "losses.clipped_policy",
            losses.clipped_policy,
            {
                "log_probs": _TOKENS,
                "old_log_probs": _TOKENS,
                "advantage": _TOKENS,
                "clip": 0.2,
            },
            {"clip": values.positive, "advantage": values.shaped},
        ),
        Function(
            "losses.clipped_value",
            losses.clipped_value,
            {
                "values": _TOKENS,
                "old_values": _TOKENS,
                "returns": _TOKENS,
                "clip": 0.2,
            },
            {"clip": values.positive, "returns": values.shaped},
        ),
        Function(
            "losses.advantages",
            losses.advantages,
            {"rewards": _TOKENS, "values": _TOKENS, "mask": _MASK, "trace": 0.9},
            {"trace": values.share, "values": values.shaped},
        ),
    ]


def _sampled(**changes):
    """Two short responses of a table to one prompt."""
    policy = policies.tabular(4, 3)
    decoding = {"max_length": 2, "eos_id": 0, "pad_id": 0, "temperature": 1.0}
    decoding |= {name: changes.pop(name) for name in tuple(changes) if name in decoding}
    prompts = data.pad_prompts([[1]], [0], length=1, pad_id=0)
    settings = {"num_responses": 2} | changes
    responses, _ = sampling.sample(
        policy,
        {"policy": policy.init(jax.random.key(0))},
        lambda logits: logits["policy"],
        jax.random.key(0),
        prompts,
        decoding=sampling.Decoding(**decoding),
        **settings,
    )
    return responses


def _too_long(random, good):
    """More tokens than the context of three has room for."""
    return "beyond the context", good + 2 + int(random.integers(100))


def token_functions() -> list[Function]:
    """Policies, prompts and sampling."""
    logits = np.array([0.5, -1.0, 2.0])
    return [
        Function(
            "policies.mixture_logits",
            policies.mixture_logits,
            {"policy_logits": logits, "reference_logits": logits[::-1], "mix": 0.3},
            {"mix": values.share, "reference_logits": values.shaped},
        ),
        Function(
            "policies.tabular",
            policies.tabular,
            {"vocabulary": 3, "context": 4},
            {"vocabulary": values.count, "context": values.count},
        ),
        Function(
            "policies.extrapolate",
            policies.extrapolate,
            {"params": {"a": jnp.ones(2)}, "start": {"a": jnp.zeros(2)}, "alpha": 0.3},
            {"alpha": values.number},
        ),
        Function(
            "sampling.Decoding",
            sampling.Decoding,
            {"max_length": 2, "eos_id": 0, "pad_id": 0, "temperature": 1.0},
            {"max_length": values.count, "temperature": values.positive},
        ),
        Function(
            "sampling.sample",
            _sampled,
            {"max_length": 2, "temperature": 1.0, "num_responses": 2},
            {
                "max_length": _too_long,
                "temperature": values.positive,
                "num_responses": values.count,
            },
        ),
        Function(
            "sampling.enumerate_responses",
            sampling.enumerate_responses,
            {"vocabulary": 2, "max_length": 2, "eos_id": 0},
            {"vocabulary": values.count, "max_length": values.count},
        ),
        Function(
            "data.pad_prompts",
            data.pad_prompts,
            {"tokens": [[1, 2]], "ids": [0], "length": 3, "pad_id": 0},
            {"length": values.count, "tokens": _tokens, "ids": _ids},
        ),
        Function(
            "data.pad_responses",
            data.pad_responses,
            {"strings": [[[1, 2]]], "length": 3, "pad_id": 0},
            {"length": values.count, "strings": _strings},
        ),
    ]


def _tokens(random, good):
    """No lists of token ids."""
    return values.one_of(
        random,
        {
            "text": lambda: ["def f(x):"],
            "an empty prompt": lambda: [[]],
            "a negative id": lambda: [[1, -int(random.integers(1, 9))]],
            "no list": lambda: [1, 2],
            "None": lambda: [None],
        },
    )


def _strings(random, good):
    """No lists of lists of token ids."""
    return values.one_of(
        random,
        {
            "text": lambda: [["a summary"]],
            "a negative id": lambda: [[[1, -int(random.integers(1, 9))]]],
            "no list": lambda: [1, 2],
            "unequal numbers": lambda: [[[1]], [[1], [2]]],
        },
    )


def _ids(random, good):
    """No id for each prompt."""
    return values.one_of(
        random, {"too many": lambda: [0, 1], "none": lambda: [], "text": lambda: ["a"]}
    )


def preference_functions() -> list[Function]:
    """Reviewers, games as annotators, ensembles."""
    rewards = np.array([[1.0, 0.0], [0.5, 0.5]])
    population = reviewers.three_reviewers()
    texts = {"codes": ["def f(x):", "x = 1"], "summaries": ["Do it.", "Return one."]}
    kinds = [
        Function(f"reviewers.{own.__name__}", own, texts, {"summaries": _fewer})
        for own in population.voters.values()
    ]
    return [
        *kinds,
        Function(
            "preferences.Population",
            preferences.Population,
            {
                "voters": population.voters,
                "weights": population.weights,
                "temperatures": population.temperatures,
            },
            {"weights": values.distribution, "temperatures": _temperatures},
        ),
        Function(
            "preferences.GamePreference",
            preferences.GamePreference,
            {"table": _TABLE, "preference": np.full((7, 7), 0.5)},
            {"preference": values.preference},
        ),
        Function(
            "preferences.GameReward",
            preferences.GameReward,
            {"table": _TABLE, "rewards": np.zeros(7)},
            {"rewards": values.finite},
        ),
        Function(
            "preferences.best_attainable_accuracy",
            preferences.best_attainable_accuracy,
            {"preferred": _PREFERRED},
            {"preferred": values.probabilities},
        ),
        Function(
            "preferences.uncertainty_weighted",
            lambda weight: preferences.uncertainty_weighted(weight)(rewards),
            {"weight": 0.5},
            {"weight": values.not_negative},
        ),
        Function(
            "preferences.length_penalty",
            preferences.length_penalty,
            {
                "rewards": rewards,
                "lengths": np.array([[3, 4], [1, 2]]),
                "grid": np.array([0.0, 0.1]),
            },
            {"rewards": values.finite, "grid": values.finite},
        ),
    ]


def _fewer(random, good):
    """No text for each of the other texts."""
    return values.one_of(
        random,
        {
            "too few": lambda: list(good[:-1]),
            "too many": lambda: [*good, "More."],
            "no text": lambda: [float(random.random()) for _ in good],
            "None in it": lambda: [None for _ in good],
        },
    )


def _temperatures(random, good):
    """Temperatures that are none."""
    bad = [float("nan"), 0.0, -1.0, float("inf"), "1"][int(random.integers(5))]
    return f"{bad} in it", [bad, *good[1:]]


def evaluation_functions() -> list[Function]:
    """Win rates, intervals, figures' data."""
    wins = np.array([0.9, 0.1, 0.6, 0.7, 0.2, 0.8])
    lengths = np.array([3, 5, 4, 7, 6, 5])
    matrix = np.stack([_PREFERENCE] * 4)
    log_probs, mask = np.full((3, 2), -1.0), np.ones((3, 2), bool)
    confidence = {"confidence": _confidence}
    return [
        Function(
            "evaluation.win_rate_matrix",
            evaluation.win_rate_matrix,
            {"preferences": matrix, "confidence": 0.95},
            {"preferences": values.preference, **confidence},
        ),
        Function(
            "evaluation.empirical_game",
            evaluation.empirical_game,
            {"preference": _PREFERENCE},
            {"preference": values.preference},
        ),
        Function(
            "evaluation.length_controlled_win_rate",
            evaluation.length_controlled_win_rate,
            {"preferred": wins, "lengths": lengths, "opponent_lengths": lengths[::-1]},
            {
                "preferred": values.probabilities,
                "lengths": values.finite,
                "opponent_lengths": values.finite,
            },
        ),
        Function(
            "evaluation.mean_interval",
            evaluation.mean_interval,
            {"values": wins, "confidence": 0.9},
            {"values": values.finite, **confidence},
        ),
        Function(
            "evaluation.kl_to_reference",
            evaluation.kl_to_reference,
            {
                "log_probs": log_probs[:, None],
                "reference_log_probs": log_probs[:, None],
                "mask": mask[:, None],
            },
            {"log_probs": values.shaped},
        ),
        Function(
            "evaluation.preference_table",
            lambda preferred: evaluation.preference_table(
                lambda i, j: np.full(3, preferred), 2
            ),
            {"preferred": 0.5},
            {"preferred": values.share},
            says=("compare(0, 1)",),
        ),
    ]


def _confidence(random, good):
    """No level of confidence."""
    name, bad = values.share(random, good)
    return name, bad


def configurations(random: np.random.Generator) -> Iterator[Trial]:
    """Settings of rows, out of their ranges or of no number."""
    names = sorted(algorithms.TABLE)
    while True:
        name = names[random.integers(len(names))]
        row = algorithms.TABLE[name]
        if not row.settings:
            continue
        setting = str(random.choice(sorted(row.defaults)))
        what, bad = values.one_of(
            random,
            values._no_number(random)
            | {
                "infinite": lambda: float("inf"),
                "an array": lambda: np.array([0.1, 0.2]),
                "a dictionary": lambda: {"tau": 0.1},
            },
        )
        yield Trial(
            name=f"algorithms.configure: a setting is {what}",
            call=lambda name=name, setting=setting, bad=bad: algorithms.configure(
                name, **{setting: bad}
            ),
            says=(setting,),
        )
        wrong = setting[:-1] + "z"
        yield Trial(
            name="algorithms.configure: a name is misspelt",
            call=lambda name=name, wrong=wrong: algorithms.configure(
                name, **{wrong: 0.1}
            ),
            says=(wrong,),
        )


def trials(
    functions: Callable[[], list[Function]],
) -> Callable[[np.random.Generator], Iterator[Trial]]:
    """Trials of a list of functions: one argument after another is wrong."""

    def drawn(random):
        own = functions()
        places = [(each, argument) for each in own for argument in each.kinds]
        while True:
            for place in random.permutation(len(places)):
                function, argument = places[place]
                good = function.good[argument]
                what, bad = function.kinds[argument](random, good)
                arguments = dict(function.good) | {argument: bad}
                yield Trial(
                    name=f"{function.name}: {argument} is {what}",
                    call=lambda f=function, a=arguments: f.call(**a),
                    says=(argument, *function.says),
                )

    return drawn
