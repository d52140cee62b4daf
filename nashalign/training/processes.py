"""Pieces of work done at the same time, each process on cores of its own.

The update of a small model cannot keep many cores busy; runs beside each other, each
with a few of them, can.

How many cores a process has decides how sums are rounded. So a share depends on nothing
but the machine and the number of processes, and a piece that is left over when work is
resumed is done with the share that it would have had.
"""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.process
import os
import pathlib
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import jax

from nashalign import terminal
from nashalign.training.interrupts import Interrupts

T = TypeVar("T")
R = TypeVar("R")

_MEMORY = 2 * 2**30
_SECONDS = 0.5  # between looks at how far the work is

# What one has set in this process, its children are to have too.
_SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_disable_most_optimizations",
    "jax_enable_x64",
    "jax_num_cpu_devices",
    "jax_platforms",
)


def num_processes(asked: int | None, pieces: int) -> int:
    """Returns in how many processes work is done.

    Args:
      asked: how many are asked for; None is one for every core and every 2 GB of
        memory, and a single one on an accelerator, whose memory cannot be shared out.
      pieces: of work, those that are done already among them; a process is of no use
        without one.

    Raises:
      ValueError: several processes are asked for on an accelerator.
    """
    platform = jax.default_backend()
    if platform != "cpu":
        if asked is not None and asked > 1:
            raise ValueError(
                f"--processes is {asked}, and processes do not share a {platform}: "
                "leave it out, and each run has all devices in its turn."
            )
        return 1
    if asked is None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        asked = min(len(cores()), memory // _MEMORY)
    return max(1, min(asked, pieces))


def cores() -> list[int]:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def at_once(
    make_work: Callable[[], Callable[[T], R]],
    pieces: Sequence[T],
    number: int,
    *,
    log: pathlib.Path,
    name: str,
    progress: Callable[[], int],
    total: int,
) -> list[R]:
    """Does pieces of work in processes, and returns what they have returned.

    After an error, Ctrl-C or SIGTERM no piece is begun any more, and those under way
    are sent SIGTERM, at which `training.run` saves what it has. So is a process whose
    parent has died.

    Args:
      make_work: makes what does a piece, once in each process. It, the pieces and what
        is returned are pickled: functions of modules, partial ones, and values.
      pieces: in the order in which they are begun.
      number: of processes; see `num_processes`.
      log: where their output goes, appended to what is there.
      name: of the work, for the progress bar and messages.
      progress: steps of the work that are done; asked twice a second.
      total: steps of all pieces.

    Raises:
      Exception: what the first piece that failed has raised.
      ChildProcessError: a process has died.
      KeyboardInterrupt: after Ctrl-C.
      SystemExit: after SIGTERM; the code is 143.
      OSError: if the log cannot be written.
    """
    if not pieces:
        return []
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    context = multiprocessing.get_context("spawn")
    shares = context.SimpleQueue()
    for own in _shares(number):
        shares.put(own)
    settings = {own: jax.config.values[own] for own in _SETTINGS}
    others = multiprocessing.active_children()
    with (
        Interrupts() as interrupts,
        _bar(f"{name}, {number} at a time", total, progress) as look,
        concurrent.futures.ProcessPoolExecutor(
            number, context, _begin, (shares, settings, log, make_work)
        ) as pool,
    ):
        try:
            found = _all_done(pool, pieces, number, look, interrupts)
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f"{name}: a process has died, perhaps for want of memory; {log} has "
                "what it said. The same command resumes it, and fewer --processes, in "
                "a new folder, take less memory"
            ) from error
        finally:
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
    interrupts.raise_received(f"{name}: stopped; the same command resumes it")
    return found


def _all_done(pool, pieces, number, look, interrupts) -> list[Any]:
    """What the pieces return, in their order; less of them after a signal."""
    futures: list[concurrent.futures.Future] = []
    busy: set[concurrent.futures.Future] = set()
    while len(futures) < len(pieces) or busy:
        # Handed out one by one: a piece that waited in a process would be begun there
        # after a signal.
        while len(futures) < len(pieces) and len(busy) < number:
            futures.append(pool.submit(_do, pieces[len(futures)]))
            busy.add(futures[-1])
        ended, busy = concurrent.futures.wait(
            busy, _SECONDS, concurrent.futures.FIRST_COMPLETED
        )
        look()
        for own in ended:
            own.result()
        if interrupts.received is not None:
            return []
    return [own.result() for own in futures]


@contextlib.contextmanager
def _bar(
    name: str, total: int, progress: Callable[[], int]
) -> Iterator[Callable[[], None]]:
    """A progress bar that is where the work is whenever one looks."""
    shown = progress()
    with terminal.progress_bar(name, total, shown) as advance:

        def look() -> None:
            nonlocal shown
            now = progress()
            advance(now - shown, "")
            shown = now

        yield look


def _shares(number: int) -> list[list[int]]:
    """The cores of each process, as many for each: a piece may be done by any."""
    own = cores()
    size = max(1, len(own) // number)
    places = range(size * number)
    dealt = [own[place % len(own)] for place in places]
    return [dealt[place : place + size] for place in places[::size]]


# Of a process of `at_once`; what does a piece is made when the first one comes.
_make_work: Callable[[], Callable[[Any], object]] | None = None
_work: Callable[[Any], object] | None = None


def _begin(shares: Any, settings: dict[str, Any], log: pathlib.Path, make_work) -> None:
    """Makes a process ready, before anything in it has asked for a device."""
    global _make_work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    own = shares.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    for name, value in settings.items():
        jax.config.update(name, value)
    _make_work = make_work


def _follow_parent() -> None:
    """Sends the process SIGTERM when its parent has ended without a word."""
    _parent().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _parent() -> Any:
    """The parent of a process that has been begun here."""
    return multiprocessing.process.parent_process()


def _do(piece: Any) -> object:
    """Does a piece; what it raises is what its parent gets, or that error in words."""
    global _work
    try:
        if _work is None:
            assert _make_work is not None
            _work = _make_work()
        return _work(piece)
    except SystemExit:
        if not _parent().is_alive():
            # The pool would wait for a next piece, which nobody is there to hand out.
            os._exit(128 + signal.SIGTERM)
        raise
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
