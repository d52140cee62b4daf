"""Prompts, responses to them, and what people said of these, whatever the format."""

import dataclasses
import hashlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """A prompt, and what a line of a file has beside it.

    Attributes:
      prompt: what is answered, as people read it: of a conversation the one message
        that it has, or all of them, each behind its role.
      messages: the conversation; None where the prompt is plain text.
      chosen: the response that was preferred, or the only one, a demonstration; None
        where there is none.
      rejected: the other one; None where there is no pair.
      scores: rewards of both; None where nobody has scored them.
      votes: of each voter, 1 where the chosen response won, 0 where the other one did,
        0.5 for a tie; None where no votes are known.
      authors: who wrote the chosen response, and who the other one; None where it is
        not said.
      others: all other fields, as they came.
    """

    prompt: str
    messages: tuple[Mapping[str, str], ...] | None = None
    chosen: str | None = None
    rejected: str | None = None
    scores: tuple[float, float] | None = None
    votes: tuple[float, ...] | None = None
    authors: tuple[str, str] | None = None
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_pair(self) -> bool:
        """Whether there are two responses."""
        return self.rejected is not None

    @property
    def preferred(self) -> float:
        """The probability that the chosen response wins: the voters' mean."""
        return 1.0 if self.votes is None else statistics.fmean(self.votes)

    def shown(self) -> dict[str, str]:
        """Returns the fields for people, as text, the prompt first."""
        found = {"prompt": self.prompt}
        for name in ("chosen", "rejected"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return found | {name: str(value) for name, value in self.others.items()}


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
