"""Pair-ranking models as judges, and the model of a folder, whichever it is.

A model with a score in the place of logits ranks pairs: the score behind a question,
which shows the prompt and both responses, is the log-odds that the first is better.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import compiling, data, policies
from nashalign.preferences.folders import load_judge
from nashalign.preferences.llm.judge import Kept
from nashalign.preferences.llm.local import Local, LocalModel
from nashalign.preferences.llm.template import Template
from nashalign.preferences.models import RewardModel
from nashalign.types import Prompts, Responses


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalRanker(Local):
    """A model with a score, of which a question's is the log-odds of its first answer.

    Such are pair-ranking models that read a prompt and two responses as one text; the
    answers are names alone.

    Attributes:
      model: the language model and its head.
    """

    model: RewardModel

    @property
    def context(self) -> int:
        """Most tokens of a question, and one."""
        return self.model.policy.context

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each question, without padding at its end.

        Hugging Face's models do not see it there, be it their end token as well.
        """
        found = super()._encode(texts)
        for own in found:
            while len(own) > 1 and own[-1] == self.model.pad_id:
                own.pop()
        return found

    def _told(self, prompts: Prompts) -> jax.Array:
        """Log-probabilities `[B, 2]` of the answers behind some prompts."""
        return _ranked(self.model, prompts)


def load_local(
    folder: pathlib.Path,
    template: Template,
    replies: Kept,
    *,
    batch_size: int = 8,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> LocalModel | LocalRanker:
    """Returns the model of a folder, to be asked by a template.

    Args:
      folder: Hugging Face's: of a language model, or of one with a score for its head,
        `...ForSequenceClassification` with one label, to be asked by comparisons.
      template: how it is asked.
      replies: where they are kept.
      batch_size: questions that are read at once.
      dtype: of a language model's parameters.

    Raises:
      ValueError: the folder is of neither, or does not go with the template; names it.
      OSError: a file cannot be read.
    """
    tokenizer = data.load_tokenizer(folder)
    options: dict[str, Any] = {"tokenizer": tokenizer, "answers": template.answers}
    options |= {"replies": replies, "batch_size": batch_size}
    if policies.is_scorer(folder):
        model = load_judge(folder, folder)
        if not isinstance(model, RewardModel):
            raise ValueError(
                f"{folder} holds a judge of train-judge, which reads prompt and "
                "responses without a template: give the folder as --annotator."
            )
        if not template.compares:
            raise ValueError(
                f"{folder} holds a model with a score, and the template "
                f"{template.name} shows one response: give the folder as --annotator, "
                "or a template with {first} and {second}."
            )
        return LocalRanker(model=model, **options)
    start = policies.load_pretrained(folder, dtype=dtype)
    policies.check_vocabulary(tokenizer.size, start.config)
    try:
        return LocalModel(start=start, **options)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


@functools.partial(jax.jit, compiler_options=compiling.compiler_options())
def _ranked(model: RewardModel, prompts: Prompts) -> jax.Array:
    """Log-probabilities `[B, 2]` that the first of two is better, and the second."""
    # Of a response without a token the score is that of the prompt's end.
    none = jnp.zeros((len(prompts.tokens), 1, 1), jnp.int32)
    empty = Responses(tokens=none, mask=none > 0, truncated=none[..., 0] > 0)
    logit = model.score(jax.random.key(0), prompts, empty)
    return jax.nn.log_sigmoid(jnp.concatenate([logit, -logit], -1))
