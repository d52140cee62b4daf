"""Options of a command line: what their values must be, in sentences that name them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

SEEDS = 2**32
"""As many random keys there are; seeds are below."""


def require(setting: str, value: float, at_least: int = 1) -> None:
    """Requires a count of at least so many, or a positive and finite rate.

    Args:
      setting: its name, dotted, as in the configuration.
      value: a whole number is a count, any other one a rate.
      at_least: the least count.

    Raises:
      ValueError: naming the option, its value, and what it must be.
    """
    if isinstance(value, int):
        good, must = value >= at_least, f"at least {at_least}"
    else:
        good, must = 0 < value < math.inf, "positive and finite"
    if not good:
        raise ValueError(f"--{_option(setting)} is {value}; it must be {must}.")


def require_all(config: Any, group: str = "", *, at_least: Sequence[str] = ()) -> None:
    """Requires that every number of a group of settings is one that it can be.

    Args:
      config: a dataclass of counts, rates, tuples of them, and others, such as
        switches, which are left alone.
      group: its name on the command line, in front of each setting's.
      at_least: names of counts that must be 2 or more.

    Raises:
      ValueError: naming the option, its value, and what it must be.
    """
    for name, own in dataclasses.asdict(config).items():
        for value in own if isinstance(own, tuple) else (own,):
            if isinstance(value, int | float) and not isinstance(value, bool):
                least = 2 if name in at_least else 1
                require(f"{group}.{name}" if group else name, value, at_least=least)


def require_seed(seed: int, number: int = 1) -> None:
    """Requires a seed, and the next ones, that random keys can tell apart.

    Args:
      seed: the first one.
      number: how many there are.

    Raises:
      ValueError: naming the option, its value, and what it must be.
    """
    require("seed", seed, at_least=0)
    if seed + number > SEEDS:
        raise ValueError(
            f"--seed is {seed}; seeds must be below 2**32, the number of random keys."
        )


def _option(setting: str) -> str:
    """The name on a command line."""
    return setting.replace("_", "-")
