"""Annotators that are functions of text: `prefer(prompt, y, z)` or `score(prompt, y)`.

They answer on the host, one question at a time, several at once, or in batches, as they
allow. Equal questions are asked once, and every answer is kept the moment it arrives:
one that was paid for is not paid for twice.
"""

import concurrent.futures
import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import chex
import numpy as np
from scipy.special import expit

from nashalign import checks, data
from nashalign.preferences import annotators
from nashalign.preferences.answers import Store
from nashalign.types import Array, Prompts, Responses

# The texts of a question: prompt, response, and the other response of a comparison.
Question = tuple[str, ...]

# `(numbers, who) -> numbers`, or an error that says who has given none.
Check = Callable[[Array, str], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """A function of text, and how it may be called.

    Attributes:
      function: `(prompt, y, z) -> float` or `(prompt, y) -> float`; one that takes
        batches is given lists of texts, and returns as many numbers.
      batched: whether it takes batches.
      workers: how many calls may be under way at once, in threads.
      streamed: whether it is given all questions, as tuples of texts, and yields
        `(place, answer)` as answers come.
      antisymmetric: whether P(z beats y) is always what P(y beats z) leaves to 1, so
        that whoever wants both orders need not ask in both.
    """

    function: Callable[..., Any]
    batched: bool = False
    workers: int = 1
    streamed: bool = False
    antisymmetric: bool = False

    def __call__(self, questions: Sequence[Question]):
        """Yields `(place, answer)` for each question, in whatever order they come."""
        if self.streamed:
            yield from self.function(questions)
        elif self.batched:
            answers = self.function(*map(list, zip(*questions, strict=True)))
            if np.shape(answers) != (len(questions),):
                raise ValueError(
                    f"{_name(self.function)} was asked {len(questions)} questions at "
                    f"once and has given answers of shape {list(np.shape(answers))}"
                )
            yield from enumerate(answers)
        elif self.workers == 1:
            for place, question in enumerate(questions):
                yield place, self.function(*question)
        else:
            yield from self._at_once(questions)

    def _at_once(self, questions):
        """The answers of several calls under way at once."""
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            waiting = {
                pool.submit(self.function, *question): place
                for place, question in enumerate(questions)
            }
            try:
                for done in concurrent.futures.as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                # After an error, what has not begun is not asked.
                pool.shutdown(cancel_futures=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Text:
    """What both kinds of annotators of text have.

    Attributes:
      ask: the function.
      tokenizer: whatever has `decode(ids) -> str`, which stops at the end of sequence;
        None where nobody asks about tokens.
      prompts: text of the prompt of every example; `Prompts.ids` index into it.
      answers: where answers are kept, by their questions.
    """

    ask: Ask
    tokenizer: data.Decodes | None
    prompts: Sequence[str]
    answers: Store = dataclasses.field(default_factory=dict)

    @property
    def host(self) -> bool:
        """Whether it answers on the host: true, as it reads text."""
        return True

    def _texts(self, prompts: Prompts, *responses: Responses) -> list[Question]:
        """The questions about responses `[B, N, T]`, row by row."""
        found = []
        ids = np.asarray(prompts.ids)
        tokenizer = checks.present(self.tokenizer, "tokenizer")
        decoded = [data.decode_responses(tokenizer, own) for own in responses]
        for row, index in enumerate(ids):
            if not 0 <= index < len(self.prompts):
                raise ValueError(
                    f"an annotator of text: there is no prompt {index}; there are "
                    f"{len(self.prompts)}, and ids index into them"
                )
            for column in range(len(decoded[0][row])):
                texts = (own[row][column] for own in decoded)
                found.append((self.prompts[index], *texts))
        return found

    def _answered(self, questions: list[Question], check: Check) -> np.ndarray:
        """Answers to all questions, of which those that are not known are asked."""
        new = [own for own in dict.fromkeys(questions) if own not in self.answers]
        if new:
            for place, answer in self.ask(new):
                self.answers[new[place]] = self._number(answer, new[place], check)
        return np.array([self.answers[question] for question in questions], np.float64)

    def _number(self, answer: Any, question: Question, check: Check) -> float:
        """An answer as a number, or why it is none."""
        who = _name(self.ask.function)
        told = f"{who} about the prompt {question[0]!r:.60}"
        if np.ndim(answer):
            raise ValueError(f"{told}: one number was asked for, not {answer!r:.60}")
        if answer is None or isinstance(answer, str):
            raise ValueError(f"{told}: a number was asked for, not {answer!r:.60}")
        return float(check(np.asarray(answer), told))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPreference(_Text):
    """A preference between texts: `ask(prompt, y, z)` is P(y beats z), in [0, 1]."""

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> np.ndarray:
        """Returns P(y beats z), `[B, M]`; equal texts are a tie, and not asked about.

        Args:
          key: not used.
          prompts: `B` prompts, of which only the ids are read.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Raises:
          ValueError: an answer is no probability, or an id has no prompt.
        """
        del key
        return self.compare(self._texts(prompts, y, z)).reshape(y.tokens.shape[:2])

    def compare(self, questions: Sequence[Question]) -> np.ndarray:
        """Returns P(y beats z), `[n]`, of `(prompt, y, z)`, as `prefer` does.

        Raises:
          ValueError: an answer is no probability.
        """
        asked = [own for own in questions if own[1] != own[2]]
        found = iter(self._answered(asked, annotators.check_preferred))
        said = [0.5 if own[1] == own[2] else next(found) for own in questions]
        return np.array(said, np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextReward(_Text):
    """A reward of texts: `ask(prompt, y)`, comparable among responses to a prompt.

    Where a preference is asked for, differences of rewards are log-odds (Bradley and
    Terry 1952).
    """

    def score(
        self, key: chex.PRNGKey, prompts: Prompts, responses: Responses
    ) -> np.ndarray:
        """Returns rewards `[B, N]`.

        Args:
          key: not used.
          prompts: `B` prompts, of which only the ids are read.
          responses: `[B, N, T]`.

        Raises:
          ValueError: an answer is not finite, or an id has no prompt.
        """
        del key
        questions = self._texts(prompts, responses)
        found = self._answered(questions, annotators.check_rewards)
        return found.reshape(responses.tokens.shape[:2])

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> np.ndarray:
        """Returns P(y beats z) = sigmoid(score(y) - score(z)), `[B, M]`.

        Args:
          key: not used.
          prompts: `B` prompts, of which only the ids are read.
          y: `[B, M, T]`.
          z: `[B, M, T]`.
        """
        return expit(self.score(key, prompts, y) - self.score(key, prompts, z))

    def compare(self, questions: Sequence[Question]) -> np.ndarray:
        """Returns P(y beats z), `[n]`, of `(prompt, y, z)`, as `prefer` does.

        Raises:
          ValueError: an answer is not finite.
        """
        sides = ([(own[0], own[place]) for own in questions] for place in (1, 2))
        y, z = (self._answered(own, annotators.check_rewards) for own in sides)
        return expit(y - z)


def text_annotator(
    function: Any,
    tokenizer: data.Decodes | None,
    prompts: Sequence[str],
    answers: Store | None = None,
) -> TextPreference | TextReward:
    """Returns a user's function of text as an annotator.

    A function of three texts is a preference, one of two a reward. So is an object with
    a method `prefer` or `score`. An attribute `batched` of either says that it takes
    lists of texts, `workers` how many calls it allows at once, `streamed` that it
    takes a list of questions and yields `(place, answer)` as answers come, and
    `antisymmetric` that the order of two responses is nothing to it.

    Args:
      function: the function or the object.
      tokenizer: has `decode(ids) -> str`; None where only texts are asked about.
      prompts: text of every prompt, by example id.
      answers: where answers are kept; for this run alone by default.

    Raises:
      ValueError: it is neither.
    """
    kinds = {"prefer": TextPreference, "score": TextReward}
    for name, kind in kinds.items():
        if callable(getattr(function, name, None)):
            own, found = getattr(function, name), kind
            break
    else:
        own, found = function, _kind(function)
    ask = Ask(
        function=own,
        batched=bool(_said(function, own, "batched", False)),
        workers=int(_said(function, own, "workers", 1)),
        streamed=bool(_said(function, own, "streamed", False)),
        antisymmetric=found is TextReward
        or bool(_said(function, own, "antisymmetric", False)),
    )
    if ask.workers < 1:
        raise ValueError(f"{_name(own)}.workers is {ask.workers}; it must be 1 or more")
    kept = {} if answers is None else answers
    return found(ask=ask, tokenizer=tokenizer, prompts=prompts, answers=kept)


def _kind(function: Any) -> type[TextPreference] | type[TextReward]:
    """What a function is, by the number of texts that it takes."""
    number = None
    if callable(function):
        parameters = inspect.signature(function).parameters.values()
        number = sum(own.default is inspect.Parameter.empty for own in parameters)
    if number not in (2, 3):
        raise ValueError(
            f"{_name(function)} is no annotator: give a function prefer(prompt, y, z) "
            "or score(prompt, y), or an object with a method of such a name"
        )
    return TextPreference if number == 3 else TextReward


def _said(function: Any, own: Any, name: str, otherwise: Any) -> Any:
    """What an annotator says of itself, on the function or on its object."""
    return getattr(own, name, getattr(function, name, otherwise))


def _name(function: Any) -> str:
    """What a message calls an annotator."""
    return getattr(function, "__qualname__", type(function).__name__)
