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

import jax
import numpy as np

from experiments.summarise import judges, task
from experiments.summarise.config import Judges
from nashalign import algorithms, data, training
from nashalign.types import Examples, Prompts, Responses


def learns_from_authors(method: algorithms.Method) -> bool:
    """Whether a row takes a data set's one response for good, whoever is asked."""
    trusted = method.num_data == 1 and method.annotation != "reward"
    return trusted and not conditions_on_rewards(method)


def conditions_on_rewards(method: algorithms.Method) -> bool:
    """Whether a row's prompts end with a score; its policy is asked for the best."""
    return "lowest" in method.settings


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """Responses to the prompts that the judges were trained on.

    Attributes:
      sampled: four of the start policy's, with votes, and rewards where a reward model
        was given.
      authors: one of the function's author.
    """

    sampled: Examples
    authors: Examples

    def batches(
        self, method: algorithms.Method, *, batch_size: int, seed: int
    ) -> Callable[[int], Examples]:
        """Returns `batch(step)`, a pure function of the step, for a row."""
        if learns_from_authors(method):
            chosen = self.authors
        else:
            # A row that changes its prompts makes more of one response, or of a pair.
            changed = method.prompts is not algorithms.Method.prompts
            chosen = _first(self.sampled, min(method.num_data, 2 if changed else 4))
        number = len(chosen.prompts.ids)
        draw = data.batches(range(number), batch_size=batch_size, seed=seed)

        def batch(step: int) -> Examples:
            """Returns the examples of a step."""
            rows = np.asarray(draw(step))
            return jax.tree.map(lambda x: x[rows], chosen)

        return batch


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
    with np.load(folder / judges.VOTES) as stored:
        responses = Responses(
            tokens=stored["tokens"], mask=stored["mask"], truncated=stored["truncated"]
        )
        votes = stored["votes"]
    rewards = None
    if "reward" in learned:
        path = folder / "rewards.npz"
        if not path.exists():
            found = _scored(learned["reward"], prompts, responses)
            with training.replacing(path) as temporary:
                np.savez(temporary, rewards=found)
        with np.load(path) as stored:
            rewards = stored["rewards"]
        rewards = (rewards - rewards.mean()) / rewards.std()
    summaries = [[loaded.pairs[index].summary] for index in prompts.ids]
    length = loaded.decoding.max_length
    return DataSet(
        sampled=Examples(
            prompts=prompts,
            responses=responses,
            preference=_one_vote_a_pair(votes),
            rewards=rewards,
        ),
        authors=Examples(
            prompts=prompts,
            responses=data.encode_responses(loaded.tokenizer, summaries, length=length),
        ),
    )


def _first(examples: Examples, number: int) -> Examples:
    """The examples with their first responses alone."""
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
