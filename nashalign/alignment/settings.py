"""Settings of rows as types, so that a command line can show and read them.

Each row has a type of its own, made from the table: its settings by their names there,
with what they must be.
"""

import dataclasses
import functools
from collections.abc import Collection, Sequence
from typing import Annotated

import tyro

from nashalign import algorithms


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one method."""

    learning_rate: float = 5e-4
    """Peak of the optimizer's schedule."""

    @property
    def own(self) -> dict[str, float]:
        """The row's settings, by their names in the table of methods."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "learning_rate"
        }

    def __reduce__(self):
        """Is pickled by the row's name: its type is made wherever it is read."""
        values = {own.name: getattr(self, own.name) for own in dataclasses.fields(self)}
        return _read, (None if type(self) is Settings else type(self).__name__, values)


def settings_type(row: algorithms.Row | str) -> type[Settings]:
    """Returns the settings of a row as a type, whose defaults are the row's.

    Args:
      row: the row, or the name of one of the table of methods.
    """
    return _of_table(row) if isinstance(row, str) else _made(row)


def named_in(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Returns the methods that a command line names, in whatever place.

    Args:
      arguments: of the command line; `--settings.NAME.tau` names a method, too.
      known: names of methods.
    """
    options = [argument.split(".") for argument in arguments]
    words = {option[1].replace("-", "_") for option in options if len(option) > 2}
    return [name for name in known if name in words.union(arguments)]


def require_trained(methods: Collection[str], arguments: Sequence[str]) -> None:
    """Refuses settings of methods that are not trained, which would have no effect.

    Args:
      methods: names of those that are trained.
      arguments: of the command line.

    Raises:
      ValueError: naming the option and its method.
    """
    for argument in arguments:
        option = argument.split("=")[0]
        parts = option.removeprefix("--").replace("-", "_").split(".")
        if option.startswith("--settings.") and parts[1] not in methods:
            raise ValueError(
                f"{option} is given, and {parts[1]} is not among the --methods; leave "
                "it out, or train the row."
            )


def _read(row: str | None, values: dict[str, float]) -> Settings:
    """Settings as they were pickled, of a row of the table."""
    return (Settings if row is None else settings_type(row))(**values)


@functools.cache
def _of_table(name: str) -> type[Settings]:
    """The type of the settings of a row of the table; one row has one type."""
    return _made(algorithms.find(name))


def _made(row: algorithms.Row) -> type[Settings]:
    """The type of a row's settings."""
    fields = []
    for setting in row.settings:
        explained = tyro.conf.arg(help=f"{setting.explained}.")
        kind = Annotated[type(setting.default), explained]
        fields.append((setting.name, kind, setting.default))
    made = dataclasses.make_dataclass(
        row.name, fields, bases=(Settings,), frozen=True, kw_only=True
    )
    made.__doc__ = f"{row.title} ({row.paper})"
    return made
