"""Alignment of one policy: any row, on any task, with any annotator.

With an annotator on the device an update is one compiled program. With one on the host
it is split where the annotator is asked: responses are drawn by one program, and learnt
from by another.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from nashalign import algorithms, preferences, training
from nashalign.alignment import ahead, asking, course, examples, own_judge, runs, steps
from nashalign.alignment import task as tasks
from nashalign.alignment.validation import Validation
from nashalign.types import Examples


def align(
    row: algorithms.Row | str,
    task: tasks.Task,
    annotator: preferences.Annotator | Mapping[str, preferences.Annotator] | None,
    *,
    training: runs.Training,
    folder: pathlib.Path,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    learning_rate: float = 5e-4,
    data_set: examples.DataSet | None = None,
    validation: Validation | None = None,
    mesh: jax.sharding.Mesh | None = None,
    label: str = "",
    track: Sequence[training.Tracker] = (),
) -> runs.Aligned:
    """Trains a policy by one method, or resumes its run where it stopped.

    Its rounds are the row's (`Row.course`). A run in a folder that has all its updates
    is returned as it is.

    Args:
      row: the row, or the name of one of the table of methods.
      task: the start policy and the prompts.
      annotator: whom the row asks; or one for each of `"preference"` and `"reward"`.
        None for rows that ask nobody.
      training: number and size of the updates.
      folder: where the run is kept; of this run alone.
      seed: of the prompts' order and of every draw.
      settings: the row's own; those left out have the row's defaults.
      learning_rate: peak of the optimizer's schedule.
      data_set: what rows learn from that read given responses.
      validation: what measures the policy while it is trained; None measures nothing.
      mesh: the devices; all of them, each with the whole state, by default.
      label: what the progress bar calls the run, if not the method's title.
      track: where metrics go besides the log.

    Returns:
      The policy.

    Raises:
      ValueError: the row needs a data set, an annotator or levels that are not there,
        or the policy cannot be asked what it asks, or none of the examples is for any
        of its rounds.
      TrainingDiverged: a metric or the state is not finite.
    """
    row = algorithms.find(row) if isinstance(row, str) else row
    answers = annotator if isinstance(annotator, Mapping) else _both(annotator)
    updates = training
    rounds = row.course(updates.num_steps, **settings or {})
    require(row.title, rounds, task, answers, data_set)
    ahead.require(row.title, rounds, answers, updates)
    run = runs.Run(
        task=task,
        annotators=answers,
        training=updates,
        learning_rate=learning_rate,
        data_set=data_set,
        validation=validation,
        mesh=_mesh(mesh, updates),
        folder=folder,
        seed=seed,
        track=track,
    )
    return course.through(run, rounds, label or row.title)


def require(
    who: str,
    rounds: Sequence[algorithms.Round],
    task: tasks.Task,
    annotators: asking.Annotators,
    data_set: examples.DataSet | None,
) -> None:
    """Requires what the rounds of a method need, before anything is done.

    Args:
      who: the method's title.
      rounds: of a run.
      task: the task.
      annotators: by what they answer.
      data_set: of given responses.

    Raises:
      ValueError: naming what is not there.
    """
    for own in rounds:
        method, given = own.method, None
        if algorithms.rounds.RESPONSES in own.needs:
            if data_set is None:
                raise ValueError(
                    f"{who} learns from given responses, and there are none."
                )
            given = data_set.of(method) if method.num_data else data_set.sampled
        dimensions = () if data_set is None else data_set.dimensions
        if algorithms.rounds.DIMENSIONS in own.needs and not dimensions:
            raise ValueError(
                f"{who} hears one dimension of preference after another, and the data "
                "set has none; give `DataSet.dimensions`"
            )
        if steps.needs_levels(method):
            task.require_levels(who)
        if own.question is not None:
            own_judge.require(who, task, own.question)
        for question in _ASKED:
            if question in own.needs:
                _require_answers(who, question, annotators, given)


# What an annotator is asked by, and where a data set has its answers.
_ASKED = {"preference": ("prefer", "preference"), "reward": ("score", "rewards")}


def _require_answers(
    who: str, question: str, annotators: asking.Annotators, given: Examples | None
) -> None:
    """Requires somebody who answers a question, where the examples do not."""
    asked, answer = _ASKED[question]
    if given is not None and getattr(given, answer) is not None:
        return
    annotator = annotators.get(question)
    if not preferences.can_answer(annotator, asked):
        found = f"was given {type(annotator).__name__}"
        if annotator is None:
            found = "there is none; give an --annotator or a --judge"
        raise ValueError(
            f"{who} reads a {question}: it needs an annotator with a method "
            f"`{asked}`, and {found}."
        )


def _both(annotator: preferences.Annotator | None) -> asking.Annotators:
    """One annotator for both questions."""
    return {"preference": annotator, "reward": annotator}


def _mesh(mesh: jax.sharding.Mesh | None, updates: runs.Training) -> jax.sharding.Mesh:
    """The mesh, by default over all devices, among which a batch can be shared out."""
    mesh = training.make_mesh() if mesh is None else mesh
    size, pieces = updates.batch_size, updates.pieces
    if size % mesh.size:
        raise ValueError(
            f"--training.batch-size is {size}, which {mesh.size} devices cannot "
            f"share out; give a multiple of {mesh.size}, or use fewer devices."
        )
    if size % (pieces * mesh.size):
        raise ValueError(
            f"--training.pieces is {pieces}, and {mesh.size} devices cannot share out "
            f"so many pieces of a batch of {size}; give fewer."
        )
    return mesh
