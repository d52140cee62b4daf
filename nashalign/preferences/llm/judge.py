"""A language model as a judge of texts, wherever it runs.

It is asked in both orders of two responses, so that their places cancel (Guo and
others, 2024).
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from nashalign.preferences.llm import pace, reading
from nashalign.preferences.llm.replies import Request
from nashalign.preferences.llm.template import Template

# The texts of a question: prompt, response, and the other response of a comparison.
Question = tuple[str, ...]


class Backend(Protocol):
    """A model that is shown texts."""

    @property
    def replies(self) -> "Kept":
        """Where replies are kept."""
        ...

    @property
    def counts(self) -> pace.Counts:
        """What became of the questions."""
        ...

    def ask(self, requests: Sequence[Request]) -> Iterator[tuple[int, reading.Reply]]:
        """Yields `(place, reply)`, each kept before it is yielded."""
        ...


class Kept(Protocol):
    """Replies by their requests."""

    def find(self, request: Request) -> reading.Reply | None:
        """Returns the reply to a request, if there is one."""
        ...

    def keep(self, request: Request, reply: reading.Reply) -> reading.Reply:
        """Keeps a reply; returns the one that is kept."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Judge:
    """What judges of both kinds have.

    Attributes:
      template: how the model is asked.
      backend: the model.
      draws: how many answers are sampled where log-probabilities do not tell; None
        samples none.
      report: is given the counts after every batch of questions.
    """

    template: Template
    backend: Backend
    draws: int | None = None
    report: Callable[[pace.Counts], None] | None = None

    # `text_annotator` hands such an object lists, and hears of answers one by one.
    streamed = True

    def _shares(self, texts: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yields `(text, shares [A])` of the answers to texts, as they come."""
        try:
            yield from self._asked(texts)
        finally:
            if self.report is not None:
                self.report(self.backend.counts)

    def _asked(self, texts: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """`_shares`, without the report."""
        counts, answers = self.backend.counts, self.template.answers
        silent = []
        for request, reply in self._replies([Request(own) for own in texts]):
            values = reading.log_probs(reply, answers)
            if values is not None:
                counts.partly_listed += not reading.lists_all(reply, answers)
                yield request.text, reading.shares(values)
                continue
            counts.unlisted += reply.top is not None
            if self.draws:
                silent.append(request.text)
            else:
                counts.malformed += 1
                yield request.text, _tie(answers)
        drawn = [Request(text, n) for text in silent for n in range(self.draws or 0)]
        found: dict[str, list[np.ndarray]] = {text: [] for text in silent}
        for request, reply in self._replies(drawn):
            said = reading.verdict(reply, answers)
            counts.malformed += said is None
            found[request.text].append(_tie(answers) if said is None else said)
            if len(found[request.text]) == self.draws:
                yield request.text, np.mean(found[request.text], 0)

    def told(self, questions: Sequence[Question]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields `(place, shares)` of questions shown as they are, as answers come.

        Args:
          questions: as the template asks them: `(prompt, y, z)` or `(prompt, y)`.

        Returns:
          `[A]` probabilities of the template's answers, for each place.

        Raises:
          JudgeFailed: the model cannot be asked any more.
        """
        places: dict[str, list[int]] = {}
        for place, question in enumerate(questions):
            places.setdefault(self.template.fill(*question), []).append(place)
        for text, shares in self._shares(list(places)):
            for place in places[text]:
                yield place, shares

    def _replies(self, requests: Sequence[Request]):
        """Yields `(request, reply)`: kept ones first, then those that are asked for."""
        counts, new = self.backend.counts, []
        for request in dict.fromkeys(requests):
            counts.questions += 1
            reply = self.backend.replies.find(request)
            if reply is None:
                new.append(request)
            else:
                counts.cached += 1
                yield request, reply
        if new:
            for place, reply in self.backend.ask(new):
                yield new[place], reply


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmPreference(_Judge):
    """A model that compares two responses."""

    # Both orders are averaged here; who asks need not turn them again.
    antisymmetric = True

    def prefer(self, questions: Sequence[Question]) -> Iterator[tuple[int, float]]:
        """Yields `(place, P(y beats z))` of questions `(prompt, y, z)`, as they come.

        A reply that is no answer counts as a tie.

        Raises:
          JudgeFailed: the model cannot be asked any more.
        """
        asked = [
            (self.template.fill(prompt, y, z), self.template.fill(prompt, z, y))
            for prompt, y, z in questions
        ]
        places: dict[str, list[int]] = {}
        for place, orders in enumerate(asked):
            for text in orders:
                places.setdefault(text, []).append(place)
        found: dict[str, np.ndarray] = {}
        for text, shares in self._shares(list(places)):
            found[text] = shares
            for place in dict.fromkeys(places[text]):
                first, second = asked[place]
                if first in found and second in found:
                    yield place, reading.both_orders(found[first], found[second])


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmOneOrder(_Judge):
    """A model that compares two responses in the order in which they are given.

    For audits: what its place does for a response is in the answer.
    """

    def prefer(self, questions: Sequence[Question]) -> Iterator[tuple[int, float]]:
        """Yields `(place, P(y is better))` of `(prompt, y, z)`, y shown first.

        Raises:
          JudgeFailed: the model cannot be asked any more.
        """
        for place, shares in self.told(questions):
            yield place, float(shares[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlmReward(_Judge):
    """A model that rates a response: the mean of the values of its answers."""

    def score(self, questions: Sequence[Question]) -> Iterator[tuple[int, float]]:
        """Yields `(place, reward)` of questions `(prompt, y)`, as they come.

        A reply that is no answer counts as if all answers were equally probable.

        Raises:
          JudgeFailed: the model cannot be asked any more.
        """
        values = np.array(self.template.values)
        for place, shares in self.told(questions):
            yield place, float(shares @ values)


def llm_judge(
    template: Template,
    backend: Backend,
    *,
    draws: int | None = None,
    report: Callable[[pace.Counts], None] | None = None,
) -> LlmPreference | LlmReward:
    """Returns a language model as a judge, for `text_annotator`.

    Args:
      template: how it is asked: a comparison is a preference, another one a reward.
      backend: the model: a server's, or a local one.
      draws: how many answers are sampled where log-probabilities do not tell; None
        samples none.
      report: is given the counts after every batch of questions.
    """
    kind = LlmPreference if template.compares else LlmReward
    return kind(template=template, backend=backend, draws=draws, report=report)


def _tie(answers: Sequence[str]) -> np.ndarray:
    """Equal shares of all answers."""
    return np.full(len(answers), 1 / len(answers))
