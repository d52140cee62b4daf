"""Settings of rows as types, so that a command line can show and read them.

Each row has a type of its own, made from the table: its settings by their names there,
with what they must be.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any

import tyro

from nashalign import algorithms


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one method."""

    learning_rate: float = 5e-4
    """Peak of Adam's schedule."""

    @property
    def own(self) -> dict[str, float]:
        """The row's settings, by their names in the table of methods."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "learning_rate"
        }

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What `align` is given as settings."""
        return self.own


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedPO(Settings):
    """mixed PO (Gou and Nguyen 2024, arXiv:2403.19443)"""

    threshold: float = 1.0
    """Least gap of an easy pair's rewards, in standard deviations over the data set."""
    dpo_tau: float = 0.05
    """Strength of DPO's regularisation; must be positive and finite."""
    ppo_tau: float = 0.01
    """Strength of PPO's regularisation; must be finite and >= 0."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What `align` is given as settings."""
        return {
            "threshold": self.threshold,
            "dpo": {"tau": self.dpo_tau},
            "ppo": {"tau": self.ppo_tau},
        }


def settings_type(row: algorithms.Row | str) -> type[Settings]:
    """Returns the settings of a row as a type, whose defaults are the row's.

    Args:
      row: the row, or the name of one of the table of methods, or of a recipe.
    """
    if row == "mixed_po":
        return MixedPO
    return _of_table(row) if isinstance(row, str) else _made(row)


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
