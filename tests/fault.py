"""A seeded fault: one wrong line, and the tests that should notice it.

A fault says which code it breaks by that code's tokens: layout and comments do not
count. Where its very names are not found, the place is taken that has the same tokens
with other names for at most half of the names, each always the same. So neither a line
laid out anew nor a renamed variable or function loses the fault.
"""

import dataclasses
import keyword
import re

GRADIENTS_TEST = "tests/algorithms/gradients_test.py"

# A comment, a string with its prefix, a name or number, a sign of three characters at
# most.
_TOKEN = re.compile(
    r"(?P<layout>\#[^\n]*|\\\n)"
    r"|(?P<text>[rbf]{0,2}(?:\"{3}.*?\"{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    r"|(?P<word>\w+)"
    r"|(?P<sign>\*\*=|//=|\.\.\.|[-+*/%@&|^<>=!:]=|\*\*|//|->|<<|>>|[^\s\w])",
    re.DOTALL,
)


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

    def seed(self, source: str) -> str:
        """Returns the source with the fault in it.

        Raises:
          ValueError: the old text is not in the source, or is there several times.
        """
        pattern, tokens = _tokens(self.old), _tokens(source)
        names = {token.text for token in pattern if token.is_name}
        places = [
            (start, renamed)
            for start in range(len(tokens) - len(pattern) + 1)
            if (renamed := _match(pattern, tokens[start:])) is not None
        ]
        same = [(start, renamed) for start, renamed in places if not renamed]
        close = [(start, new) for start, new in places if 2 * len(new) <= len(names)]
        found = same or close
        if len(found) != 1:
            raise ValueError(
                f"the code of the fault {self.name!r} is in {self.path} {len(found)} "
                f"times, not once: {self.old!r}"
            )
        ((start, renamed),) = found
        last = tokens[start + len(pattern) - 1]
        wrong = "".join(
            renamed.get(piece, piece) for piece in re.split(r"(\w+)", self.new.strip())
        )
        return source[: tokens[start].start] + wrong + source[last.end :]


@dataclasses.dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    is_name: bool


def _tokens(source):
    """The tokens of a fragment of Python, which need not be a whole statement."""
    return [
        _Token(
            match[0],
            match.start(),
            match.end(),
            match.lastgroup == "word"
            and match[0].isidentifier()
            and not keyword.iskeyword(match[0]),
        )
        for match in _TOKEN.finditer(source)
        if match.lastgroup != "layout"
    ]


def _match(pattern, tokens):
    """The names of the pattern that are others here, or None where it is other code."""
    renamed = {}
    for ours, theirs in zip(pattern, tokens, strict=False):
        if ours.is_name and theirs.is_name:
            if renamed.setdefault(ours.text, theirs.text) != theirs.text:
                return None
        elif ours.text != theirs.text:
            return None
    if len(set(renamed.values())) != len(renamed):
        return None
    return {ours: theirs for ours, theirs in renamed.items() if ours != theirs}


def expected(row: str) -> str:
    """The test of a row's gradient against its objective's definition."""
    return f"{GRADIENTS_TEST} -k 'enumerated_objective and {row}'"
