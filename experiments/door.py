"""The door of every experiment: its command line as a function."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
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


def _wrapped(text: str) -> str:
    """The paragraphs of a text, no wider than the terminal; code is left as it is."""
    width = get_terminal_size().columns
    return "\n\n".join(
        part if "\n " in part else textwrap.fill(part, width, break_on_hyphens=False)
        for part in inspect.cleandoc(text).split("\n\n")
    )
