"""What a judge is told to prefer, and what that is in numbers."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

_NAME = re.compile(r"[A-Za-z_]\w*")
_SIGNATURE = re.compile(r"def\s+\w+\s*\(")
_RECEIVERS = ("self", "cls")


def words(code: str, summary: str) -> float:
    """Returns the number of words of a summary."""
    del code
    return float(len(summary.split()))


def arguments_named(code: str, summary: str) -> float:
    """Returns how many of a function's arguments a summary names, as they are spelt."""
    return float(len(arguments(code) & set(_NAME.findall(summary))))


def arguments(code: str) -> set[str]:
    """Returns the names of a function's arguments, those of methods' receivers apart.

    Args:
      code: begins with the signature, which may be cut off before its end.
    """
    begin = _SIGNATURE.search(code)
    found, depth, part = [], 0, ""
    for letter in code[begin.end() :] if begin else "":
        if letter in ")]}" and depth == 0:
            break
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            found.append(part)
            part = ""
        else:
            part += letter
    names = (_NAME.match(own.strip().lstrip("*")) for own in [*found, part])
    return {own[0] for own in names if own} - set(_RECEIVERS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruction:
    """What a judge is told.

    Attributes:
      name: for people and for folders.
      text: what the judge reads behind the code and before the summaries.
      measure: `(code, summary)` -> what it is about, in numbers.
      sign: 1 where more of it is preferred, -1 where less is.
    """

    name: str
    text: str
    measure: Callable[[str, str], float]
    sign: int

    def preference(self, codes: Sequence[str], texts: Sequence[Sequence[str]]):
        """Returns P(row beats column) `[B, N, N]` by the letter: 1, 0, or 1/2 for ties.

        Args:
          codes: `B` functions.
          texts: `[B][N]` summaries of each.
        """
        found = np.array(
            [
                [self.sign * self.measure(code, text) for text in row]
                for code, row in zip(codes, texts, strict=True)
            ]
        )
        return (1 + np.sign(found[:, :, None] - found[:, None, :])) / 2


INSTRUCTIONS = (
    Instruction(
        name="shorter", text="Prefer the shorter summary.", measure=words, sign=-1
    ),
    Instruction(
        name="longer", text="Prefer the longer summary.", measure=words, sign=1
    ),
    Instruction(
        name="arguments",
        text="Prefer the summary that names the arguments.",
        measure=arguments_named,
        sign=1,
    ),
)
