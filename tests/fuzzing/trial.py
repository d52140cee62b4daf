"""One mutated input, and the verdict on what an entry point does with it."""

import contextlib
import dataclasses
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nashalign import training

# What a user can read. Errors of the file system and of Unicode are among them by
# inheritance, so the words of the message are looked at as well.
READABLE = (ValueError, TypeError, OSError, AssertionError, training.TrainingDiverged)

# Seconds: an entry point that does not answer by then is one that hangs.
PATIENCE = 20.0


@dataclasses.dataclass(frozen=True)
class Trial:
    """One mutated input.

    Attributes:
      name: what was done to which input; trials of one name are one fault.
      call: gives the input to the entry point.
      says: words of which a readable error must hold one: the file, the field or the
        argument that is wrong. Empty where shapes alone are wrong.
      right: whether an answer is right all the same; by default none is.
    """

    name: str
    call: Callable[[], Any]
    says: tuple[str, ...] = ()
    right: Callable[[Any], bool] = lambda answer: False


class _Hangs(BaseException):
    """The entry point did not answer; no handler of errors can swallow it."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises in the midst of a block that takes too long."""

    def stop(signum, frame):
        del signum, frame
        raise _Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fault(trial: Trial) -> str | None:
    """Returns what is wrong with an entry point's answer to a trial, or None."""
    try:
        with _limited(PATIENCE):
            answer = trial.call()
    except _Hangs:
        return f"no answer within {PATIENCE:.0f} s"
    except READABLE as error:
        return _unreadable(error, trial.says)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {_line(error)} (at {_place(error)})"
    return None if trial.right(answer) else f"taken silently: {_short(answer)}"


def faults(trials: Iterator[Trial]) -> tuple[int, dict[str, str]]:
    """Returns how many trials there were, and each distinct fault by its name."""
    number, found = 0, {}
    for trial in trials:
        number += 1
        if trial.name not in found and (wrong := fault(trial)):
            found[trial.name] = wrong
    return number, found


def _unreadable(error: Exception, says: tuple[str, ...]) -> str | None:
    """What is wrong with a message: it names nothing, or is no sentence."""
    if isinstance(error, AssertionError):
        return None if str(error) else f"an empty assertion (at {_place(error)})"
    message = str(error)
    named = not says or any(word in message for word in says)
    if named and len(message.split()) >= 4:
        return None
    missing = "" if named else f", which names none of {says}"
    return f"{type(error).__name__}: {_line(error)}{missing} (at {_place(error)})"


def _line(error: BaseException) -> str:
    """The first line of a message, not all of it."""
    return (str(error).splitlines() or [""])[0][:160]


def _place(error: BaseException) -> str:
    """Where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}"


def _short(answer: Any) -> str:
    """An answer in one line."""
    with np.printoptions(threshold=6, precision=4):
        return " ".join(repr(answer).split())[:160]
