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
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error})") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"JSON of a {type(found).__name__}, not of an object")
    return found


def _finite(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields, and lists in them, hold no NaN and no infinity."""
    for name, value in pairs:
        _require_finite(name, value)
    return dict(pairs)


def _require_finite(name: str, value: Any) -> None:
    """Refuses a field of a number that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is {value}, no finite number")
    if isinstance(value, list):
        for part in value:
            _require_finite(name, part)
