"""The data set of offline rows: what the judges learn from, and what authors wrote.

A row on pairs has two of the four summaries that the start policy has written to a
prompt, with the reviewers' votes on them; one on rewards has their scores by the reward
model, normalised over the data set (mean 0, standard deviation 1). A row that takes one
response, on trust, is given the summary that the function's author wrote.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import numpy as np

from experiments.summarise import judges, task
from experiments.summarise.config import Judges
from nashalign import algorithms, data, training
from nashalign.types import Examples, Prompts, Responses, pytree


def learns_from_authors(method: algorithms.Method) -> bool:
    """Whether a row takes a data set's one response for good, whoever is asked."""
    trusted = method.num_data == 1 and method.annotation != "reward"
    return trusted and not conditions_on_rewards(method)


def conditions_on_rewards(method: algorithms.Method) -> bool:
    """Whether a row's prompts end with a score; its policy is asked for the best."""
    return method.conditioning is not None


def judge_of(method: algorithms.Method) -> str | None:
    """The learned judge that a row's training needs; None where it needs none."""
    if method.annotation == "reward" or conditions_on_rewards(method):
        return "reward"
    return "preference" if method.annotation == "preference" else None


def kind(method: algorithms.Method) -> str:
    """What a row learns from, in words."""
    if method.num_data:
        authors = learns_from_authors(method)
        return "authors' summaries" if authors else "the data set's responses"
    read = {"preference": "compared", "reward": "scored"}
    return f"own responses, {read.get(method.annotation, 'not judged')}"


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Standardised:
    """A reward model on the scale on which the data set has mean 0 and deviation 1."""

    judge: Any
    mean: chex.Array
    deviation: chex.Array

    def score(self, key: Any, prompts: Prompts, responses: Responses) -> chex.Array:
        """Rewards `[B, N]`, in standard deviations."""
        found = self.judge.score(key, prompts, responses)
        return (found - self.mean) / self.deviation


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """Responses to the prompts that the judges were trained on.

    Attributes:
      sampled: four of the start policy's, with votes, and rewards where a reward model
        was given.
      authors: one of the function's author.
      judge: the reward model on the scale of the rewards; None where none was given.
      num_voters: reviewers who have voted on each pair.
    """

    sampled: Examples
    authors: Examples
    judge: Standardised | None = None
    num_voters: int = 1

    def of(self, method: algorithms.Method) -> Examples:
        """Returns all examples of a row."""
        if learns_from_authors(method):
            return self.authors
        return first(self.sampled, min(method.num_given, 4))


def batches(
    examples: Examples, *, batch_size: int, seed: int
) -> Callable[[int], Examples]:
    """Returns `batch(step)`, a pure function of the step.

    Where there are fewer examples than a batch has, they are repeated in it.
    """
    number = len(examples.prompts.ids)
    rows = np.resize(np.arange(number), max(number, batch_size, 2)).tolist()
    draw = data.batches(rows, batch_size=batch_size, seed=seed)
    return lambda step: algorithms.take(examples, np.asarray(draw(step)))


def load(
    loaded: task.Task,
    learned: Mapping[str, Any],
    settings: Judges,
    seed: int,
    folder: pathlib.Path,
) -> DataSet:
    """Returns the data set from the judges' folder.

    Args:
      loaded: the task.
      learned: the judges; without a reward model there are no rewards.
      settings: of the judges.
      seed: with which the judges were made.
      folder: where votes are, and rewards are kept.
    """
    rows = judges.voted_rows(loaded, settings, seed)
    prompts = loaded.batch("train", rows)
    length = loaded.decoding.max_length
    stored = judges.read_votes(folder / judges.VOTES, len(rows), length)
    responses = Responses(
        tokens=stored["tokens"], mask=stored["mask"], truncated=stored["truncated"]
    )
    rewards = judge = None
    if "reward" in learned:
        path = folder / "rewards.npz"
        if not path.exists():
            found = _scored(learned["reward"], prompts, responses)
            with training.replacing(path) as temporary:
                np.savez(temporary, rewards=found)
        shapes = {"rewards": responses.truncated.shape}
        again = "Delete it to have the responses scored again"
        rewards = training.read_arrays(path, again, shapes)["rewards"]
        mean, deviation = rewards.mean(), rewards.std()
        rewards = (rewards - mean) / deviation
        judge = Standardised(
            judge=jax.device_put(learned["reward"], jax.local_devices()[0]),
            mean=mean,
            deviation=deviation,
        )
    summaries = [[loaded.functions[index].pair.summary] for index in prompts.ids]
    return DataSet(
        sampled=Examples(
            prompts=prompts,
            responses=responses,
            preference=_one_vote_a_pair(stored["votes"]),
            rewards=rewards,
        ),
        authors=Examples(
            prompts=prompts,
            responses=data.encode_responses(loaded.tokenizer, summaries, length=length),
        ),
        judge=judge,
        num_voters=settings.num_voters,
    )


def first(examples: Examples, number: int) -> Examples:
    """Returns the examples with their first responses alone."""
    preference, rewards = examples.preference, examples.rewards
    return dataclasses.replace(
        examples,
        responses=jax.tree.map(lambda x: x[:, :number], examples.responses),
        preference=preference[:, :number, :number],
        rewards=None if rewards is None else rewards[:, :number],
    )


def _one_vote_a_pair(votes: np.ndarray) -> np.ndarray:
    """Shares `[R, N, N]` of the votes on row and column, in the order of the first."""
    above = np.triu(np.ones(votes.shape[-2:], bool), 1)
    turned = 1 - np.swapaxes(votes, -1, -2)
    return np.where(above, votes, np.where(above.T, turned, 0.5)).astype(votes.dtype)


def _scored(judge: Any, prompts: Prompts, responses: Responses) -> np.ndarray:
    """Rewards `[R, N]` of the responses, in log-odds."""
    score = jax.jit(lambda judge, prompts, y: judge.score(None, prompts, y))
    parts = []
    for rows in task.chunks(np.arange(len(prompts.ids))):
        part = jax.tree.map(lambda x, rows=rows: x[rows], (prompts, responses))
        parts.append(np.asarray(score(judge, *part)))
    return np.concatenate(parts)[: len(prompts.ids)]
