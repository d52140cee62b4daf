"""The door of every experiment: its command line as a function."""

import dataclasses
import inspect
import math
import pathlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from shutil import get_terminal_size
from typing import Any

import tyro

from nashalign import terminal, training


def guarded(
    main: Callable[[list[str]], int | None],
) -> Callable[[Sequence[str]], int | str]:
    """Returns `main` as a command that ends with a number or with a sentence."""
    return terminal.guarded(main, training.TrainingDiverged)


def command(
    main: Callable[[Any], int | None], config: type, *, name: str, about: str
) -> Callable[[Sequence[str]], int | str]:
    """Returns a command that reads its settings from the command line.

    Args:
      main: takes the settings; returns an exit code, or None for 0.
      config: a dataclass of the settings.
      name: of the module that is run.
      about: what --help says first.

    Returns:
      `command(arguments)`: an exit code or a sentence; see `terminal.guarded`.
    """
    return guarded(lambda arguments: main(parse(config, arguments, name, about)))


def parse(
    config: type, arguments: Sequence[str], name: str, about: str, default: Any = None
) -> Any:
    """Returns the settings that a command line gives.

    Args:
      config: a dataclass of the settings.
      arguments: the command line.
      name: of the module that is run.
      about: what --help says first.
      default: the settings where the command line is empty; those of the class if None.

    Raises:
      SystemExit: after --help, or if the arguments cannot be read; the reason is shown.
    """
    if {"-h", "--help"} & set(arguments):
        # Tyro would print a paragraph as one line, of any length.
        print(_wrapped(about), end="\n\n")
    return tyro.cli(
        config,
        prog=f"python -m {name}",
        description="",
        args=list(arguments),
        **({} if default is None else {"default": default}),
    )


def in_folder(
    folder: pathlib.Path, record: Mapping[str, Any], work: Callable[[], int]
) -> int:
    """Does the work in an output folder that holds it alone, and once.

    Args:
      folder: where results are left; with other settings in it, it is left alone.
      record: every setting that the results depend on.
      work: leaves the results, and returns how many of them are not as they should be.

    Returns:
      What the work has returned, now or when it was done.

    Raises:
      ValueError: if the folder holds something else.
      OSError: if it cannot be written.
    """
    try:
        with training.open_run(folder, record) as run:
            failed = work()
            names = [path.name for path in folder.iterdir()]
            run.finish(
                *(name for name in names if name != "config.json"), failed=failed
            )
    except training.RunFinished as finished:
        terminal.console().print(str(finished))
        failed = int(finished.summary.get("failed", 0))
    return failed


def require_positive(config: Any) -> None:
    """Requires that every number among a benchmark's settings is above 0.

    Args:
      config: a dataclass of numbers, tuples of them, and others, which are left alone.

    Raises:
      ValueError: naming the setting and its value.
    """
    for field in dataclasses.fields(config):
        own = getattr(config, field.name)
        for value in own if isinstance(own, tuple) else (own,):
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise ValueError(
                    f"--{field.name.replace('_', '-')} must be above 0 and finite, not "
                    f"{value}."
                )


def _wrapped(text: str) -> str:
    """The paragraphs of a text, no wider than the terminal; code is left as it is."""
    width = get_terminal_size().columns
    return "\n\n".join(
        part if "\n " in part else textwrap.fill(part, width, break_on_hyphens=False)
        for part in inspect.cleandoc(text).split("\n\n")
    )
