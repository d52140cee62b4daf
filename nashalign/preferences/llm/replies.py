"""Replies that are kept on the disk, by the content of what was asked.

Several runs may share a file. What was asked is kept as a hash, what came back as JSON.
"""

import dataclasses
import hashlib
import json
import pathlib
import threading
from typing import NamedTuple

from nashalign.preferences import answers
from nashalign.preferences.llm.reading import Reply

_TABLES = (
    "CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT)",
    "CREATE TABLE IF NOT EXISTS spent "
    "(account TEXT PRIMARY KEY, calls INTEGER, tokens INTEGER)",
)


class Request(NamedTuple):
    """A text that a model is shown, once.

    Attributes:
      text: a template, filled.
      draw: None where log-probabilities are asked for; else the number of the sample.
    """

    text: str
    draw: int | None = None


@dataclasses.dataclass(frozen=True)
class Spent:
    """What has been asked of a server: calls, and tokens that it has counted."""

    calls: int
    tokens: int


class Unkept:
    """Keeps no reply, of a model that is soon another one."""

    def find(self, request: Request) -> Reply | None:
        """Returns nothing."""
        del request

    def keep(self, request: Request, reply: Reply) -> Reply:
        """Returns the reply."""
        del request
        return reply


class Replies:
    """Replies by their requests, and what was spent on them."""

    def __init__(self, path: pathlib.Path, who: str, account: str = ""):
        """Opens the file, or makes it.

        Args:
          path: the file.
          who: replies: the model, and what else of the asking changes replies.
          account: whose spending is counted, such as a run's.

        Raises:
          ValueError: it is no such file, or damaged.
          OSError: it cannot be written.
        """
        # One thread asks while another reads; the lock is what the check would be for.
        self._rows = answers.open_rows(path, *_TABLES, check_same_thread=False)
        self._lock = threading.Lock()
        self._who, self._account = who, account
        with self._lock:
            self._rows.execute(
                "INSERT OR IGNORE INTO spent VALUES (?, 0, 0)", [account]
            )

    def find(self, request: Request) -> Reply | None:
        """Returns the reply to a request, if there is one."""
        with self._lock:
            found = self._rows.execute(
                "SELECT reply FROM replies WHERE request = ?", [self._hash(request)]
            ).fetchone()
        if found is None:
            return None
        text, top = json.loads(found[0])
        return Reply(text, None if top is None else tuple(map(tuple, top)))

    def keep(self, request: Request, reply: Reply) -> Reply:
        """Keeps a reply; returns the one that is kept.

        Another run may have been given one in the meantime: the first stays, for all.
        """
        with self._lock:
            self._rows.execute(
                "INSERT OR IGNORE INTO replies VALUES (?, ?)",
                [self._hash(request), json.dumps([reply.text, reply.top])],
            )
        return self.find(request) or reply

    def spend(self, *, calls: int = 0, tokens: int = 0) -> None:
        """Counts what the account has spent."""
        with self._lock:
            self._rows.execute(
                "UPDATE spent SET calls = calls + ?, tokens = tokens + ? "
                "WHERE account = ?",
                [calls, tokens, self._account],
            )

    def spent(self) -> Spent:
        """Returns what the account has spent, in all runs that resumed it."""
        with self._lock:
            found = self._rows.execute(
                "SELECT calls, tokens FROM spent WHERE account = ?", [self._account]
            ).fetchone()
        return Spent(*found)

    def close(self) -> None:
        """Closes the file."""
        self._rows.close()

    def _hash(self, request: Request) -> str:
        """What stands for a request."""
        text = json.dumps([self._who, *request])
        return hashlib.sha256(text.encode()).hexdigest()
