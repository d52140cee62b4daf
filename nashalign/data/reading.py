"""Files of prompts and comparisons, read: records, and what there is to say of them.

JSON lines, or one JSON list, either of them compressed by gzip or not; or array records
that were made of them.
"""

import collections
import dataclasses
import functools
import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from nashalign import json_file
from nashalign.data import datasets, formats
from nashalign.data.records import Record

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


class Malformed(ValueError):
    """A line that is not of its format: which file, which line, and which field."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """The records of a file or folder, and what was met in reading them.

    Attributes:
      records: in the order of the files.
      malformed: of each line that was skipped, where it is and what is wrong with it.
    """

    records: list[Record]
    malformed: tuple[str, ...] = ()

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """What is worth knowing of the records, and how many of them it is true of."""
        answers = [(own.chosen, own.rejected) for own in self.records]
        texts = [text for pair in answers for text in pair if text is not None]
        known = collections.Counter(map(_content, self.records))
        return {
            "malformed and skipped": len(self.malformed),
            "of a prompt and responses that came before": (
                len(self.records) - len(known)
            ),
            "empty responses": sum(not text.strip() for text in texts),
            "without a response": sum(chosen is None for chosen, _ in answers),
            "of two equal responses": sum(
                chosen is not None and chosen == rejected
                for chosen, rejected in answers
            ),
        }

    def __str__(self) -> str:
        """What was read, in a sentence."""
        number = len(self.records)
        said = [f"{number:,} record{'' if number == 1 else 's'}"]
        said += [f"{count:,} {what}" for what, count in self.counts.items() if count]
        return ", ".join(said)


def read_records(
    path: pathlib.Path | str, format: str = "records", *, skip_malformed: bool = False
) -> list[Record]:
    """Returns the records of a file or folder; see `read`."""
    return read(path, format, skip_malformed=skip_malformed).records


def read(
    path: pathlib.Path | str, format: str = "records", *, skip_malformed: bool = False
) -> Reading:
    """Returns the records of a file of JSON lines, of a JSON list, or of a folder.

    Args:
      path: UTF-8, perhaps compressed by gzip; of a folder all files are read whose
        names say that they are JSON, in the order of their names. Empty lines are
        passed over. Or the folder of a data set that `build_dataset` has made, or
        `FOLDER/SPLIT`.
      format: name of a format in `FORMATS`; a data set knows its own.
      skip_malformed: whether a line that is not of the format is left out and noted.

    Raises:
      Malformed: a line is not of the format; says which file, line and field.
      ValueError: there is no such format, there is no line, or only some have a pair,
        or messages.
      OSError: a file cannot be read.
    """
    path, own = pathlib.Path(path), formats.find_format(format)
    records, malformed = [], []
    if place := datasets.find_place(path):
        records = place.records(format)
        _require_alike(path, records)
        return Reading(records=records)
    for file in files(path):
        for where, line in _lines(file):
            try:
                records.append(_record(line, own))
            except ValueError as error:
                said = f"{file}, {where}: {error}"
                if not skip_malformed:
                    raise Malformed(said) from error
                malformed.append(said)
    if not records:
        first = f"; {malformed[0]}" if malformed else ""
        raise ValueError(f"{path} holds no prompt; {_expected(own)}{first}.")
    _require_alike(path, records)
    return Reading(records=records, malformed=tuple(malformed))


def files(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns a file itself, and of a folder those that `read` reads.

    Raises:
      FileNotFoundError: there is no such file or folder.
      ValueError: there is none in the folder, or it holds another library's data set.
    """
    if place := datasets.find_place(path):
        return place.files()
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there.")
    if not path.is_dir():
        return [path]
    found = listed(path)
    if not found:
        raise ValueError(
            f"{path} has no file that ends in {', '.join(_SUFFIXES)}, and is no data "
            "set that data.build_dataset has made."
        )
    return found


def listed(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of a folder whose names say that they are JSON, by name."""
    found = (own for own in folder.iterdir() if own.name.endswith(_SUFFIXES))
    return sorted(own for own in found if own.is_file())


def fingerprint(path: pathlib.Path) -> str:
    """Returns the name of a file or folder, and a hash of what is read of it."""
    digest = hashlib.sha256()
    for file in files(path):
        if file != path:
            digest.update(file.name.encode() + b"\0")
        digest.update(file.read_bytes())
    return f"{path.name} sha256:{digest.hexdigest()[:16]}"


def title(path: pathlib.Path) -> str:
    """Returns what tables call a file or folder that records are read from."""
    place = datasets.find_place(path)
    return path.stem if place is None else place.title


def _content(record: Record) -> tuple:
    """What makes a record the same as another: texts, whichever response was chosen."""
    answers = (record.chosen or "", record.rejected or "")
    return record.prompt, *sorted(answers)


def _lines(file: pathlib.Path) -> Iterator[tuple[str, bytes | Any]]:
    """Where each line is, and its JSON, read already where a list was."""
    content = file.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{file} is no whole gzip file ({error}); copy it again."
            ) from error
    if content.lstrip()[:1] == b"[":
        try:
            found = json_file.parse_list(content)
        except ValueError as error:
            raise ValueError(f"{file} is {error}; copy it again.") from error
        yield from ((f"entry [{place}]", own) for place, own in enumerate(found))
        return
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            yield f"line {number}", line


def _record(line: Any, own: formats.Format) -> Record:
    """One line as a record; an error says which other format the line has."""
    try:
        if isinstance(line, bytes):
            line = json_file.parse(line)
        line = json_file.require_object(line)
    except ValueError as error:
        raise ValueError(f"{error}; {_expected(own)}") from error
    try:
        return own.parse(line)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(line, own)}") from error


def _expected(own: formats.Format) -> str:
    """What a line of a format is, to end a sentence with."""
    return f"a line is an object with {', '.join(f'`{name}`' for name in own.fields)}"


def _hint(line: dict[str, Any], own: formats.Format) -> str:
    """Which other format a line has, the one with most fields of those that it has."""
    by_fields = sorted(formats.FORMATS.values(), key=lambda other: -len(other.fields))
    for other in by_fields:
        if other is not own and all(name in line for name in other.fields):
            try:
                other.parse(line)
            except ValueError:
                continue
            return f". The line is of the format `{other.name}` (--format {other.name})"
    return ""


def _require_alike(path: pathlib.Path, records: Sequence[Record]) -> None:
    """Requires of all records what one has: a response, a pair, messages."""
    having = {
        "have `chosen`": [record.chosen is not None for record in records],
        "have `chosen` and `rejected`": [record.is_pair for record in records],
        "are `messages`": [record.messages is not None for record in records],
    }
    for what, found in having.items():
        if any(found) and not all(found):
            raise ValueError(
                f"{path}: {sum(found)} of {len(found)} prompts {what}; give all of "
                "them so, or none."
            )
