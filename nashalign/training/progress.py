"""Progress bars with rate, time and a note, for every long stage."""

import contextlib
import io
from collections.abc import Callable, Iterator

import rich.console
import rich.live
import rich.progress

from nashalign import terminal


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
    console = terminal.console(stderr=True)
    in_notebook = console.is_jupyter
    if in_notebook:
        console = rich.console.Console(
            file=io.StringIO(), width=100, force_jupyter=False, force_terminal=False
        )
    # Drawing more often takes time from the steps on a machine with two cores.
    often = {"console": console, "refresh_per_second": 2}
    bar = rich.progress.Progress(*columns, **often)
    if in_notebook:
        bar.live = _InNotebook(get_renderable=bar.get_renderable, **often)
    task = bar.add_task(name, total=total, completed=done, note="")
    with bar:
        yield lambda count, note: bar.update(task, advance=count, note=note)
