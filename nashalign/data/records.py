"""Prompts and comparisons of people's own, from files of JSON lines.

A line is an object with a `prompt`, or with `prompt`, `chosen` and `rejected`, and
optionally `chosen_score` and `rejected_score`; other fields are kept, to be shown. In
the place of a `prompt` there may be `messages`, a conversation that its last message
asks to go on, and responses may be lists that end in the assistant's message.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nashalign import json_file

SPLITS = ("train", "validation", "test")

_ROLES = ("system", "user", "assistant")
_TEXTS, _SCORES = ("chosen", "rejected"), ("chosen_score", "rejected_score")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A line of a file of prompts.

    Attributes:
      prompt: what is answered, as people read it: of a conversation the one message
        that it has, or all of them, each behind its role.
      messages: the conversation; None where the prompt is plain text.
      chosen: the response that was preferred; None where there is no pair.
      rejected: the other one; there with `chosen` or not at all.
      scores: rewards of both; None where nobody has scored them.
      others: all other fields, as they came.
    """

    prompt: str
    messages: tuple[Mapping[str, str], ...] | None = None
    chosen: str | None = None
    rejected: str | None = None
    scores: tuple[float, float] | None = None
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def shown(self) -> dict[str, str]:
        """Returns the fields for people, as text, the prompt first."""
        found = {"prompt": self.prompt}
        for name in _TEXTS:
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return found | {name: str(value) for name, value in self.others.items()}


def read_records(path: pathlib.Path | str) -> list[Record]:
    """Returns the lines of a file of prompts; empty lines are passed over.

    Args:
      path: JSON lines, UTF-8.

    Raises:
      ValueError: a line is no object with these fields, there is none, or only some of
        the lines have a pair; names the file and the line.
      OSError: the file cannot be read.
    """
    path = pathlib.Path(path)
    records = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            records.append(_record(json_file.parse(line)))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    if not records:
        raise ValueError(f"{path} holds no prompt; a line is an object with `prompt`.")
    paired = [record.chosen is not None for record in records]
    if any(paired) and not all(paired):
        raise ValueError(
            f"{path}: {sum(paired)} of {len(paired)} prompts have `chosen` and "
            "`rejected`; give a pair to all of them, or to none."
        )
    talks = [record.messages is not None for record in records]
    if any(talks) and not all(talks):
        raise ValueError(
            f"{path}: {sum(talks)} of {len(talks)} prompts are `messages`; give all of "
            "them so, or none."
        )
    return records


def split_records(
    records: Sequence[Record], *, validation: float, test: float
) -> dict[str, list[int]]:
    """Returns the places of the records of each split.

    A prompt's split is decided by a hash of its text: it stays where it is when others
    come and go, and all records of one prompt are together.

    Args:
      records: all of them.
      validation: share of the prompts, in [0, 1).
      test: share of the prompts, in [0, 1); both together below 1.

    Raises:
      ValueError: the shares are out of range.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ValueError(
            f"the shares of validation ({validation}) and test ({test}) must be in "
            "[0, 1), and leave some prompts to train on"
        )
    found = {split: [] for split in SPLITS}
    for place, record in enumerate(records):
        share = int(prompt_hash(record.prompt)[:13], 16) / 16**13
        split = "test" if share < test else "train"
        if test <= share < test + validation:
            split = "validation"
        found[split].append(place)
    return found


def prompt_hash(prompt: str) -> str:
    """Returns 16 hexadecimal digits that stand for a prompt, white space apart."""
    text = " ".join(prompt.split())
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _record(line: Mapping[str, Any]) -> Record:
    """One line as a record."""
    known = dict(line)
    messages = None
    if "messages" in known:
        messages = conversation(known.pop("messages"), "messages", last="user")
        known.pop("prompt", None)
        prompt = as_text(messages)
    else:
        prompt = known.pop("prompt", None)
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"`prompt` is {_shown(prompt)}; it must be a text")
    texts = [_answer(known.pop(name, None), name, messages) for name in _TEXTS]
    scores = [known.pop(name, None) for name in _SCORES]
    scored = scores != [None, None]
    if texts != [None, None]:
        for name, text in zip(_TEXTS, texts, strict=True):
            if not isinstance(text, str):
                raise ValueError(f"`{name}` is {_shown(text)}; it must be a text")
    for name, score in zip(_SCORES, scores, strict=True):
        wrong = isinstance(score, bool) or not isinstance(score, int | float)
        if scored and (wrong or texts == [None, None]):
            raise ValueError(
                f"`{name}` is {_shown(score)}; both responses of a pair have a score, "
                "a number, or neither has"
            )
    return Record(
        prompt=prompt,
        messages=messages,
        chosen=texts[0],
        rejected=texts[1],
        scores=(float(scores[0]), float(scores[1])) if scored else None,
        others=known,
    )


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
        raise ValueError(f"`{name}` is {_shown(value)}; it must be a list of messages")
    for place, own in enumerate(value):
        texts = isinstance(own, dict) and [own.get("role"), own.get("content")]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"`{name}[{place}]` is {_shown(own)}; it must be an object with a "
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


def _answer(value: Any, name: str, messages) -> Any:
    """A response's text; of a list of messages that of the last one."""
    if not isinstance(value, list):
        return value
    found = conversation(value, name, last="assistant")
    if found[:-1] not in ((), messages):
        raise ValueError(f"`{name}` goes on from other messages than `messages`")
    return found[-1]["content"]


def _shown(value: Any) -> str:
    """A value in a message."""
    return "missing" if value is None else f"{value!r:.60}"
