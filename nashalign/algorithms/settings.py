"""Settings: what a row leaves open, and how values are checked.

A setting belongs to its row, so that two rows may use one letter for two things. `eta`
is always the step of mirror descent.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nashalign import checks

PAPER, OURS = "the paper's", "ours"
"""Where most defaults are from."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that a setting may have.

    Attributes:
      must: what a value must be, in words that follow the setting's name.
      holds: whether a value is.
    """

    must: str
    holds: Callable[[float], bool]


POSITIVE = Range("must be positive and finite", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = Range("must be finite and >= 0", lambda value: 0 <= value < math.inf)
FINITE = Range("must be finite", math.isfinite)
SHARE = Range("must be in [0, 1]", lambda value: 0 <= value <= 1)
RATE = Range("must be in [0, 1/2)", lambda value: 0 <= value < 0.5)
COUNT = Range(
    "must be a whole number, at least 1",
    lambda value: 1 <= value < math.inf and value % 1 == 0,
)
SEVERAL = Range(
    "must be a whole number, at least 2",
    lambda value: 2 <= value < math.inf and value % 1 == 0,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A number that a row leaves open.

    Attributes:
      name: by which it is given.
      meaning: what it is.
      range: what its values must be.
      default: its value where none is given.
      unit: of the value; empty where it has none.
      source: where the default is from, in words that follow "it is".
    """

    name: str
    meaning: str
    range: Range
    default: float
    unit: str = ""
    source: str = PAPER

    @property
    def must(self) -> str:
        """What its values must be, in words that follow its name."""
        return self.range.must

    @property
    def explained(self) -> str:
        """What it is, in which unit, what it must be, and where its default is from."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.meaning}{unit}; {self.must}; {self.default:.4g} is {self.source}"


# What is wrong with settings that are each in their range; None where nothing is.
Condition = Callable[[Mapping[str, Any]], str | None]


def check(
    name: str,
    settings: tuple[Setting, ...],
    conditions: tuple[Condition, ...],
    values: Mapping[str, Any],
) -> None:
    """Requires values in their settings' ranges, and not at odds with each other.

    Args:
      name: the row's, for the error.
      settings: the row's.
      conditions: the row's.
      values: one for each setting.

    Raises:
      TypeError: naming the row and a setting that is not one number.
      ValueError: naming the row, the setting, its value and what it must be.
    """
    for setting in settings:
        value = values[setting.name]
        if np.ndim(checks.numeric(value, f"{name}: {setting.name}")):
            raise TypeError(
                f"{name}: {setting.name} must be one number, not {np.size(value)} of "
                "them"
            )
        if not setting.range.holds(value):
            raise ValueError(f"{name}: {setting.name} {setting.must}, not {value}.")
    for condition in conditions:
        wrong = condition(values)
        if wrong:
            raise ValueError(f"{name}: {wrong}")


def anchor_weighs_at_most_one(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with eta and tau, where eta * tau is the reference's weight."""
    weight = settings["eta"] * settings["tau"]
    if weight <= 1:
        return None
    return (
        f"eta * tau weighs the reference in the anchor, at most 1, not {weight:.6g}; "
        "eta is the mirror-descent step, not its inverse."
    )
