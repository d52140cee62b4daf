"""Table 2 of the paper that the main job reproduces, as data.

Calandriello et al. 2024, "Human Alignment of Large Language Models through Online
Preference Optimisation" (arXiv:2403.08635), table 2: mean preference of the row's
policy over the column's by a PaLM 2 judge on 2,000 XSum prompts, for policies of 770M
parameters. The spread in brackets is the standard deviation over the nine pairings of
three seeds a method. The paper prints it above the diagonal, and has no row for the
start policy.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

SOURCE = "Calandriello et al. 2024, table 2 (arXiv:2403.08635)"

START = "start"
"""Name of the start policy in tables and figures; always the last."""

METHODS = ("IPO", "IPO-MD", "DPO", "Nash-MD-PG", "SLiC", "RL")
"""The methods in the order of the paper's table."""

_ = math.nan


class Printed(NamedTuple):
    """A number of the paper: mean and standard deviation over pairings of seeds."""

    mean: float
    std: float


TABLE_2 = Printed(
    mean=(
        (0.500, 0.515, 0.608, 0.621, 0.608, 0.791),
        (0.485, 0.500, 0.600, 0.608, 0.594, 0.778),
        (0.392, 0.400, 0.500, 0.520, 0.493, 0.727),
        (0.379, 0.392, 0.480, 0.500, 0.479, 0.729),
        (0.392, 0.406, 0.507, 0.521, 0.500, 0.728),
        (0.209, 0.222, 0.273, 0.271, 0.272, 0.500),
    ),
    std=(
        (_, 0.024, 0.038, 0.030, 0.025, 0.012),
        (_, _, 0.028, 0.026, 0.020, 0.004),
        (_, _, _, 0.041, 0.040, 0.020),
        (_, _, _, _, 0.029, 0.020),
        (_, _, _, _, _, 0.010),
        (_, _, _, _, _, _),
    ),
)
"""Mean preference of row over column and its standard deviation; NaN: not printed."""


def win_rate(row: str, column: str) -> Printed | None:
    """The paper's win rate of one method over another.

    Args:
      row: name of a policy, as in `METHODS`.
      column: name of its opponent.

    Returns:
      `Printed`, its std NaN where the paper prints none; None where it has no such
      pair.
    """
    if row not in METHODS or column not in METHODS:
        return None
    i, j = METHODS.index(row), METHODS.index(column)
    return Printed(TABLE_2.mean[i][j], TABLE_2.std[i][j])


def compared(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the policies between which the paper has win rates.

    Args:
      names: names of policies, in any order.

    Returns:
      The paper's methods among them, in its order; none where there is only one, which
      the paper's table has nothing to say about.
    """
    found = tuple(name for name in METHODS if name in names)
    return found if len(found) > 1 else ()


def order(names: Sequence[str]) -> list[int]:
    """Places of the names in the order of the paper's table.

    Args:
      names: names of policies, in any order.

    Returns:
      List of indices into `names`: the paper's methods first, then others as they come,
      the start policy last.
    """

    def place(index):
        name = names[index]
        if name in METHODS:
            return METHODS.index(name)
        return len(METHODS) + (name == START)

    return sorted(range(len(names)), key=place)
