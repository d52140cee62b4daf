"""Answers that are kept on the disk, by the content of their questions."""

import hashlib
import json
import pathlib
import sqlite3
from typing import Protocol

_TABLE = "CREATE TABLE IF NOT EXISTS answers (question TEXT PRIMARY KEY, answer REAL)"


def open_rows(path: pathlib.Path, *tables: str, **options: bool) -> sqlite3.Connection:
    """Opens a file of tables, or makes it.

    Args:
      path: the file.
      *tables: what makes each, where it is not there.
      **options: of `sqlite3.connect`.

    Raises:
      ValueError: it is no such file, or damaged.
      OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        rows = sqlite3.connect(path, isolation_level=None, **options)
        rows.execute("PRAGMA journal_mode=WAL")
        # Answers outlive the process; only a power cut may lose the last ones.
        rows.execute("PRAGMA synchronous=NORMAL")
        for table in tables:
            rows.execute(table)
    except sqlite3.OperationalError as error:
        raise OSError(None, f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{path} is no file of answers ({error}); delete it to have them asked "
            "for again"
        ) from error
    return rows


class Answers:
    """Answers by their questions; they outlive the process.

    Every answer is in the file when it is set. Questions are kept as hashes; `who` is
    hashed with them, so that two annotators, or two versions of one, may share a file.
    """

    def __init__(self, path: pathlib.Path, who: str):
        """Opens the file, or makes it.

        Args:
          path: the file.
          who: answers: whatever tells the annotator from others.

        Raises:
          ValueError: it is no such file, or damaged.
          OSError: it cannot be written.
        """
        self._who = who
        self._rows = open_rows(path, _TABLE)

    def __contains__(self, question: tuple[str, ...]) -> bool:
        """Returns whether there is an answer to a question."""
        return self._find(question) is not None

    def __getitem__(self, question: tuple[str, ...]) -> float:
        """Returns the answer to a question."""
        found = self._find(question)
        if found is None:
            raise KeyError(question)
        return found

    def __setitem__(self, question: tuple[str, ...], answer: float) -> None:
        """Keeps the answer to a question."""
        self._rows.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?)",
            [self._hash(question), answer],
        )

    def close(self) -> None:
        """Closes the file."""
        self._rows.close()

    def _find(self, question: tuple[str, ...]) -> float | None:
        """The answer to a question, if there is one."""
        found = self._rows.execute(
            "SELECT answer FROM answers WHERE question = ?", [self._hash(question)]
        ).fetchone()
        return None if found is None else found[0]

    def _hash(self, question: tuple[str, ...]) -> str:
        """What stands for a question."""
        text = json.dumps([self._who, *question])
        return hashlib.sha256(text.encode()).hexdigest()


class Store(Protocol):
    """Where answers are kept, by their questions: a dictionary, or `Answers`."""

    def __contains__(self, question: tuple[str, ...], /) -> bool:
        """Returns whether there is an answer to a question."""
        ...

    def __getitem__(self, question: tuple[str, ...], /) -> float:
        """Returns the answer to a question."""
        ...

    def __setitem__(self, question: tuple[str, ...], answer: float, /) -> None:
        """Keeps the answer to a question."""
        ...
