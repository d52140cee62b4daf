"""What a command line shows, its progress bars among it, and how it ends.

Text that others wrote - paths, names, what a model samples - is never read as markup,
and never steers the terminal: control characters are shown as escapes. A command ends
with a number or with a sentence, whatever becomes of its files and of its output.
"""

import contextlib
import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

import rich.console
import rich.live
import rich.progress
import rich.text

INTERRUPTED, UNREAD = 130, 141
"""Exit codes of a shell for a command that Ctrl-C, or a closed pipe, has ended."""

_LOST = "the output cannot be written"


class _Console(rich.console.Console):
    """A console that shows every string as it is."""

    def render_str(self, text: str, **options) -> rich.text.Text:
        """Returns the string as text, control characters made visible."""
        return super().render_str(visible(text), **options)

    def print(self, *shown, **options) -> None:
        """Prints; an error of the output says that it is the output's."""
        try:
            super().print(*shown, **options)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, f"{_LOST}: {error.strerror}") from error

    def on_broken_pipe(self) -> None:
        """Leaves the end of the command to `guard`."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def console(*, stderr: bool = False) -> rich.console.Console:
    """Returns a console that prints strings as they are, without markup and emoji.

    Styles are given as arguments, or by `rich.text.Text`.

    Args:
      stderr: whether it writes to the standard error.
    """
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def visible(text: str) -> str:
    """Returns a text whose control characters are escapes, such as `\\x1b`.

    Line feeds and tabs are kept.

    Args:
      text: any text; a model's tokens may decode to any bytes.
    """
    return re.sub(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text
    )


class _Rate(rich.progress.ProgressColumn):
    """Steps a second, or seconds a step where that is more than one."""

    def render(self, task: rich.progress.Task) -> str:
        speed = task.finished_speed or task.speed
        if not speed:
            return "-"
        return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


class _InNotebook(rich.live.Live):
    """What a notebook redraws in its place, by what every notebook has.

    Rich does so with widgets, and where those are not installed warns at every refresh.
    """

    shown = None

    def refresh(self) -> None:
        """Draws what there is to see now."""
        with self.console.capture() as captured:
            self.console.print(self.get_renderable())
        data = {"text/plain": captured.get().rstrip()}
        if self.shown is not None:
            self.shown.update(data, raw=True)
            return
        # Only a notebook is sure to have it.
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self.shown = display(data, raw=True, display_id=True)

    def stop(self) -> None:
        """Draws how it has ended."""
        self.refresh()
        super().stop()


@contextlib.contextmanager
def progress_bar(
    name: str, total: int, done: int = 0
) -> Iterator[Callable[[int, str], None]]:
    """Shows a progress bar on stderr while the block runs.

    The time is the remaining one, and at the end the one that it has taken.

    Where stderr is no terminal, one line is written at the end; a notebook shows the
    bar below the cell.

    Args:
      name: what is being done, in a few words; without one nothing is shown.
      total: number of steps.
      done: number of those that were done before.

    Yields:
      `advance(count, note)`: counts `count` more steps and shows the note.
    """
    if not name:
        yield lambda count, note: None
        return
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        _Rate(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        rich.progress.TextColumn("{task.fields[note]}", markup=False),
    )
    shown_on = console(stderr=True)
    in_notebook = shown_on.is_jupyter
    if in_notebook:
        shown_on = rich.console.Console(
            file=io.StringIO(), width=100, force_jupyter=False, force_terminal=False
        )
    # Drawing more often takes time from the steps on a machine with two cores.
    often = {"console": shown_on, "refresh_per_second": 2}
    bar = rich.progress.Progress(*columns, **often)
    if in_notebook:
        bar.live = _InNotebook(get_renderable=bar.get_renderable, **often)
    task = bar.add_task(name, total=total, completed=done, note="")
    with bar:
        yield lambda count, note: bar.update(task, advance=count, note=note)


def guard(
    main: Callable[[list[str]], int | None],
    *expected: type[Exception],
) -> Callable[[Sequence[str]], int | str]:
    """Returns a command: what `main` does, and how that ended, for `sys.exit`.

    Args:
      main: takes the arguments of a command line; returns an exit code, or None for 0.
      *expected: errors beside `ValueError` and `OSError` whose message is all that a
        user needs; any other one is a fault of the program and shows where.

    Returns:
      `command(arguments)`: an exit code, or a sentence that begins with "error:". After
      Ctrl-C the code is 130; where nobody reads the output any more, 141. `SystemExit`,
      with which parsers end after --help, is let pass.
    """

    def command(arguments: Sequence[str]) -> int | str:
        _hear_interrupts()
        _write_anything()
        try:
            _require_text(arguments)
            ended = main(list(arguments)) or 0
        except KeyboardInterrupt as stopped:
            print(
                str(stopped) or "stopped; the same command resumes it", file=sys.stderr
            )
            ended = INTERRUPTED
        except BrokenPipeError:
            ended = UNREAD
        except (ValueError, OSError, *expected) as error:
            ended = f"error: {error}"
        except SystemExit:
            if (lost := _lost_output()) is not None:
                return lost
            raise
        lost = _lost_output()
        return ended if lost is None else lost

    return command


def _hear_interrupts() -> None:
    """Makes Ctrl-C an exception again where imports were to end by it at once."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _write_anything() -> None:
    """Escapes what the encoding of the output has no characters for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _require_text(arguments: Sequence[str]) -> None:
    """Raises for an argument that Python could not decode."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{ascii(argument)} cannot be read in this locale, whose encoding is "
                f"{sys.getfilesystemencoding()}: begin the command with PYTHONUTF8=1"
            ) from error


def _lost_output() -> int | str | None:
    """What the command ends with if its output could not be written, or else None."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter would try again at its end, and complain.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return UNREAD
        return f"error: {_LOST}: {error.strerror}"
    return None
