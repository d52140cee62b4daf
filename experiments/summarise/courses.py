"""What a run learns from, in the order in which it does: most rows have one part.

OPTune answers its worst prompts anew between rounds, and step-level preference learning
searches anew; both go on from the policy that the last round has made. Mixed PO has two
stages, each a row of its own; DICE begins with DPO, whose rewards it learns from.
Sequential PO hears one kind of reviewer a period, each in turn. What a part learns
from is made when the part before is over, and kept beside the run: it is
neither made nor paid for twice.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from experiments.summarise import examples, search, task
from experiments.summarise.settings import Settings
from nashalign import algorithms, training
from nashalign.types import Examples, Prompts, Responses

ROUNDS = {"optune": 3, "mcts_dpo": 3}
"""Into how many rounds a run of these rows is divided."""

ANSWERED_ANEW = 0.5
"""Share of the prompts, those with the lowest rewards, that OPTune answers anew."""

SEARCHED_FOR_A_PENALTY = 128
"""Prompts whose responses give DICE its penalty for length."""

_EXAMPLES = {"prompts": Prompts, "responses": Responses}
_ARRAYS = {
    "prompts.tokens": (None, None),
    "prompts.mask": (None, None),
    "prompts.ids": (None,),
    "responses.tokens": (None, None, None),
    "responses.mask": (None, None, None),
    "responses.truncated": (None, None),
}
_LABELS = {"preference": (None, None, None), "rewards": (None, None)}

# `(setup, state, before) -> examples`, from what the part before has learnt from.
Make = Callable[[algorithms.Setup, algorithms.State, Examples | None], Examples]
Settle = Callable[[algorithms.Setup, algorithms.State], algorithms.Method]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a run.

    Attributes:
      row: key of the table of methods.
      method: the row with its settings.
      num_steps: updates.
      make: makes the examples that it learns from, or whose prompts it is shown; None
        where a batch is whatever the row has always been given.
      settle: sets what is decided by the policy that the part begins with.
    """

    row: str
    method: algorithms.Method
    num_steps: int
    make: Make | None = None
    settle: Settle | None = None


def judges_of(name: str, settings: Settings) -> set[str]:
    """The learned judges that a run needs."""
    found = {examples.judge_of(method) for method in settings.stages(name).values()}
    if name == "mcts_dpo":
        # Whole responses are scored where the paper asks the model for its confidence.
        found = {"reward"}
    if len(settings.stages(name)) > 1:
        found.add("reward")
    return found - {None}


def course(
    name: str,
    settings: Settings,
    num_steps: int,
    loaded: task.Task,
    data_set: examples.DataSet | None,
    seed: int,
) -> list[Part]:
    """Returns the parts of a run.

    Args:
      name: of the row or the recipe.
      settings: its settings.
      num_steps: updates of all parts together.
      loaded: the task.
      data_set: what offline rows learn from.
      seed: of the choice of prompts that are searched, and of the votes of a kind.
    """
    stages = settings.stages(name)
    if name == "dice":
        return _self_rewarded(settings, num_steps, data_set)
    if name == "sequential_po":
        return _in_turn(settings, num_steps, loaded, data_set, seed)
    if len(stages) == 1:
        makers = {
            "optune": lambda number: _answered(number, data_set),
            "mcts_dpo": lambda number: search.searches(
                loaded, data_set.judge, number, seed
            ),
        }
        count = min(ROUNDS.get(name, 1), num_steps)
        makes = [makers[name](n) if name in makers else None for n in range(count)]
        rows = [name] * count
    else:
        easy_then_difficult = settings.recipe().stages
        makes = [_chosen(stage.part, data_set) for stage in easy_then_difficult]
        rows = list(stages)
    return [
        Part(row=row, method=stages[row], num_steps=number, make=make)
        for row, make, number in zip(
            rows, makes, _divided(num_steps, len(rows)), strict=True
        )
    ]


def kept(path: pathlib.Path, make: Callable[[], Examples]) -> Examples:
    """Returns examples from a file, made and written down first if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        leaves = jax.tree_util.tree_flatten_with_path(make())[0]
        named = {jax.tree_util.keystr(key)[1:]: leaf for key, leaf in leaves}
        with training.replacing(path) as temporary:
            np.savez(temporary, **named)
    again = "Delete it to have the examples made again"
    stored = training.read_arrays(path, again, _ARRAYS, _LABELS)
    own = {
        kind: {
            field.name: stored[f"{kind}.{field.name}"]
            for field in dataclasses.fields(value)
        }
        for kind, value in _EXAMPLES.items()
    }
    return Examples(
        prompts=Prompts(**own["prompts"]),
        responses=Responses(**own["responses"]),
        **{name: stored[name] for name in _LABELS if name in stored},
    )


def _self_rewarded(
    settings: Settings, num_steps: int, data_set: examples.DataSet
) -> list[Part]:
    """DPO, and two rounds of DICE with a penalty found at the beginning of each."""
    own = algorithms.configure("dpo", tau=settings.own["tau"])
    numbers = _divided(num_steps, min(3, num_steps))
    parts = [Part(row="dpo", method=own, num_steps=numbers[0])]
    for number in numbers[1:]:
        method = settings.method("dice")
        seen = algorithms.take(data_set.of(method), slice(SEARCHED_FOR_A_PENALTY))

        def settle(setup, state, method=method, seen=seen):
            return algorithms.length_corrected(method, setup, state, seen)

        parts.append(Part(row="dice", method=method, num_steps=number, settle=settle))
    return parts


def _in_turn(
    settings: Settings,
    num_steps: int,
    loaded: task.Task,
    data_set: examples.DataSet,
    seed: int,
) -> list[Part]:
    """A part for each period of sequential PO, and a kind of reviewer for each."""
    method, period = settings.method("sequential_po"), int(settings.own["period"])
    kinds = loaded.annotator.population.kinds
    return [
        Part(
            row="sequential_po",
            method=method,
            num_steps=min(period, num_steps - begin),
            make=_heard(kinds[number % len(kinds)], loaded, data_set, seed),
        )
        for number, begin in enumerate(range(0, num_steps, period))
    ]


def _heard(kind: str, loaded: task.Task, data_set: examples.DataSet, seed: int) -> Make:
    """The pairs of the data set with the votes of one kind of reviewer alone.

    A pair has as many votes as the data set's have.
    """

    def make(setup, state, before):
        del setup, state, before
        pairs = examples.first(data_set.sampled, 2)
        everyone = loaded.annotator.population
        place = everyone.kinds.index(kind)
        found = loaded.annotator.utilities(pairs.prompts, pairs.responses)
        u_y, u_z = np.moveaxis(found[place : place + 1], -1, 0)
        rng = np.random.default_rng([seed, place])
        votes = everyone.alone(kind).votes(
            rng, u_y, u_z, num_voters=data_set.num_voters
        )
        preference = np.full((len(votes), 2, 2), 0.5, np.float32)
        preference[:, 0, 1], preference[:, 1, 0] = votes, 1 - votes
        return dataclasses.replace(pairs, preference=preference)

    return make


def _divided(num_steps: int, number: int) -> list[int]:
    """So many parts of a run, of equal length as far as they can be."""
    ends = [round(num_steps * n / number) for n in range(number + 1)]
    return [last - first for first, last in zip(ends, ends[1:], strict=False)]


def _answered(number: int, data_set: examples.DataSet) -> Make:
    """OPTune's examples: the data set's, then with the worst prompts answered anew."""

    def make(setup, state, before):
        if number == 0:
            pairs = examples.first(data_set.sampled, 2)
            return dataclasses.replace(pairs, preference=None)
        return algorithms.regenerate(
            setup, data_set.judge, state, before, share=ANSWERED_ANEW
        )

    return make


def _chosen(part: Callable[[Examples], np.ndarray], data_set: examples.DataSet) -> Make:
    """The pairs of the data set that a stage is for."""

    def make(setup, state, before):
        del setup, state, before
        pairs = examples.first(data_set.sampled, 2)
        return algorithms.take(pairs, part(pairs))

    return make
