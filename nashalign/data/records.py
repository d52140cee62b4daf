"""Prompts and comparisons of people's own, from files of JSON lines.

A line is an object with a `prompt`, or with `prompt`, `chosen` and `rejected`, and
optionally `chosen_score` and `rejected_score`; other fields are kept, to be shown.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nashalign import json_file

SPLITS = ("train", "validation", "test")

_TEXTS, _SCORES = ("chosen", "rejected"), ("chosen_score", "rejected_score")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A line of a file of prompts.

    Attributes:
      prompt: what is answered.
      chosen: the response that was preferred; None where there is no pair.
      rejected: the other one; there with `chosen` or not at all.
      scores: rewards of both; None where nobody has scored them.
      others: all other fields, as they came.
    """

    prompt: str
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
    prompt = known.pop("prompt", None)
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"`prompt` is {_shown(prompt)}; it must be a text")
    texts = [known.pop(name, None) for name in _TEXTS]
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
        chosen=texts[0],
        rejected=texts[1],
        scores=(float(scores[0]), float(scores[1])) if scored else None,
        others=known,
    )


def _shown(value: Any) -> str:
    """A value in a message."""
    return "missing" if value is None else f"{value!r:.60}"
