"""Reading JSON that others wrote: whatever is in the file, an error names it."""

import json
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

    Python reads more than JSON is: NaN and Infinity are refused here, as they are by
    other readers of these files.

    Args:
      path: a file in UTF-8.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not UTF-8, not JSON, or JSON of something else.
    """
    text = read_text(path)
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply; copy it again.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); copy it again.") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path} holds a {type(found).__name__}, but no JSON object; copy it again."
        )
    return found


def _refuse(name):
    """Refuses what Python reads as a number and JSON does not have."""
    raise ValueError(f"{name} is no JSON number")
