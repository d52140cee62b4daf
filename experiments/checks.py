"""What settings must be, said by the names of their options."""

import math

SEEDS = 2**32


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
