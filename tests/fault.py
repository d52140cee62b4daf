"""A seeded fault: one wrong line, and the tests that should notice it."""

import dataclasses

GRADIENTS_TEST = "tests/algorithms/gradients_test.py"


@dataclasses.dataclass(frozen=True)
class Fault:
    """One wrong line.

    Attributes:
      name: what is wrong.
      path: the file, from the repository's root.
      old: its text, which occurs there once.
      new: the fault.
      tests: arguments of pytest: the tests that should catch it.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str


def expected(row: str) -> str:
    """The test of a row's gradient against its objective's definition."""
    return f"{GRADIENTS_TEST} -k 'enumerated_objective and {row}'"
