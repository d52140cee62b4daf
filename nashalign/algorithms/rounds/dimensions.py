"""Sequential PO's rounds: one dimension of preference after another."""

import dataclasses

from nashalign.algorithms.method import Method
from nashalign.algorithms.rounds.round import (
    DIMENSIONS,
    PREFERENCE,
    RESPONSES,
    Context,
    Round,
)
from nashalign.types import Examples


@dataclasses.dataclass(frozen=True)
class InTurn:
    """A round for each of the method's periods, whose pairs one dimension labels.

    Dimensions take turns, in the order of the data set. Lou et al. 2024
    (arXiv:2405.12739).
    """

    @property
    def formula(self) -> str:
        """What it is, in words."""
        return "a dimension of preference a period, in turn"

    def __call__(self, method: Method, num_steps: int) -> tuple[Round, ...]:
        """Returns a round a period, the last of which may be shorter."""
        period = int(method.settings["period"])
        return tuple(
            Round(
                method=method,
                num_steps=min(period, num_steps - begin),
                make=_Heard(number),
                needs=frozenset({PREFERENCE, RESPONSES, DIMENSIONS}),
            )
            for number, begin in enumerate(range(0, num_steps, period))
        )


@dataclasses.dataclass(frozen=True)
class _Heard:
    """The data set's pairs as the dimension of a round labels them."""

    number: int

    def __call__(self, context: Context, before: Examples | None) -> Examples:
        del before
        dimension = context.dimensions[self.number % len(context.dimensions)]
        return dimension(context.first(2))
