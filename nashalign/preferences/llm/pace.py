"""How a server is asked: how often again, after how long, and how much in all."""

import dataclasses
import email.utils
import hashlib
import time


class JudgeFailed(Exception):
    """A judge cannot go on; the message says why, and what is kept.

    Nothing that had arrived is lost: who resumes asks for the rest alone.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is given.

    Attributes:
      attempts: how often a question is sent at most.
      timeout: seconds after which a request is given up.
      first_wait: seconds before the second attempt; twice as many before each next.
      longest_wait: seconds; where the server itself asks for more, it is left alone.
    """

    attempts: int = 8
    timeout: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 120.0

    def wait(self, text: str, attempt: int) -> float:
        """Returns the seconds before the next attempt.

        They are drawn from the upper half of a range that doubles, by a hash, so that
        questions that failed together do not come again together.

        Args:
          text: of the question.
          attempt: how often it has been sent, from 1.
        """
        digest = hashlib.sha256(f"{attempt} {text}".encode("utf-8", "replace")).digest()
        share = int.from_bytes(digest[:4], "big") / 2**32
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return longest * (0.5 + 0.5 * share)


def asked_wait(header: str | None, now: float | None = None) -> float:
    """Returns the seconds that a header Retry-After asks for; 0 where it is none.

    Args:
      header: seconds, or a date (RFC 9110, 10.2.3).
      now: seconds since 1970; the clock's by default.
    """
    if not header:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        date = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run may spend; None is no limit.

    Attributes:
      calls: requests, all attempts counted.
      tokens: of questions and replies, as the server counts them. Requests that are
        under way when they are spent are let end, and are counted.
    """

    calls: int | None = None
    tokens: int | None = None

    def spent(self, calls: int, tokens: int) -> str | None:
        """Returns what is spent, in words; None while there is some left."""
        if self.calls is not None and calls >= self.calls:
            return f"the budget of {self.calls} calls is spent"
        if self.tokens is not None and tokens >= self.tokens:
            return f"the budget of {self.tokens} tokens is spent ({tokens})"
        return None


@dataclasses.dataclass(kw_only=True)
class Counts:
    """What became of the questions of this process.

    Attributes:
      questions: requests whose reply was needed, each counted once.
      cached: those of them whose reply was kept from before.
      calls: requests sent, all attempts counted.
      tokens: that the server has counted.
      retries: attempts behind the first.
      without_log_probs: replies without log-probabilities.
      partly_listed: replies among whose most probable tokens was not every answer;
        those that were not are taken to be as probable as they can be.
      unlisted: replies among whose most probable tokens was no answer.
      malformed: replies that are no answer, and were taken for a tie.
    """

    questions: int = 0
    cached: int = 0
    calls: int = 0
    tokens: int = 0
    retries: int = 0
    without_log_probs: int = 0
    partly_listed: int = 0
    unlisted: int = 0
    malformed: int = 0

    def __str__(self) -> str:
        """Returns them as a sentence's part."""
        own = dataclasses.asdict(self).items()
        return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in own)
