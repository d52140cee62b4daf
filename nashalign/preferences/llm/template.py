"""Templates of questions to a language model: files of text with named fields.

A file begins with the answers that the model may give, and goes on, behind an empty
line, with what it is shown:

    answers: 1 2

    A question about {context} and two responses, {first} and {second}.

The first of two answers says that `{first}` is better. A template of rewards has the
field `{response}` in the place of the two; its answers are numbers.
"""

import dataclasses
import difflib
import math
import pathlib
import re

from nashalign import json_file

_FOLDER = pathlib.Path(__file__).with_name("templates")
_FIELD = re.compile(r"\{(context|first|second|response)\}")
_PAIR, _ONE = ("context", "first", "second"), ("context", "response")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """How a model is asked.

    Attributes:
      name: of the file, without its ending.
      text: what it is shown, with fields in braces.
      answers: what it may answer, each a word.
    """

    name: str
    text: str
    answers: tuple[str, ...]

    @property
    def compares(self) -> bool:
        """Whether it asks about two responses; else about one."""
        return "{response}" not in self.text

    @property
    def values(self) -> tuple[float, ...]:
        """What each answer is worth, of a template of rewards."""
        return tuple(map(float, self.answers))

    def fill(self, *texts: str) -> str:
        """Returns the question about some texts.

        What a text spells is no field.

        Args:
          *texts: the prompt, and the one response or the first and the second.
        """
        names = _PAIR if self.compares else _ONE
        own = dict(zip(names, texts, strict=True))
        return _FIELD.sub(lambda found: own[found[1]], self.text)


def templates() -> list[str]:
    """Returns the names of the templates that come along."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def load_template(name: str) -> Template:
    """Returns a template.

    Args:
      name: of one that comes along (`templates`), or the path of a file of one's own,
        which ends in `.txt`.

    Raises:
      ValueError: there is no such template, or the file is none; names file and line.
    """
    if not name.endswith(".txt"):
        if name not in templates():
            near = difflib.get_close_matches(name, templates(), n=3)
            raise ValueError(
                f"there is no template {name!r:.60}; "
                + (f"did you mean {' or '.join(near)}? " if near else "")
                + f"There are {', '.join(templates())}, and files that end in .txt."
            )
        return _read(_FOLDER / f"{name}.txt")
    path = pathlib.Path(name)
    if not path.is_file():
        raise ValueError(f"{path} is not a file; give one with a template.")
    return _read(path)


def _read(path: pathlib.Path) -> Template:
    """The template of a file."""
    head, _, text = json_file.read_text(path).partition("\n\n")
    key, _, said = head.strip().partition(":")
    if key != "answers":
        raise ValueError(
            f"{path}, line 1: a template begins with `answers: 1 2`, or other words, "
            "and an empty line."
        )
    answers = tuple(said.split())
    found = Template(name=path.stem, text=text.strip(), answers=answers)
    _require_fields(path, found)
    _require_answers(path, found)
    return found


def _require_fields(path: pathlib.Path, own: Template) -> None:
    """Requires a template with all fields of a comparison, or of a reward."""
    fields = [found[1] for found in _FIELD.finditer(own.text)]
    needed = _PAIR if own.compares else _ONE
    missing = sorted(set(needed) - set(fields))
    if missing:
        raise ValueError(
            f"{path} has no field {{{missing[0]}}}: a comparison shows {{context}}, "
            "{first} and {second}, a reward {context} and {response}."
        )
    more = sorted(set(fields) - set(needed))
    if more:
        raise ValueError(
            f"{path} has the fields {{response}} and {{{more[0]}}}: it is a comparison "
            "or a reward, and not both."
        )


def _require_answers(path: pathlib.Path, own: Template) -> None:
    """Requires answers that can be told apart, and are numbers where those are read."""
    place, count = f"{path}, line 1", len(own.answers)
    if len(set(own.answers)) != count:
        raise ValueError(f"{place}: an answer is there twice in {own.answers}.")
    if own.compares and count != 2:
        raise ValueError(f"{place}: there are {count} answers; a comparison has two.")
    if own.compares:
        return
    try:
        finite = all(math.isfinite(value) for value in own.values)
    except ValueError:
        finite = False
    if count < 2 or not finite:
        raise ValueError(
            f"{place}: the answers are {own.answers}; a reward has two or more numbers."
        )
