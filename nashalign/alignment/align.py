"""Alignment of one policy: any row, on any task, with any annotator.

With an annotator on the device an update is one compiled program. With one on the host
it is split where the annotator is asked: responses are drawn by one program, and learnt
from by another.
"""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import algorithms, data, policies, preferences, terminal, training
from nashalign.alignment import best, examples, optimizers, rollouts, rounds, steps
from nashalign.alignment import task as tasks
from nashalign.alignment.validation import Validation
from nashalign.types import Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How a policy is aligned."""

    num_steps: int = 60
    """Updates of a method, at least two: the warm-up begins at learning rate zero."""
    batch_size: int = 32
    """Prompts of an update; how many responses each has is up to the row."""
    schedule: optimizers.Schedule = "cosine"
    """Of the learning rate, after a warm-up of a tenth of the updates: a cosine down to
    zero, or constant."""
    save_every: int = 20
    """Updates between checkpoints."""
    evaluate_every: int = 10
    """Updates between looks at the validation prompts."""
    kl_budget: float | None = None
    """Nats a response from the start policy: training ends at the first look at the
    validation prompts that finds as many. None is no limit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """A policy, and where its run is kept.

    Attributes:
      params: its parameters after the last update.
      num_steps: updates that it has seen; fewer than asked for where the budget of KL
        has ended the run.
      folder: of its logs and checkpoints, and of `best`, the policy with the highest
        win rate on the validation prompts.
      suffix: tokens that it is shown behind a prompt; none for most rows.
    """

    params: policies.Params
    num_steps: int
    folder: pathlib.Path
    suffix: Sequence[int] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """What stays the same through the parts of a run."""

    task: tasks.Task
    annotators: Mapping[str, Any]
    training: Training
    learning_rate: float
    data_set: examples.DataSet | None
    validation: Validation | None
    mesh: jax.sharding.Mesh
    folder: pathlib.Path
    seed: int
    track: Sequence[training.Tracker]


def align(
    row: rounds.Named,
    task: tasks.Task,
    annotator: preferences.Annotator | Mapping[str, preferences.Annotator] | None,
    *,
    training: Training,
    folder: pathlib.Path,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    learning_rate: float = 5e-4,
    data_set: examples.DataSet | None = None,
    validation: Validation | None = None,
    mesh: jax.sharding.Mesh | None = None,
    label: str = "",
    track: Sequence[training.Tracker] = (),
) -> Aligned:
    """Trains a policy by one method, or goes on where its run stopped.

    Rounds and stages follow from the row. A run in a folder that has all its updates is
    returned as it is.

    Args:
      row: the row, or the name of one of the table of methods, or of a recipe.
      task: the start policy and the prompts.
      annotator: whom the row asks; or one for each of `"preference"` and `"reward"`.
        None for rows that ask nobody.
      training: number and size of the updates.
      folder: where the run is kept; of this run alone.
      seed: of the prompts' order and of every draw.
      settings: the row's own; those left out have the row's defaults.
      learning_rate: peak of Adam's schedule.
      data_set: what rows learn from that read given responses.
      validation: what measures the policy while it is trained; None measures nothing.
      mesh: the devices; all of them, each with the whole state, by default.
      label: what the progress bar calls the run, if not the method's title.
      track: where metrics go besides the log.

    Returns:
      The policy.

    Raises:
      ValueError: the row needs a data set, an annotator or levels that are not there,
        or none of the examples is for any of its parts.
      TrainingDiverged: a metric or the state is not finite.
    """
    settings = settings or {}
    answers = annotator if isinstance(annotator, Mapping) else _both(annotator)
    require(row, settings, task, answers, data_set)
    updates = training
    mesh = _mesh(mesh, updates.batch_size)
    parts = rounds.course(row, settings, updates.num_steps, task, data_set, seed)
    run = _Run(
        task=task,
        annotators=answers,
        training=updates,
        learning_rate=learning_rate,
        data_set=data_set,
        validation=validation,
        mesh=mesh,
        folder=folder,
        seed=seed,
        track=track,
    )
    return _through(run, parts, label or rounds.title(row, settings))


def _through(run: _Run, parts: Sequence[rounds.Part], label: str) -> Aligned:
    """Trains all parts of a run, one after another."""
    state = found = last = None
    done, say = 0, terminal.console().print
    for number, part in enumerate(parts, 1):
        if part.method is not last:
            stage = [own for own in parts if own.method is part.method]
            setup, step = _compiled(run, stage)
            state = _begun(run, part.method, setup, state)
        place, called = run.folder, label
        if len(parts) > 1:
            place, called = run.folder / f"part_{number}", f"{label} {number}"
        # What is made between two parts is made on one device.
        here = jax.device_put(state, jax.local_devices()[0]) if _makes(part) else None
        if part.make is not None:
            make = functools.partial(part.make, setup, here, found)
            found = examples.keep(place / "examples.npz", make)
        last = part.method
        if found is not None and not len(found.prompts.ids):
            say(f"{called}: none of the examples is for it, and it is left out")
            continue
        method = part.method if part.settle is None else part.settle(setup, here)
        batch = _batches(run, method, found, done)
        state = _train(run, part, method, step, state, batch, place, called)
        done += part.num_steps
        if int(state.step) < done:
            say(f"{called}: the budget of KL is spent after {int(state.step)} updates")
            break
    if not done:
        raise ValueError(
            f"{label}: none of the examples is for any of its stages; give more of "
            "them, or change its settings."
        )
    return Aligned(
        params=state.params,
        num_steps=int(state.step),
        folder=run.folder,
        suffix=suffix(run.task, last),
    )


def require(
    row: rounds.Named,
    settings: Mapping[str, Any],
    task: tasks.Task,
    annotators: Mapping[str, Any],
    data_set: examples.DataSet | None,
) -> None:
    """Requires what a method needs, before anything is done.

    Args:
      row: the row, or the name of one or of a recipe.
      settings: the row's own.
      task: the task.
      annotators: by what they answer.
      data_set: of given responses.

    Raises:
      ValueError: naming what is not there.
    """
    who = rounds.title(row, settings)
    for method in rounds.stages(row, settings):
        if method.num_data and data_set is None:
            raise ValueError(f"{who} learns from given responses, and there are none.")
        given = data_set.of(method) if method.num_data else None
        _require_annotator(who, method, annotators, given)
        if steps.needs_levels(method):
            task.require_levels(who)


def _require_annotator(who: str, method, annotators, given: Examples | None) -> None:
    """Requires somebody who answers what the row asks, where no answer is given."""
    asked = {"preference": "prefer", "reward": "score"}.get(method.annotation)
    answer = {"prefer": "preference", "score": "rewards"}.get(asked)
    if asked is None or (given is not None and getattr(given, answer) is not None):
        return
    annotator = annotators.get(method.annotation)
    if not hasattr(annotator, asked):
        raise ValueError(
            f"{who} reads a {method.annotation}: it needs an annotator with a method "
            f"`{asked}`, and was given {type(annotator).__name__}."
        )


def suffix(task: tasks.Task, method: algorithms.Method) -> Sequence[int]:
    """Returns what a row's policy is shown behind a prompt: the best score, or nothing.

    Args:
      task: with the levels of scores.
      method: the row.
    """
    return task.levels[-1].tolist() if examples.conditions_on_rewards(method) else ()


def optimizer_steps(method: algorithms.Method, num_steps: int = 1) -> int:
    """Returns steps of the optimizer in so many updates of a row."""
    return int(method.num_epochs) * num_steps


def _both(annotator: preferences.Annotator | None) -> dict[str, Any]:
    """One annotator for both questions."""
    return {"preference": annotator, "reward": annotator}


def _mesh(mesh: jax.sharding.Mesh | None, batch_size: int) -> jax.sharding.Mesh:
    """The mesh, by default over all devices, among which a batch can be shared out."""
    mesh = training.make_mesh() if mesh is None else mesh
    if batch_size % mesh.size:
        raise ValueError(
            f"--training.batch-size is {batch_size}, which {mesh.size} devices cannot "
            f"share out; give a multiple of {mesh.size}, or use fewer devices."
        )
    return mesh


def _makes(part: rounds.Part) -> bool:
    """Whether something is made of the state before a part."""
    return part.make is not None or part.settle is not None


def _compiled(
    run: _Run, stage: Sequence[rounds.Part]
) -> tuple[algorithms.Setup, steps.Step]:
    """Setup and step of the parts of one stage."""
    method = stage[0].method
    annotator = run.annotators.get(method.annotation)
    return steps.compiled(
        run.task.start.policy,
        run.task.decoding,
        steps.hashable(run.task.levels) if steps.needs_levels(method) else None,
        run.learning_rate,
        optimizer_steps(method, sum(part.num_steps for part in stage)),
        run.training.schedule,
        run.mesh,
        annotator is not None and preferences.on_host(annotator),
    )


def _begun(run: _Run, method, setup, state) -> algorithms.State:
    """The state in which a run, or another stage of it, begins."""
    if state is not None:
        return algorithms.next_stage(method, setup, state)
    key = tasks.stage_key(run.seed, 20)
    return algorithms.init(method, setup, run.task.start.params, key)


def _train(
    run: _Run, part, method, compiled, state, batches, folder, label
) -> algorithms.State:
    """The state after a part of a run."""
    annotator = run.annotators.get(method.annotation)

    def step(state, batch):
        state, metrics, groups = compiled(state, batch, method, annotator)
        tokens = metrics["length"] * groups.responses.truncated.size
        own = {
            "tokens": tokens,
            "optimizer_steps": jnp.asarray(optimizer_steps(method)),
        }
        own |= rollouts.length_half_width(groups.responses.mask)
        return state, metrics | own, groups

    return training.run(
        step,
        state,
        batches,
        part.num_steps,
        folder=folder,
        name=label,
        save_every=run.training.save_every,
        show=("log_ratio", "win_rate"),
        rollouts_of=functools.partial(rollouts.lines, run.task),
        evaluate=None if run.validation is None else _evaluation(run, method),
        evaluate_every=run.training.evaluate_every,
        stop=functools.partial(_spent, run.training.kl_budget),
        track=run.track,
    )


def _evaluation(run: _Run, method) -> Callable[[algorithms.State], Mapping[str, float]]:
    """What measures a state, and keeps the best one."""
    shown = suffix(run.task, method)

    def evaluate(state):
        found = run.validation.measure(state.params, run.seed, shown)
        if not _spent(run.training.kl_budget, found):
            best.keep(run.folder, run.task, state, found)
        return found

    return evaluate


def _spent(budget: float | None, measured: Mapping[str, float]) -> bool:
    """Whether a measured KL has reached the budget."""
    return budget is not None and measured.get("kl", -math.inf) >= budget


def _batches(
    run: _Run, method: algorithms.Method, found: Examples | None, done: int
) -> Callable[[int], Any]:
    """The batch of an update: prompts, or examples where a row learns from them.

    They are of what a part has found to learn from, where it has looked.
    """
    size = run.training.batch_size
    if found is None and not method.num_data:
        return data.prompt_batches(
            run.task.prompts["train"],
            batch_size=size,
            length=run.task.prompt_length,
            pad_id=run.task.tokenizer.pad_id,
            seed=run.seed,
        )
    if found is None:
        found = run.data_set.of(method)
    batch = examples.batches(found, batch_size=size, seed=run.seed)
    if method.num_data:
        return lambda step: batch(done + step)
    return lambda step: batch(done + step).prompts
