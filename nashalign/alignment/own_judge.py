"""A policy that is asked, in its own texts, about the responses that it has written."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from nashalign import policies, preferences
from nashalign.alignment import task as tasks
from nashalign.types import Array, Prompts, Responses

# Where texts are joined they may be a few other tokens than apart.
_SEAMS = 8


def require(who: str, task: tasks.Task, question: preferences.llm.Template) -> None:
    """Requires a policy that can be asked a question, of whatever prompt and response.

    Args:
      who: asks, to begin the message with.
      task: the policy and its prompts.
      question: is filled with a prompt and a response.

    Raises:
      ValueError: an answer is no token of the policy's, or the question does not fit
        its context.
    """
    asks = f"{who} asks the policy in {task.folder} itself"
    try:
        model = _model(task, task.start)(question.answers)
    except ValueError as error:
        raise ValueError(f"{asks}: {error}") from error
    [alone] = model.questions([question.fill("", "")])
    prompt, response = task.prompt_length, task.decoding.max_length
    if len(alone) + prompt + response + _SEAMS > model.room:
        raise ValueError(
            f"{asks}: the {len(alone)} tokens of the question {question.name!r}, a "
            f"prompt of {prompt} and a response of {response} exceed the "
            f"{task.start.policy.context} of the context; lower --text.prompt-length "
            "or --text.response-length, or give a policy with a longer context."
        )


def answering(
    task: tasks.Task, policy: policies.Policy, params: policies.Params
) -> Callable[[preferences.llm.Template, Prompts, Responses], np.ndarray]:
    """Returns what a policy answers to questions about responses.

    That is `(question, prompts, responses [B, N, T]) -> [B, N, A]`, the probabilities
    of the question's answers: those of the next token, made to sum to one.

    Args:
      task: whose texts are read; a prompt is shown as people read it, and one that was
        too long as the policy did.
      policy: the model family.
      params: of the policy.
    """
    start = dataclasses.replace(task.start, policy=policy, params=params)
    make = functools.cache(_model(task, start))

    def answer(question, prompts, responses):
        judge = preferences.llm.llm_judge(question, make(question.answers))
        asked = [
            (prompt, _cut(task, text, task.decoding.max_length))
            for prompt, texts in zip(
                _prompts(task, prompts), task.texts(responses), strict=True
            )
            for text in texts
        ]
        shares = np.empty((len(asked), len(question.answers)))
        for place, found in judge.told(asked):
            shares[place] = found
        return shares.reshape(*responses.truncated.shape, -1)

    return answer


def _model(task, start) -> Callable[[tuple[str, ...]], preferences.llm.LocalModel]:
    """What makes the policy a model that is asked for certain answers."""
    return lambda answers: preferences.llm.LocalModel(
        start=start,
        tokenizer=task.tokenizer,
        answers=answers,
        replies=preferences.llm.Unkept(),
        batch_size=16,
    )


def _prompts(task: tasks.Task, prompts: Prompts) -> list[str]:
    """The prompts' texts, none of more tokens than prompts have."""
    shown = [next(iter(task.show(int(own)).values())) for own in prompts.ids]
    lengths, most = map(len, task.tokenizer.encode(shown)), task.prompt_length
    rows = zip(np.asarray(prompts.tokens), np.asarray(prompts.mask), strict=True)
    return [
        text if length <= most else _cut(task, _read(task, *row), most)
        for text, length, row in zip(shown, lengths, rows, strict=True)
    ]


def _read(task: tasks.Task, tokens: Array, mask: Array) -> str:
    """What the policy has read of a prompt; end tokens in it do not end it."""
    return task.tokenizer.backend.decode(tokens[mask].tolist())


def _cut(task: tasks.Task, text: str, length: int) -> str:
    """A text of no more tokens than it had, where its letters are other tokens now."""
    return task.tokenizer.beginning(text, length)
