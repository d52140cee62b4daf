"""A policy as a judge: the next token's log-probabilities behind a question.

Questions are read in batches of one size, each padded to one of a few lengths, so that
a few programs serve them all, and what a question is told does not depend on those that
are read beside it.
"""

import abc
import dataclasses
import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import compiling, data, policies
from nashalign.preferences.llm import pace
from nashalign.preferences.llm.judge import Kept
from nashalign.preferences.llm.reading import Reply
from nashalign.preferences.llm.replies import Request
from nashalign.types import Prompts

_SHORTEST = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Local(abc.ABC):
    """What is asked where it stands.

    Attributes:
      tokenizer: of its folder; with a chat template a question is a user's message.
      answers: what may be answered.
      replies: where they are kept.
      batch_size: questions that are read at once.
      counts: what becomes of the questions.
    """

    tokenizer: data.Tokenizer
    answers: tuple[str, ...]
    replies: Kept
    batch_size: int = 8
    counts: pace.Counts = dataclasses.field(default_factory=pace.Counts)

    @property
    @abc.abstractmethod
    def context(self) -> int:
        """Most tokens of a question, and one for the answer."""

    @abc.abstractmethod
    def _told(self, prompts: Prompts) -> jax.Array:
        """Log-probabilities `[B, A]` of the answers behind some prompts."""

    def ask(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Yields `(place, reply)` of each request, the shortest first.

        Raises:
          ValueError: a question is longer than the context of the model.
        """
        tokens = self._encode([request.text for request in requests])
        waiting: dict[int, list[int]] = {}
        for place in sorted(range(len(tokens)), key=lambda own: len(tokens[own])):
            length = bucket(len(tokens[place]), self.context)
            waiting.setdefault(length, []).append(place)
        for length, places in waiting.items():
            for begin in range(0, len(places), self.batch_size):
                own = places[begin : begin + self.batch_size]
                # A batch that is not full repeats its last question.
                rows = [tokens[i] for i in own]
                rows += rows[-1:] * (self.batch_size - len(own))
                found = self._read(rows, length)
                self.counts.calls += 1
                for place, values in zip(own, found, strict=False):
                    top = zip(self.answers, map(float, values), strict=True)
                    reply = Reply("", tuple(top))
                    yield place, self.replies.keep(requests[place], reply)

    @property
    def room(self) -> int:
        """Most tokens of a question."""
        return self.context - 1

    def questions(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the tokens of questions up to where answers begin, of any length."""
        whole = 2**31 - 1
        if self.tokenizer.chat is not None:
            talks = [[{"role": "user", "content": own}] for own in texts]
            return data.chat_ids(self.tokenizer, talks, length=whole).tokens
        return data.prompt_ids(self.tokenizer, texts, length=whole).tokens

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each question, none of which is too long."""
        found = self.questions(texts)
        for own in found:
            if len(own) > self.room:
                raise ValueError(
                    f"the judge is asked a question of {len(own)} tokens, and reads "
                    f"{self.room}: give prompts and responses that are shorter, or a "
                    "judge with a longer context"
                )
        return found

    def _read(self, rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
        """Log-probabilities `[B, A]` of the answers behind some token strings."""
        prompts = data.pad_prompts(
            rows, range(len(rows)), length=length, pad_id=self.tokenizer.pad_id
        )
        return np.asarray(self._told(prompts))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalModel(Local):
    """A policy that is asked; each answer is a token of its own.

    Attributes:
      start: the policy and its parameters.
    """

    start: policies.Pretrained

    @property
    def context(self) -> int:
        """Most tokens of a question, and one for the answer."""
        return self.start.policy.context

    def __post_init__(self):
        """Requires answers that are tokens."""
        self._answer_ids  # noqa: B018 - raises where there are none

    def _told(self, prompts: Prompts) -> jax.Array:
        """Log-probabilities `[B, A]` of the answers behind some prompts."""
        ids = self._answer_ids
        width = max(map(len, ids))
        # Answers with fewer tokens repeat one that counts nothing.
        table = np.array([[*own, *own[:1] * (width - len(own))] for own in ids])
        counts = np.arange(width) < np.array([[len(own)] for own in ids])
        read = _compiled(self.start.policy)
        return read(self.start.params, prompts, table, counts)

    @functools.cached_property
    def _answer_ids(self) -> list[list[int]]:
        """The tokens that spell each answer, white space around it apart."""
        backend = self.tokenizer.backend
        texts = backend.decode_batch(
            [[i] for i in range(self.tokenizer.size)], skip_special_tokens=True
        )
        found = [
            [i for i, text in enumerate(texts) if text.strip() == own]
            for own in self.answers
        ]
        for own, ids in zip(self.answers, found, strict=True):
            if not ids:
                raise ValueError(
                    f"no token of the judge's tokenizer spells the answer {own!r}; "
                    "give a template whose answers are single tokens, such as 1 and 2"
                )
        return found


def bucket(length: int, context: int) -> int:
    """Returns to how many tokens a question of some length is padded.

    Args:
      length: of the question.
      context: of the model, which has one place for the answer.
    """
    size = _SHORTEST
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return min(size, context - 1)


@functools.lru_cache(4)
def _compiled(policy: policies.Policy):
    """The program: `(params, prompts, table [A, W], counts [A, W]) -> [B, A]`."""

    @functools.partial(jax.jit, compiler_options=compiling.compiler_options())
    def read(params, prompts: Prompts, table, counts):
        cache, first = policy.prefill(params, prompts, room=1)
        mask = jnp.ones((len(first), 1), bool)
        logits, _ = policy.decode(params, first[:, None], mask, cache)
        log_probs = jax.nn.log_softmax(logits[:, 0])
        found = jnp.where(counts[None], log_probs[:, table], -jnp.inf)
        return jax.nn.logsumexp(found, -1)

    return read
