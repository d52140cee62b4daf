"""What a published format is, and how the fields of a line are read.

A field within another one is named by its path, such as `info.post` or `summaries[0]`.
Every function here that reads a field raises a ValueError which begins with its name.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nashalign.data.records import Record

_ROLES = ("system", "user", "assistant")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """How the lines of a data set are written.

    Attributes:
      name: by which it is asked for.
      about: whose data is written so, a phrase.
      fields: names that every line has; others may be there.
      gives: what a record has of it, a phrase.
      parse: a line's object -> its record; raises a ValueError that names the field
        which is not as it should be.
    """

    name: str
    about: str
    fields: tuple[str, ...]
    gives: str
    parse: Callable[[Mapping[str, Any]], Record]


def value_of(line: Mapping[str, Any], name: str) -> Any:
    """Returns what a field holds; None where there is no such field."""
    found: Any = line
    for step in re.findall(r"\w+", name):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def text(line: Mapping[str, Any], name: str, *, filled: bool = False) -> str:
    """Returns a field's text.

    Args:
      line: the object.
      name: of the field, or its path.
      filled: whether there must be more than white space.
    """
    value = value_of(line, name)
    if not isinstance(value, str) or (filled and not value.strip()):
        raise ValueError(f"`{name}` is {shown(value)}; it must be a text")
    return value


def one_of(line: Mapping[str, Any], name: str, choices: Sequence[int]) -> int:
    """Returns a field's whole number, one of some."""
    value = value_of(line, name)
    if not isinstance(value, int) or isinstance(value, bool) or value not in choices:
        raise ValueError(
            f"`{name}` is {shown(value)}; it must be one of "
            f"{', '.join(map(str, choices))}"
        )
    return value


def number(line: Mapping[str, Any], name: str, reason: str = "") -> float:
    """Returns a field's number.

    Args:
      line: the object.
      name: of the field, or its path.
      reason: why there must be a number, if it is not plain.
    """
    value = value_of(line, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(
            f"`{name}` is {shown(value)}; {reason or 'it must be a number'}"
        )
    return float(value)


def rest(line: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Returns the fields that have other names, as they came."""
    return {name: value for name, value in line.items() if name not in names}


def conversation(value: Any, name: str, *, last: str) -> tuple[dict[str, str], ...]:
    """Returns a conversation's messages, each with a role and a content.

    Args:
      value: what a line has.
      name: of the field, to begin a message with.
      last: whose the last message must be.

    Raises:
      ValueError: they are no messages, or the last one is another's.
    """
    if not isinstance(value, list) or not value:
        raise ValueError(f"`{name}` is {shown(value)}; it must be a list of messages")
    for place, own in enumerate(value):
        texts = isinstance(own, dict) and [own.get("role"), own.get("content")]
        if not texts or not all(isinstance(one, str) for one in texts):
            raise ValueError(
                f"`{name}[{place}]` is {shown(own)}; it must be an object with a "
                "`role` and a `content`, both texts"
            )
        if own["role"] not in _ROLES:
            raise ValueError(
                f"`{name}[{place}].role` is {own['role']!r:.60}; it must be one of "
                f"{', '.join(_ROLES)}"
            )
    if value[-1]["role"] != last:
        raise ValueError(
            f"`{name}` ends with the {value[-1]['role']}'s message; the last one must "
            f"be the {last}'s"
        )
    return tuple({"role": own["role"], "content": own["content"]} for own in value)


def as_text(messages: Sequence[Mapping[str, str]]) -> str:
    """Returns a conversation as people and functions of text read it."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{own['role']}: {own['content']}" for own in messages)


def shown(value: Any) -> str:
    """Returns a value as a message shows it."""
    return "missing" if value is None else f"{value!r:.60}"
