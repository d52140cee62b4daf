"""Progress bars with rate, time and a note, for every long stage."""

import contextlib
from collections.abc import Callable, Iterator

import rich.progress

from nashalign import terminal


class _Rate(rich.progress.ProgressColumn):
    """Steps a second, or seconds a step where that is more than one."""

    def render(self, task: rich.progress.Task) -> str:
        speed = task.finished_speed or task.speed
        if not speed:
            return "-"
        return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"


@contextlib.contextmanager
def progress_bar(
    name: str, total: int, done: int = 0
) -> Iterator[Callable[[int, str], None]]:
    """Shows a progress bar on stderr while the block runs.

    The time is the remaining one, and at the end the one that it has taken.

    Where stderr is no terminal, one line is written at the end.

    Args:
      name: what is being done, in a few words.
      total: number of steps.
      done: number of those that were done before.

    Yields:
      `advance(count, note)`: counts `count` more steps and shows the note.
    """
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        _Rate(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
        rich.progress.TextColumn("{task.fields[note]}", markup=False),
    )
    console = terminal.console(stderr=True)
    # Drawing more often takes time from the steps on a machine with two cores.
    with rich.progress.Progress(*columns, console=console, refresh_per_second=2) as bar:
        task = bar.add_task(name, total=total, completed=done, note="")
        yield lambda count, note: bar.update(task, advance=count, note=note)
