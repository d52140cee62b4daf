"""Prompts that a command line names, read: their format, and what is said of them."""

import pathlib

from nashalign import data, terminal


def read(path: pathlib.Path, format: str, skip_malformed: bool) -> list[data.Record]:
    """Returns the records of a file or folder, and says what was met in reading it.

    Args:
      path: as `--prompts` has it.
      format: as `--format` has it.
      skip_malformed: as `--skip-malformed` has it.

    Raises:
      ValueError: see `data.read`.
    """
    try:
        found = data.read(path, format, skip_malformed=skip_malformed)
    except data.Malformed as error:
        raise ValueError(
            f"{error}. Mend it, or leave such lines out with --skip-malformed."
        ) from error
    say = terminal.console().print
    say(f"{path}: {found}")
    if found.malformed:
        say(f"the first that was skipped: {found.malformed[0]}")
    return found.records


def check_format(format: str) -> None:
    """Requires a format that there is.

    Raises:
      ValueError: names the option, and formats with near names.
    """
    try:
        data.find_format(format)
    except ValueError as error:
        raise ValueError(f"--format: {error}") from error
