"""What a run learns from, in the order in which it does: most rows have one part.

OPTune answers its worst prompts again between rounds, and step-level preference
learning searches again; both go on from the policy that the last round has made. Mixed
PO has two stages, each a row of its own; DICE begins with DPO, whose rewards it learns
from. Sequential PO hears one dimension of preference a period, each in turn. What a
part learns from is made when the part before is over, and kept beside the run: it is
neither made nor paid for twice.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nashalign import algorithms
from nashalign.alignment import examples, search
from nashalign.alignment import task as tasks
from nashalign.types import Examples

ROUNDS = {"optune": 3, "mcts_dpo": 3}
"""Into how many rounds a run of these rows is divided."""

REGENERATED = 0.5
"""Share of the prompts, those with the lowest rewards, that OPTune answers again."""

SEARCHED_FOR_A_PENALTY = 128
"""Prompts whose responses give DICE its penalty for length."""

# `(setup, state, before) -> examples`, from what the part before has learnt from.
Make = Callable[[algorithms.Setup, algorithms.State, Examples | None], Examples]
Settle = Callable[[algorithms.Setup, algorithms.State], algorithms.Method]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a run.

    Attributes:
      method: the row with its settings.
      num_steps: updates.
      make: makes the examples that it learns from, or whose prompts it is shown; None
        where a batch is whatever the row has always been given.
      settle: sets what is decided by the policy that the part begins with.
    """

    method: algorithms.Method
    num_steps: int
    make: Make | None = None
    settle: Settle | None = None


# A row, or the name of one of the table or of a recipe.
Named = algorithms.Row | str


def key(row: Named) -> str:
    """Returns the name of a row."""
    return row if isinstance(row, str) else row.name


def title(row: Named, settings: Mapping[str, Any]) -> str:
    """Returns what papers call a method.

    Args:
      row: the row, or the name of one or of a recipe.
      settings: its own.
    """
    if key(row) in algorithms.RECIPES:
        return algorithms.RECIPES[key(row)](**settings).title
    return algorithms.find(row).title if isinstance(row, str) else row.title


def stages(row: Named, settings: Mapping[str, Any]) -> list[algorithms.Method]:
    """Returns the methods that a run goes through, with their settings, in order.

    Args:
      row: the row, or the name of one or of a recipe.
      settings: its own.
    """
    if key(row) in algorithms.RECIPES:
        recipe = algorithms.RECIPES[key(row)](**settings)
        return [stage.method for stage in recipe.stages]
    return [algorithms.configure(row, **settings)]


def judges_of(row: Named, settings: Mapping[str, Any]) -> set[str]:
    """Returns what a run asks a judge for: `"preference"`, `"reward"`, or neither."""
    found = {examples.judge_of(method) for method in stages(row, settings)}
    if key(row) == "mcts_dpo":
        # Whole responses are scored where the paper asks the model for its confidence.
        found = {"reward"}
    if key(row) in algorithms.RECIPES:
        found.add("reward")
    return found - {None}


def learns_from_data(row: Named, settings: Mapping[str, Any]) -> bool:
    """Returns whether a run reads given responses at some stage.

    Args:
      row: the row, or the name of one or of a recipe.
      settings: its own.
    """
    return any(method.num_data for method in stages(row, settings))


def course(
    row: Named,
    settings: Mapping[str, Any],
    num_steps: int,
    task: tasks.Task,
    data_set: examples.DataSet | None,
    seed: int,
) -> list[Part]:
    """Returns the parts of a run.

    Args:
      row: the row, or the name of one or of a recipe.
      settings: its settings.
      num_steps: updates of all parts together.
      task: the task.
      data_set: what offline rows learn from.
      seed: of the choice of prompts that are searched.
    """
    name = key(row)
    if name == "dice":
        return _self_rewarded(settings, num_steps, data_set)
    if name == "sequential_po":
        return _in_turn(settings, num_steps, data_set)
    methods = stages(row, settings)
    if name in algorithms.RECIPES:
        recipe = algorithms.RECIPES[name](**settings)
        makes = [_chosen(stage.part, data_set) for stage in recipe.stages]
    else:
        makers = {
            "optune": lambda number: _regenerated(number, data_set),
            "mcts_dpo": lambda number: search.searches(
                task, data_set.judge, number, seed
            ),
        }
        count = min(ROUNDS.get(name, 1), num_steps)
        makes = [makers[name](n) if name in makers else None for n in range(count)]
        methods = methods * count
    return [
        Part(method=method, num_steps=number, make=make)
        for method, make, number in zip(
            methods, makes, _divided(num_steps, len(methods)), strict=True
        )
    ]


def _self_rewarded(settings, num_steps: int, data_set: examples.DataSet) -> list[Part]:
    """DPO, and two rounds of DICE with a penalty found at the beginning of each."""
    tau = algorithms.configure("dice", **settings).settings["tau"]
    numbers = _divided(num_steps, min(3, num_steps))
    parts = [Part(method=algorithms.configure("dpo", tau=tau), num_steps=numbers[0])]
    for number in numbers[1:]:
        # A method of its own: each round is a stage, with its optimizer and reference.
        method = algorithms.configure("dice", **settings)
        seen = algorithms.take(data_set.of(method), slice(SEARCHED_FOR_A_PENALTY))

        def settle(setup, state, method=method, seen=seen):
            return algorithms.length_corrected(method, setup, state, seen)

        parts.append(Part(method=method, num_steps=number, settle=settle))
    return parts


def _in_turn(settings, num_steps: int, data_set: examples.DataSet) -> list[Part]:
    """A part for each period of sequential PO, and a dimension of preference for each.

    Raises:
      ValueError: the data set has no dimensions.
    """
    method = algorithms.configure("sequential_po", **settings)
    period, dimensions = int(method.settings["period"]), data_set.dimensions
    if not dimensions:
        raise ValueError(
            "sequential_po hears one dimension of preference after another, and the "
            "data set has none; give `DataSet.dimensions`"
        )

    def heard(dimension):
        return lambda setup, state, before: dimension(data_set.pairs())

    return [
        Part(
            method=method,
            num_steps=min(period, num_steps - begin),
            make=heard(dimensions[number % len(dimensions)]),
        )
        for number, begin in enumerate(range(0, num_steps, period))
    ]


def _divided(num_steps: int, number: int) -> list[int]:
    """So many parts of a run, of equal length as far as they can be."""
    ends = [round(num_steps * n / number) for n in range(number + 1)]
    return [last - first for first, last in zip(ends, ends[1:], strict=False)]


def _regenerated(number: int, data_set: examples.DataSet) -> Make:
    """OPTune's examples: the data set's, then with the worst prompts answered again."""

    def make(setup, state, before):
        if number == 0:
            return dataclasses.replace(data_set.pairs(), preference=None)
        return algorithms.regenerate(
            setup, data_set.judge, state, before, share=REGENERATED
        )

    return make


def _chosen(part: Callable[[Examples], np.ndarray], data_set: examples.DataSet) -> Make:
    """The pairs of the data set that a stage is for."""

    def make(setup, state, before):
        del setup, state, before
        pairs = data_set.pairs()
        return algorithms.take(pairs, part(pairs))

    return make
