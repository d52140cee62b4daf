"""Win rates that others have published, as a value to be shown beside ours."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Printed(NamedTuple):
    """A published number: mean and spread; NaN where no spread is printed."""

    mean: float
    std: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """A published matrix of win rates.

    Attributes:
      source: authors, year and table, to be named wherever the numbers stand.
      methods: names of its M methods, in its order.
      mean: `[M, M]` win rates of the row's policy over the column's, in [0, 1].
      std: `[M, M]` their spreads; NaN where none is printed.
      spread: what the spreads are, in a few words: the head of a panel.
      note: the same in a sentence's end, and what else is to be said of the numbers.

    Raises:
      ValueError: the matrices are not `[M, M]`, or a method is there twice.
    """

    source: str
    methods: tuple[str, ...]
    mean: Sequence[Sequence[float]]
    std: Sequence[Sequence[float]]
    spread: str
    note: str

    def __post_init__(self):
        """Requires a number for each two methods."""
        square = (len(self.methods),) * 2
        shapes = np.shape(self.mean), np.shape(self.std)
        if shapes != (square, square) or len(set(self.methods)) < len(self.methods):
            raise ValueError(
                f"published: mean {list(shapes[0])} and std {list(shapes[1])} must "
                f"have a row and a column for each of the methods {self.methods}, each "
                "of which is there once"
            )

    def win_rate(self, row: str, column: str) -> Printed | None:
        """The published win rate of one policy over another; None without such a pair.

        Args:
          row: name of a policy.
          column: name of its opponent.
        """
        if row not in self.methods or column not in self.methods:
            return None
        i, j = self.methods.index(row), self.methods.index(column)
        return Printed(self.mean[i][j], self.std[i][j])

    def compared(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the policies between which it has win rates.

        Args:
          names: names of policies, in any order.

        Returns:
          Its methods among them, in its order; none where there is only one, which the
          matrix has nothing to say about.
        """
        found = tuple(name for name in self.methods if name in names)
        return found if len(found) > 1 else ()
