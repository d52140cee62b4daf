"""Logs that agree with the checkpoints: every step in them exactly once.

JSON lines are the record; TensorBoard's files are derived from them. After a kill the
logs may be ahead of the checkpoint that training resumes from, so opening them cuts
them back to it. They are on the disk before a checkpoint is begun, which notes their
lengths: logs that are shorter, or do not agree, are an error.
"""

import json
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorboardX

from nashalign import json_file, writing

Tracker = Callable[[Mapping[str, float]], None]
"""What is given every line of the metrics as it is logged, its `step` among them."""


class Logs:
    """The logs of one run: `metrics.jsonl`, `rollouts.jsonl` and `tensorboard/`.

    Use it as a context manager.
    """

    def __init__(
        self, folder: str | os.PathLike, step: int, track: Sequence[Tracker] = ()
    ):
        """Opens the logs and cuts them back.

        Args:
          folder: the folder of the run.
          step: number of steps done; later lines are removed, and where none is done
            all, since such a run begins again.
          track: what else is given every new line.

        Raises:
          OSError: if they cannot be written.
        """
        folder, self._track = pathlib.Path(folder), track
        self._metrics = JsonLines(folder / "metrics.jsonl", step)
        self._rollouts = JsonLines(folder / "rollouts.jsonl", step)
        with writing.name_failures(folder / "tensorboard"):
            self._board = _new_board(folder / "tensorboard")
        if self._metrics.path.exists():
            for line in _scalars(self._metrics.path):
                self._show(line)

    def sync(self) -> dict[str, int]:
        """Puts what was written on the disk, and returns the logs' lengths in bytes.

        Raises:
          OSError: if it cannot be written.
        """
        return {log.path.name: log.sync() for log in (self._metrics, self._rollouts)}

    def __enter__(self) -> "Logs":
        """Returns itself; leaving the block closes the files."""
        return self

    def __exit__(self, *exception) -> None:
        """Closes the files."""
        self._metrics.close()
        self._rollouts.close()
        self._board.close()

    def write(
        self,
        step: int,
        seconds: float,
        metrics: Mapping[str, float],
        rollouts: Iterable[Mapping] = (),
    ) -> None:
        """Writes and flushes what one step has left.

        Args:
          step: number of steps done, with this one.
          seconds: that it took, or compiling and it.
          metrics: scalars by name.
          rollouts: one mapping a response, of what JSON can hold and numpy arrays;
            NaN and infinity become null.

        Raises:
          OSError: if it cannot be written.
        """
        clock = {"time": round(time.time(), 3), "seconds": round(seconds, 3)}
        line = {"step": step, **clock, **metrics}
        self._metrics.write([line])
        self._rollouts.write({"step": step, **rollout} for rollout in rollouts)
        self._show(_finite(line))
        for tracker in self._track:
            tracker(_finite(line))

    def _show(self, line: Mapping) -> None:
        """Writes one line's scalars for TensorBoard."""
        for name, value in line.items():
            if name not in ("step", "time", "seconds") and value is not None:
                self._board.add_scalar(name, value, line["step"], line["time"])


def read_log(path: str | os.PathLike) -> list[dict]:
    """Returns the lines of a log, in order of their steps.

    Args:
      path: a `metrics.jsonl` or `rollouts.jsonl`.

    Returns:
      One dict a line, each with its `step`.

    Raises:
      ValueError: if a line is no JSON object; names the file and the line.
      OSError: if it cannot be read.
    """
    found = []
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found.append(json_file.parse(line))
            except ValueError as error:
                raise _damaged(path, f"line {number} is no JSON object") from error
    return found


def _scalars(path: pathlib.Path) -> list[dict]:
    """The lines of a log of metrics, which hold the time, and numbers only."""
    lines = read_log(path)
    for number, line in enumerate(lines, 1):
        if not isinstance(line.get("time"), int | float):
            raise _damaged(path, f"line {number} has no time")
        for name, value in line.items():
            if not isinstance(value, int | float | None):
                raise _damaged(path, f"{name} of line {number} is {value!r:.60}")
    return lines


def _damaged(path: str | os.PathLike, reason: str) -> ValueError:
    """The error for a log that is not what was written."""
    return ValueError(
        f"{path} is damaged: {reason}. Delete the folder {pathlib.Path(path).parent} "
        "to make it again"
    )


def require_whole(
    folder: str | os.PathLike, step: int, lengths: Mapping[str, int]
) -> None:
    """Raises if the logs up to a step are not as long as they were.

    Args:
      folder: the folder of the run.
      step: number of steps done.
      lengths: what `sync` returned when the step's checkpoint was made.

    Raises:
      ValueError: naming the log that is missing, cut or garbled, and what to do.
      OSError: if it cannot be read.
    """
    folder = pathlib.Path(folder)
    for name, length in lengths.items():
        path = folder / name
        found = _length_up_to(path, step) if path.exists() else 0
        if found != length:
            raise ValueError(
                f"{path} has {found:,} bytes of the {length:,} that were written up to "
                f"step {step}, the last checkpoint's. Put it back from a copy, or "
                f"delete the folder {folder} to begin again"
            )


class JsonLines:
    """A file of JSON lines in ascending order of their `step`."""

    def __init__(self, path: pathlib.Path, step: int):
        """Cuts the file, if there is one, back to the whole lines up to a step.

        Args:
          path: the file; its folder is made if need be.
          step: number of steps done; later lines are removed, and where it is 0 all.

        Raises:
          OSError: if it cannot be written.
        """
        self.path, self._file = path, None
        with writing.name_failures(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                os.truncate(path, _length_up_to(path, step) if step else 0)

    def write(self, lines: Iterable[Mapping]) -> None:
        """Appends the lines and flushes them; without any, there is no file.

        Args:
          lines: mappings with a `step`; NaN and infinity become null.

        Raises:
          OSError: if it cannot be written.
        """
        text = "".join(_text(line) + "\n" for line in lines)
        if not text:
            return
        with writing.name_failures(self.path):
            self._file = self._file or open(self.path, "a", encoding="utf-8")
            self._file.write(text)
            self._file.flush()

    def sync(self) -> int:
        """Puts the file on the disk, if there is one, and returns its length."""
        if not self.path.exists():
            return 0
        with writing.name_failures(self.path), open(self.path, "rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


def _length_up_to(path: pathlib.Path, step: int) -> int:
    """Bytes of the whole lines, in order, whose step is not above the given one."""
    length, last = 0, 0
    with open(path, "rb") as lines:
        for line in lines:
            own = _step_of(line)
            if not isinstance(own, int | float) or not last <= own <= step:
                break
            length, last = length + len(line), own
    return length


def _step_of(line: bytes) -> float:
    """The step of a line; infinity if a kill or a crash has cut or garbled it."""
    try:
        return json.loads(line)["step"] if line.endswith(b"\n") else math.inf
    except (ValueError, TypeError, KeyError, RecursionError):
        return math.inf


def _text(line: Mapping) -> str:
    """One line of JSON, with null for what is not finite."""
    try:
        return json.dumps(line, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(line))


def _plain(value):
    """What JSON holds of an array or a scalar of numpy."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written to a JSON line")


def _finite(value):
    """The value with None for every NaN and infinity in it."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _new_board(folder: pathlib.Path) -> tensorboardX.SummaryWriter:
    """An empty TensorBoard log; the old ones may hold steps that were undone."""
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    return tensorboardX.SummaryWriter(str(folder), flush_secs=10)
