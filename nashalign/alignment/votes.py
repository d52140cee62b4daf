"""Votes on what the start policy writes: collected once, and kept."""

import dataclasses
import pathlib
from typing import Protocol

import numpy as np

from nashalign import preferences, training
from nashalign.alignment import asking
from nashalign.alignment import task as tasks
from nashalign.types import Array, Prompts, Responses, pytree

# Three ways to pair up four responses, so that every two meet once.
PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
NUM_RESPONSES = 4
"""Responses to each prompt that is voted on."""

FILE, HELD_OUT_FILE = "votes.npz", "held_out_votes.npz"
"""Responses to training prompts and the votes on them, and the same of validation."""


class Voters(Protocol):
    """Says how probably a voter would prefer one response to another."""

    def __call__(self, prompts: Prompts, responses: Responses) -> np.ndarray:
        """Returns P(row beats column) among the responses, `[B, N, N]`."""
        ...


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Votes:
    """Responses `[B, N, T]` to prompts, and what was said of every two of a prompt's.

    Attributes:
      prompts: `B` prompts.
      responses: the start policy's.
      preference: `[B, N, N]` the voters' P(row beats column).
      votes: `[B, N, N]` the share of hard votes that the row won over the column.
    """

    prompts: Prompts
    responses: Responses
    preference: Array
    votes: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ballot:
    """Which prompts are voted on, and by how many.

    Attributes:
      split: whose prompts.
      num_prompts: how many.
      num_voters: voters drawn for each pair.
      stage: number that keeps this ballot's draws apart from others'.
      file: name of the file in which it is kept.
    """

    split: str
    num_prompts: int
    num_voters: int
    stage: int
    file: str

    def rows(self, task: tasks.Task, seed: int) -> np.ndarray:
        """Returns the rows of the split that are voted on, in the file's order."""
        return task.rows(self.split, self.num_prompts, seed + self.stage)


def ballots(
    num_prompts: int, num_held_out: int, num_voters: int
) -> tuple[Ballot, Ballot]:
    """Returns the ballots on training prompts and on held-out ones."""
    return (
        Ballot(
            split="train",
            num_prompts=num_prompts,
            num_voters=num_voters,
            stage=1,
            file=FILE,
        ),
        Ballot(
            split="validation",
            num_prompts=num_held_out,
            num_voters=num_voters,
            stage=2,
            file=HELD_OUT_FILE,
        ),
    )


def voters(annotator: preferences.PreferenceAnnotator) -> Voters:
    """Returns an annotator as voters: each pair is asked about once."""

    def ask(prompts, responses):
        return asking.compare_all(annotator, prompts, responses)

    return ask


def collect(
    task: tasks.Task, voters: Voters, ballot: Ballot, seed: int, folder: pathlib.Path
) -> Votes:
    """Samples and votes on prompts, or reads it from the file if it is there.

    Args:
      task: the start policy and the prompts.
      voters: how probably each response is preferred.
      ballot: which prompts, and how many voters.
      seed: of the choice of prompts and of every draw.
      folder: where the file is kept.
    """
    rows = ballot.rows(task, seed)

    def vote():
        written = task.write(
            task.start.params,
            ballot.split,
            rows,
            tasks.stage_key(seed, ballot.stage),
            num_responses=NUM_RESPONSES,
            name=f"samples of the start policy ({ballot.split})",
        )
        preference = voters(written.prompts, written.responses)
        rng = np.random.default_rng(seed + ballot.stage)
        votes = rng.binomial(ballot.num_voters, preference) / ballot.num_voters
        return {
            "tokens": written.responses.tokens,
            "mask": written.responses.mask,
            "truncated": written.responses.truncated,
            "preference": preference.astype(np.float32),
            "votes": votes.astype(np.float32),
        }

    shapes = _shapes(ballot.num_prompts, task.decoding.max_length)
    arrays = training.keep_arrays(folder / ballot.file, vote, _REMEDY, shapes)
    return Votes(
        prompts=task.batch(ballot.split, rows),
        responses=Responses(
            **{name: arrays[name] for name in ("tokens", "mask", "truncated")}
        ),
        preference=arrays["preference"],
        votes=arrays["votes"],
    )


def read(
    path: pathlib.Path, num_prompts: int | None = None, length: int | None = None
) -> dict[str, np.ndarray]:
    """Returns what is in a file of votes: responses of so many tokens, and votes.

    Args:
      path: the file.
      num_prompts: how many there must be; None, any number.
      length: tokens that responses must be padded to; None, any number.

    Raises:
      ValueError: if it is damaged; names the file, and what to delete.
    """
    return training.read_arrays(path, _REMEDY, _shapes(num_prompts, length))


_REMEDY = "Delete it to have the votes again"


def _shapes(
    num_prompts: int | None, length: int | None
) -> dict[str, tuple[int | None, ...]]:
    """Shapes of what is in a file of votes; None is any length."""
    pairs = (num_prompts, NUM_RESPONSES, NUM_RESPONSES)
    return {
        "tokens": (num_prompts, NUM_RESPONSES, length),
        "mask": (num_prompts, NUM_RESPONSES, length),
        "truncated": (num_prompts, NUM_RESPONSES),
        "preference": pairs,
        "votes": pairs,
    }
