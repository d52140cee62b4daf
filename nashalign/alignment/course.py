"""A run of one policy through its rounds.

What a round learns from is made when the one before is over, and kept beside the run:
it is neither made nor paid for twice.
"""

import functools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from nashalign import algorithms, preferences, terminal, training
from nashalign.alignment import (
    ahead,
    batching,
    best,
    examples,
    log_probs,
    rollouts,
    runs,
    steps,
)
from nashalign.alignment import task as tasks
from nashalign.alignment.validation import Validation
from nashalign.types import Examples


def through(
    run: runs.Run, rounds: Sequence[algorithms.Round], label: str
) -> runs.Aligned:
    """Trains all rounds of a run, one after another.

    Args:
      run: what stays the same.
      rounds: in order.
      label: what progress bars call the run.

    Raises:
      ValueError: none of the examples is for any of the rounds, or the folder has
        rounds of other lengths.
      TrainingDiverged: a metric or the state is not finite.
    """
    require_lengths(run.folder, rounds)
    setup, step = _compiled(run, _stage(rounds, 0))
    whole = functools.partial(algorithms.on_base, base=run.base)
    state = algorithms.without_base(
        algorithms.init(
            rounds[0].method,
            setup,
            run.task.start.params,
            tasks.stage_key(run.seed, 20),
        )
    )
    found, last, done = None, rounds[0].method, 0
    say = terminal.console().print
    for number, own in enumerate(rounds):
        last = own.method
        if number and own.begins_stage:
            setup, step = _compiled(run, _stage(rounds, number))
            state = algorithms.next_stage(last, setup, whole(state))
            state = algorithms.without_base(state)
        place, called = run.folder, label
        if len(rounds) > 1:
            place, called = run.folder / f"round_{number + 1}", f"{label} {number + 1}"
        context = functools.partial(run.context, setup, whole(state))
        if own.make is not None:
            make = functools.partial(_made, own.make, context, found)
            found = examples.keep(place / "examples.npz", make)
        if found is not None and not len(found.prompts.ids):
            say(f"{called}: none of the examples is for it, and it is left out")
            continue
        method = last if own.settle is None else own.settle(context())
        read = functools.partial(_with_log_probs, run, setup, own, method)
        learnt = read(whole(state), found, done, place, called)
        batch = batching.batches(run, method, learnt, done)
        state = _train(run, own, method, setup, step, state, batch, place, called)
        done += own.num_steps
        if int(state.step) < done:
            say(f"{called}: the budget of KL is spent after {int(state.step)} updates")
            break
    if not done:
        raise ValueError(
            f"{label}: none of the examples is for any of its rounds; give more of "
            "them, or change its settings."
        )
    return runs.Aligned(
        params=whole(state).params,
        num_steps=int(state.step),
        method=last,
        folder=run.folder,
        suffix=suffix(run.task, last),
    )


def require_lengths(folder: pathlib.Path, rounds: Sequence[algorithms.Round]) -> None:
    """Requires that rounds with another after them have had all their updates.

    What the next one learns from was made when they were over: were they given more
    updates now, it would be of a policy that is no more.

    Args:
      folder: of a run.
      rounds: of the run.

    Raises:
      ValueError: naming the round, its updates, and what to do.
    """
    for number, own in enumerate(rounds[:-1], 1):
        log = folder / f"round_{number}" / "metrics.jsonl"
        if log.exists() and (folder / f"round_{number + 1}").exists():
            done = training.read_log(log)[-1]["step"]
            if done != own.num_steps:
                raise ValueError(
                    f"{folder} has rounds of other lengths: round {number} of "
                    f"{len(rounds)} has had {done} updates, and is to have "
                    f"{own.num_steps}. A run of several rounds is not extended; give "
                    "another folder."
                )


def _made(make, context, found: Examples | None) -> Examples:
    """What a round learns from; the context is made for it alone."""
    return make(context(), found)


def suffix(task: tasks.Task, method: algorithms.Method) -> Sequence[int]:
    """Returns what a row's policy is shown behind a prompt: the best score, or nothing.

    Args:
      task: with the levels of scores.
      method: the row.
    """
    levels: Any = task.levels  # there, where a row is shown one (`require`)
    return levels[-1].tolist() if examples.conditions_on_rewards(method) else ()


def optimizer_steps(method: algorithms.Method, num_steps: int = 1) -> int:
    """Returns steps of the optimizer in so many updates of a row."""
    return int(method.num_epochs) * num_steps


def _stage(
    rounds: Sequence[algorithms.Round], begin: int
) -> Sequence[algorithms.Round]:
    """The rounds of the stage that a round begins."""
    numbers = range(begin + 1, len(rounds))
    end = next((n for n in numbers if rounds[n].begins_stage), len(rounds))
    return rounds[begin:end]


def _compiled(
    run: runs.Run, stage: Sequence[algorithms.Round]
) -> tuple[algorithms.Setup, steps.Step]:
    """Setup and step of the rounds of one stage."""
    method = stage[0].method
    annotator = run.annotators.get(method.annotation)
    return steps.compile_step(
        run.task.start.policy,
        run.task.decoding,
        steps.hashable(run.task.levels) if steps.needs_levels(method) else None,
        run.learning_rate,
        optimizer_steps(method, sum(own.num_steps for own in stage)),
        run.training.schedule,
        run.training.optimizer,
        run.memory,
        run.mesh,
        annotator is not None and preferences.on_host(annotator),
        ahead.Step if run.training.ahead else steps.in_pieces(run.training.pieces),
    )


def _train(
    run: runs.Run, own, method, setup, compiled, state, batches, folder, label
) -> algorithms.State:
    """The state after a round of a run."""
    annotator, validation = run.annotators.get(method.annotation), run.validation

    def step(state, batch):
        state, metrics, groups = compiled(state, batch, method, annotator, run.base)
        tokens = metrics["length"] * groups.responses.truncated.size
        more = {
            "tokens": tokens,
            "optimizer_steps": jnp.asarray(optimizer_steps(method)),
        }
        more |= rollouts.length_half_width(groups.responses.mask)
        return state, metrics | more, groups

    evaluate = validation and _evaluation(run, validation, method)
    if run.training.ahead:
        state = ahead.begin(method, setup, state, batches(0), run.base)
        batches = ahead.paired(batches, own.num_steps)
        evaluate = evaluate and ahead.of_state(evaluate)
    state = training.run(
        step,
        state,
        batches,
        own.num_steps,
        folder=folder,
        name=label,
        save_every=run.training.save_every,
        show=("log_ratio", "win_rate"),
        rollouts_of=functools.partial(rollouts.lines, run.task),
        evaluate=evaluate,
        evaluate_every=run.training.evaluate_every,
        stop=functools.partial(_spent, run.training.kl_budget),
        track=run.track,
    )
    return state.state if run.training.ahead else state


def _evaluation(
    run: runs.Run, validation: Validation, method: algorithms.Method
) -> Callable[[algorithms.State], Mapping[str, float]]:
    """What measures a state, and keeps the best one."""
    shown = suffix(run.task, method)

    def evaluate(state):
        state = algorithms.on_base(state, run.base)
        found = validation.measure(state.params, run.seed, shown)
        if not _spent(run.training.kl_budget, found):
            best.keep(run.folder, run.task, state, found)
        return found

    return evaluate


def _spent(budget: float | None, measured: Mapping[str, float]) -> bool:
    """Whether a measured KL has reached the budget."""
    return budget is not None and measured.get("kl", -math.inf) >= budget


def _with_log_probs(
    run: runs.Run,
    setup,
    own,
    method,
    state,
    found: Examples | None,
    done,
    folder,
    label,
) -> Examples | None:
    """The examples of a round, with what policies that stay through it say of them."""
    if found is None and method.num_data:
        found = (run.data_set or examples.DataSet()).of(method)
    if found is None or not method.precomputed:
        return found
    size, updates = run.training.batch_size, range(done, done + own.num_steps)
    return log_probs.beside(
        folder / log_probs.FILE,
        setup.policy,
        {name: state.frozen[name] for name in method.precomputed},
        found,
        examples.drawn(found, updates, batch_size=size, seed=run.seed),
        batch_size=size,
        mesh=run.mesh,
        name=f"{label}: frozen policies read the examples",
    )
