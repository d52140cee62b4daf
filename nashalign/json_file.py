"""Reading JSON that others wrote: whatever is in the file, an error names it."""

import json
import math
import pathlib
from typing import Any


def read_text(path: pathlib.Path) -> str:
    """Returns a file's text.

    Args:
      path: a file in UTF-8.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); copy it again.") from error


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """Returns the one object that a JSON file holds.

    Args:
      path: a file in UTF-8.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if `parse` refuses what it holds.
    """
    content = path.read_bytes()
    try:
        return parse(content)
    except ValueError as error:
        raise ValueError(f"{path} is {error}; copy it again.") from error


def parse(content: bytes) -> dict[str, Any]:
    """Returns the one object that is written as JSON.

    Python reads more than JSON is, and reads 1e999 as infinity: numbers that are not
    finite are refused here, by the name of their field.

    Args:
      content: in UTF-8.

    Raises:
      ValueError: if it is not UTF-8, not JSON, or JSON of something else; the message
        goes on a sentence that ends in "is".
    """
    return require_object(_parsed(content))


def parse_list(content: bytes) -> list[Any]:
    """Returns the list that is written as JSON, whatever is in it.

    An entry is one that `parse` could have returned once `require_object` takes it.

    Args:
      content: in UTF-8.

    Raises:
      ValueError: as of `parse`.
    """
    found = _parsed(content)
    if not isinstance(found, list):
        raise ValueError(f"JSON of a {type(found).__name__}, not of a list")
    return found


def require_object(found: Any) -> dict[str, Any]:
    """Returns what was read as JSON, an object whose numbers are all finite.

    Raises:
      ValueError: it is something else; the message goes on a sentence that ends in
        "is".
    """
    if not isinstance(found, dict):
        raise ValueError(f"JSON of a {type(found).__name__}, not of an object")
    for name, value in found.items():
        _require_finite(name, value)
    return found


def _parsed(content: bytes) -> Any:
    """What is written as JSON, and as Python's own that JSON does not have."""
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error})") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error


def _require_finite(name: str, value: Any) -> None:
    """Refuses a field of a number that JSON does not have."""
    waiting = [(name, value)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"not JSON ({name} is {value}, no finite number)")
        if isinstance(value, list):
            waiting += [(name, part) for part in value]
        if isinstance(value, dict):
            waiting += value.items()
