"""The data set of rows that learn from given responses, and what each row takes of it.

A row on pairs has two of a prompt's responses, with their labels; one on rewards has
their rewards, normalised over the data set (mean 0, standard deviation 1). A row that
takes one response, on trust, is given a demonstration.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import chex
import jax
import numpy as np

from nashalign import algorithms, data, preferences, training
from nashalign.alignment import asking, votes
from nashalign.alignment import task as tasks
from nashalign.types import Array, Examples, Prompts, Responses, pytree

_EXAMPLES = {"prompts": Prompts, "responses": Responses}
_ARRAYS = {
    "prompts.tokens": (None, None),
    "prompts.mask": (None, None),
    "prompts.ids": (None,),
    "responses.tokens": (None, None, None),
    "responses.mask": (None, None, None),
    "responses.truncated": (None, None),
}
_LABELS = {"preference": (None, None, None), "rewards": (None, None)}


def learns_from_demonstrations(method: algorithms.Method) -> bool:
    """Whether a row takes a data set's one response for good, whoever is asked."""
    trusted = method.num_data == 1 and method.annotation != "reward"
    return trusted and not conditions_on_rewards(method)


def conditions_on_rewards(method: algorithms.Method) -> bool:
    """Whether a row's prompts end with a score; its policy is asked for the best."""
    return method.conditioning is not None


def kind(method: algorithms.Method) -> str:
    """What a row learns from, in words."""
    if method.num_data:
        trusted = learns_from_demonstrations(method)
        return "demonstrations" if trusted else "the data set's responses"
    read = {"preference": "compared", "reward": "scored"}
    return f"own responses, {read.get(method.annotation, 'not judged')}"


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Standardised:
    """A reward model on the scale on which the data set has mean 0 and deviation 1."""

    judge: preferences.RewardAnnotator
    mean: Array
    deviation: Array

    @property
    def host(self) -> bool:
        """Whether the judge answers on the host."""
        return preferences.on_host(self.judge)

    def score(self, key: chex.PRNGKey, prompts: Prompts, responses: Responses) -> Array:
        """Rewards `[B, N]`, in standard deviations."""
        found = self.judge.score(key, prompts, responses)
        return (found - self.mean) / self.deviation


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """Responses that somebody has written, and what was said of them.

    Attributes:
      sampled: several responses to each prompt, with labels, and rewards where somebody
        has scored them; None where there are demonstrations alone.
      demonstrations: one response to each prompt, on trust; None where there are none.
      judge: the reward model on the scale of the rewards; None where none was given.
      dimensions: of preference, for rows that hear one after another.
    """

    sampled: Examples | None = None
    demonstrations: Examples | None = None
    judge: Standardised | None = None
    dimensions: Sequence[algorithms.Dimension] = ()

    def of(self, method: algorithms.Method) -> Examples:
        """Returns all examples of a row.

        Raises:
          ValueError: the data set has no such responses, or too few to each prompt.
        """
        if learns_from_demonstrations(method):
            if self.demonstrations is None:
                raise ValueError(
                    "the method learns from demonstrations, one response to each "
                    "prompt, and there are none"
                )
            return self.demonstrations
        number = method.num_given
        found = 0 if self.sampled is None else self.sampled.responses.tokens.shape[1]
        if self.sampled is None or found < number:
            raise ValueError(
                f"the method learns from {number} given responses to each prompt, and "
                f"the data set has {found}"
            )
        return algorithms.first(self.sampled, number)


def batches(
    examples: Examples, *, batch_size: int, seed: int
) -> Callable[[int], Examples]:
    """Returns `batch(step)`, a pure function of the step.

    Where there are fewer examples than a batch has, they are repeated in it.

    Args:
      examples: all of them.
      batch_size: of a step.
      seed: of the shuffles.
    """
    number = len(examples.prompts.ids)
    draw = _rows(number, batch_size, seed)
    return lambda step: algorithms.take(examples, draw(step))


def drawn(
    examples: Examples, steps: range, *, batch_size: int, seed: int
) -> np.ndarray:
    """Returns which examples the batches of some steps have, as indices.

    They are all of them where as many are drawn as there are, whatever is left over.

    Args:
      examples: all of them.
      steps: numbers of the steps.
      batch_size: of a step.
      seed: of the shuffles.
    """
    number = len(examples.prompts.ids)
    if len(steps) * batch_size >= number:
        return np.arange(number)
    draw = _rows(number, batch_size, seed)
    return np.concatenate([draw(step) for step in steps])


def _rows(number: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """`rows(step)`: which of so many examples the batch of a step has."""
    every = np.resize(np.arange(number), max(number, batch_size, 2)).tolist()
    draw = data.batches(every, batch_size=batch_size, seed=seed)
    return lambda step: np.asarray(draw(step))


def of_votes(
    voted: votes.Votes,
    judge: preferences.RewardAnnotator | None,
    folder: pathlib.Path,
    *,
    demonstrations: Examples | None = None,
    dimensions: Sequence[algorithms.Dimension] = (),
) -> DataSet:
    """Returns a data set of what was voted on.

    Args:
      voted: responses and votes.
      judge: scores the responses; None leaves them without rewards.
      folder: where rewards are kept.
      demonstrations: one response to each prompt, on trust.
      dimensions: of preference.
    """
    sampled = Examples(
        prompts=voted.prompts,
        responses=voted.responses,
        preference=in_one_order(voted.votes),
    )
    scaled = None
    if judge is not None:
        sampled, scaled = standardise(judge, sampled, folder / "rewards.npz")
    return DataSet(
        sampled=sampled,
        demonstrations=demonstrations,
        judge=scaled,
        dimensions=dimensions,
    )


def sample(
    task: tasks.Task,
    annotator: preferences.Annotator,
    num_prompts: int,
    num_responses: int,
    *,
    seed: int,
    folder: pathlib.Path,
) -> DataSet:
    """Returns a data set that the start policy writes and an annotator labels.

    Labels are its preferences as they are, and rewards where it gives some. Everything
    is kept in `folder`, and neither written nor asked for twice.

    Args:
      task: the start policy and the prompts.
      annotator: is asked about every two responses to a prompt.
      num_prompts: of the training split.
      num_responses: responses to each, at least two.
      seed: of the choice of prompts and of the draws.
      folder: where the examples are kept.
    """

    def make() -> Examples:
        rows = task.rows("train", num_prompts, seed + 1)
        written = task.write(
            task.start.params,
            "train",
            rows,
            tasks.stage_key(seed, 1),
            num_responses=num_responses,
            name="samples of the start policy",
        )
        found = Examples(prompts=written.prompts, responses=written.responses)
        if preferences.can_answer(annotator, "prefer"):
            preference = asking.compare_all(
                annotator, found.prompts, found.responses, name="the annotator compares"
            )
            found = dataclasses.replace(found, preference=preference.astype(np.float32))
        return found

    examples = keep(folder / "examples.npz", make)
    scaled = None
    if preferences.can_answer(annotator, "score"):
        examples, scaled = standardise(annotator, examples, folder / "rewards.npz")
    return DataSet(sampled=examples, judge=scaled)


def standardise(
    judge: preferences.RewardAnnotator, examples: Examples, path: pathlib.Path
) -> tuple[Examples, Standardised]:
    """Returns examples with their rewards, and the judge on the same scale.

    Args:
      judge: scores the responses.
      examples: what is scored.
      path: where the raw rewards are kept, and not asked for twice.
    """

    def score():
        return {"rewards": asking.score(judge, examples.prompts, examples.responses)}

    shapes = {"rewards": examples.responses.truncated.shape}
    again = "Delete it to have the responses scored again"
    rewards = training.keep_arrays(path, score, again, shapes)["rewards"]
    mean, deviation = rewards.mean(), rewards.std()
    scaled = dataclasses.replace(examples, rewards=(rewards - mean) / deviation)
    if not preferences.on_host(judge):
        judge = jax.device_put(judge, jax.local_devices()[0])
    return scaled, Standardised(judge=judge, mean=mean, deviation=deviation)


def in_one_order(votes: Array) -> np.ndarray:
    """Returns shares `[R, N, N]` of the votes, each pair's in the order of the first.

    Both orders of a pair may have been voted on; what counts is P(row beats column) for
    a row above the column, and its complement.
    """
    above = np.triu(np.ones(votes.shape[-2:], bool), 1)
    votes = np.asarray(votes)
    turned = 1 - np.swapaxes(votes, -1, -2)
    return np.where(above, votes, np.where(above.T, turned, 0.5)).astype(votes.dtype)


def keep(path: pathlib.Path, make: Callable[[], Examples]) -> Examples:
    """Returns examples from a file, made and written down first if there is none.

    Log-probabilities are of policies that the file says nothing of, and are not kept.
    """

    def named():
        made = dataclasses.replace(make(), frozen_log_probs={})
        leaves = jax.tree_util.tree_flatten_with_path(made)[0]
        return {jax.tree_util.keystr(key)[1:]: leaf for key, leaf in leaves}

    again = "Delete it to have the examples made again"
    stored = training.keep_arrays(path, named, again, _ARRAYS, _LABELS)
    own = {
        kind: {
            field.name: stored[f"{kind}.{field.name}"]
            for field in dataclasses.fields(value)
        }
        for kind, value in _EXAMPLES.items()
    }
    return Examples(
        prompts=Prompts(**own["prompts"]),
        responses=Responses(**own["responses"]),
        preference=stored.get("preference"),
        rewards=stored.get("rewards"),
    )
