"""The one loop that everything is trained in: resumable, logged, interruptible.

Nothing in a step depends on the loop's past but the state: batches are a function of
the step's index and keys are in the state. So a run that was broken off, and resumes
from its last checkpoint, ends with the same bits as an unbroken one.

The metrics of a step are fetched after the next one has been dispatched, so that the
device never waits for the host; before a checkpoint or an evaluation they are fetched
first, so that no state of a run that has diverged is ever saved.

A *step* is counted from 1, as the number of steps done; an *index* from 0.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import terminal
from nashalign.training import divergence, logs
from nashalign.training.checkpoints import Checkpoints
from nashalign.training.divergence import TrainingDiverged
from nashalign.training.interrupts import Interrupts
from nashalign.training.logs import Logs

PyTree = Any
# Whether what was measured of a state ends the run.
Stop = Callable[[Mapping[str, float]], bool]


@dataclasses.dataclass(frozen=True)
class _Done:
    """What a dispatched step has left, on the device still."""

    step: int
    batch: PyTree
    metrics: Mapping[str, jax.Array]
    record: PyTree


def run(
    step: Callable[[PyTree, PyTree], tuple[PyTree, Mapping, PyTree]],
    state: PyTree,
    batch_of: Callable[[int], PyTree],
    num_steps: int,
    *,
    folder: str | os.PathLike,
    name: str,
    save_every: int,
    keep: int = 2,
    show: tuple[str, ...] = ("loss",),
    rollouts_of: Callable[[int, PyTree, PyTree], Iterable[Mapping]] | None = None,
    evaluate: Callable[[PyTree], Mapping[str, float]] | None = None,
    evaluate_every: int | None = None,
    stop: Stop | None = None,
    track: Sequence[logs.Tracker] = (),
) -> PyTree:
    """Trains for `num_steps` steps, or for what is left of them, and returns the state.

    In `folder` are left `checkpoints/`, `metrics.jsonl`, `rollouts.jsonl` and
    `tensorboard/`, each with every step exactly once however often the run was broken
    off. A run that has all its steps is returned as it is, without work. Ctrl-C and
    SIGTERM let the step under way end, and save.

    Args:
      step: `step(state, batch) -> (state, metrics, record)`. Metrics are finite scalars
        by name; the record is None or a pytree of arrays. It may donate its state.
      state: the state to begin with, a pytree of arrays; it is copied, not donated.
      batch_of: the batch of an index, 0 to `num_steps` - 1; a pure function.
      num_steps: how many steps the whole run has.
      folder: where the run is kept; of this run alone.
      name: what is trained, for the progress bar and messages.
      save_every: steps between checkpoints; the last step is always saved.
      keep: how many checkpoints are kept.
      show: names of the metrics that the progress bar shows.
      rollouts_of: `rollouts_of(step, batch, record)` gives the lines that a step adds
        to `rollouts.jsonl`; the record comes as numpy arrays.
      evaluate: numbers of a state, added to the metrics of its step; it must not keep
        the state, and cannot change it.
      evaluate_every: steps between evaluations; the last step is always evaluated, and
        so is the state to begin with, as a line of step 0.
      stop: whether what was measured of a state ends the run before its last step. The
        state is saved, and a run that is asked for again asks `stop` again.
      track: each is given every line of the metrics as it is logged.

    Returns:
      The state after `num_steps` steps, or where `stop` has ended the run.

    Raises:
      TrainingDiverged: if a metric is not finite, or the state is NaN or plus infinity.
      KeyboardInterrupt: after Ctrl-C, when the state is saved.
      SystemExit: after SIGTERM, when the state is saved; the code is 143.
      ValueError: if the folder's checkpoint is damaged, of another model or of a longer
        run, or if the logs are shorter than they were when it was made.
      OSError: if the folder cannot be written.
    """
    _require_positive(save_every=save_every, evaluate_every=evaluate_every)
    folder = pathlib.Path(folder)
    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(folder / "checkpoints", keep))
        done, state = _begin(checkpoints, state, num_steps, name)
        if done:
            lengths = checkpoints.note(done).get("logs", {})
            logs.require_whole(folder, done, lengths)
        if done == num_steps or (stop and done and stop(_last(folder, done))):
            return state
        keeper = _Keeper(
            folder=folder,
            checkpoints=checkpoints,
            logs=stack.enter_context(Logs(folder, done, track)),
            advance=stack.enter_context(terminal.progress_bar(name, num_steps, done)),
            show=show,
            rollouts_of=rollouts_of,
            evaluate=evaluate,
            saves=_schedule(save_every, num_steps),
            evaluates=_schedule(
                num_steps if evaluate_every is None else evaluate_every, num_steps
            ),
        )
        interrupts = stack.enter_context(Interrupts())
        if not done:
            keeper.begin(state)
        for index in range(done, num_steps):
            batch = batch_of(index)
            state, metrics, record = step(state, batch)
            keeper.settle()
            keeper.pending = _Done(index + 1, batch, metrics, record)
            done += 1
            interrupted = interrupts.received is not None
            ended = keeper.tend(keeper.pending, state, interrupted, stop)
            if interrupted or ended:
                break
        checkpoints.wait()
        interrupts.raise_received(
            f"{name}: stopped after step {done} of {num_steps}, which is saved in "
            f"{folder}. The same command resumes from there"
        )
    return state


@dataclasses.dataclass
class _Keeper:
    """Checks, logs, evaluates and saves what the steps leave."""

    folder: pathlib.Path
    checkpoints: Checkpoints
    logs: Logs
    advance: Callable[[int, str], None]
    show: tuple[str, ...]
    rollouts_of: Callable[[int, PyTree, PyTree], Iterable[Mapping]] | None
    evaluate: Callable[[PyTree], Mapping[str, float]] | None
    saves: Callable[[int], bool]
    evaluates: Callable[[int], bool]
    pending: _Done | None = None
    clock: float = dataclasses.field(default_factory=time.monotonic)

    def begin(self, state: PyTree) -> None:
        """Evaluates the state that no step has changed yet."""
        if self.evaluate is not None:
            self._log(0, _as_floats(self.evaluate(state)))

    def tend(
        self, done: _Done, state: PyTree, interrupted: bool, stop: Stop | None
    ) -> bool:
        """Evaluates and saves where the pending step asks for it, or the user does.

        Returns whether what was measured ends the run.
        """
        ended = False
        if self.evaluate is not None and self.evaluates(done.step):
            self._require_finite(done)
            measured = _as_floats(self.evaluate(state))
            self.settle(measured)
            ended = stop is not None and stop(measured)
        if self.saves(done.step) or interrupted or ended:
            self.settle()
            if divergence.is_broken(state):
                raise self._diverged("the state holds NaN or infinity", done)
            note = {"logs": self.logs.sync()}
            self.checkpoints.save(done.step, state, note)
        return ended

    def settle(self, evaluation: Mapping[str, float] | None = None) -> None:
        """Waits for the pending step, if there is one, checks it and logs it."""
        if self.pending is None:
            return
        done, metrics = self.pending, self._require_finite(self.pending)
        metrics |= _as_floats(evaluation or {})
        self._log(done.step, metrics, self._rollouts(done))
        shown = [name for name in self.show if name in metrics]
        self.advance(1, "  ".join(f"{name} {metrics[name]:.4g}" for name in shown))
        self.pending = None

    def _log(
        self,
        step: int,
        metrics: Mapping[str, float],
        rollouts: Iterable[Mapping] = (),
    ) -> None:
        """Writes a step's line, with the time since the last one."""
        before, self.clock = self.clock, time.monotonic()
        self.logs.write(step, self.clock - before, metrics, rollouts)

    def _rollouts(self, done: _Done) -> Iterable[Mapping]:
        """The rows of a step; without them its record is not fetched."""
        if self.rollouts_of is None:
            return ()
        return self.rollouts_of(done.step, done.batch, jax.device_get(done.record))

    def _require_finite(self, done: _Done) -> dict[str, float]:
        """A step's metrics, or the end of the run."""
        metrics = _as_floats(jax.device_get(done.metrics))
        broken = [f"{k} is {v}" for k, v in metrics.items() if not math.isfinite(v)]
        if broken:
            raise self._diverged(", ".join(broken), done)
        return metrics

    def _diverged(self, what: str, done: _Done) -> TrainingDiverged:
        """The end of the run, with the batch written down."""
        path = self.folder / f"diverged_step_{done.step}.npz"
        divergence.save_batch(path, {"batch": done.batch, "record": done.record})
        self.checkpoints.wait()
        saved = self.checkpoints.steps()
        return TrainingDiverged(what, done.step, saved[-1] if saved else None, path)


def _begin(
    checkpoints: Checkpoints, state: PyTree, num_steps: int, name: str
) -> tuple[int, PyTree]:
    """The number of steps done, and the state after them."""
    restored = checkpoints.restore_latest(jax.tree.map(jnp.asarray, state))
    if restored is None:
        checkpoints.reserve(state)
        # The caller's arrays, often shared with a reference, must outlive a step that
        # donates its state.
        return 0, jax.tree.map(jnp.copy, state)
    if restored[0] > num_steps:
        raise ValueError(
            f"{name}: {checkpoints.folder} is at step {restored[0]}, beyond the "
            f"{num_steps} asked for; give another folder"
        )
    if restored[0] < num_steps:
        checkpoints.reserve(state)
    return restored


def _last(folder: pathlib.Path, step: int) -> dict[str, float]:
    """What was logged of a step."""
    lines = logs.read_log(folder / "metrics.jsonl")
    return next(line for line in reversed(lines) if line["step"] == step)


def _as_floats(values: Mapping[str, Any]) -> dict[str, float]:
    """The values as Python's numbers."""
    return {name: float(value) for name, value in values.items()}


def _schedule(every: int, last: int) -> Callable[[int], bool]:
    """Whether a step is due: every so many, and the last."""
    return lambda step: step % every == 0 or step == last


def _require_positive(**counts: int | None) -> None:
    """Raises for a count below 1, naming it; None is one that was left out."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1")
