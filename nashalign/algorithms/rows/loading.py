"""Rows of your own, given as `FILE.py:NAME`."""

import difflib
import pathlib
from types import ModuleType

from nashalign import python_file
from nashalign.algorithms.row import Row


def load_row(place: str) -> Row:
    """Returns a row that a Python file defines; the file is executed.

    Args:
      place: `FILE.py:NAME`, the file and the name that it gives the row.

    Raises:
      ValueError: the place is not of this form, the file has no such row, or executing
        it fails; the sentence says where.
      OSError: the file cannot be read.
    """
    if not python_file.is_reference(str(place)):
        raise ValueError(f"a row of your own is given as FILE.py:NAME, not {place!r}")
    path, name = python_file.split(str(place))
    if not path.is_file():
        raise ValueError(f"there is no file {path}, of which {name} was to be the row")
    found = vars(_executed(path))
    if name not in found:
        rows = [key for key, value in found.items() if isinstance(value, Row)]
        near = difflib.get_close_matches(name, rows, n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(
            f"{path} defines no {name}.{meant} Its rows are: "
            f"{', '.join(rows) or 'none'}."
        )
    if not isinstance(found[name], Row):
        kind = type(found[name]).__name__
        raise ValueError(f"{name} of {path} is not a Row but a {kind}")
    found[name].require_shapes()
    return found[name]


def _executed(path: pathlib.Path) -> ModuleType:
    """The module that a file is."""
    try:
        return python_file.run(path)
    except Exception as error:
        line = python_file.line_of(path, error)
        place = path if line is None else f"{path}:{line}"
        raise ValueError(f"{place} fails: {type(error).__name__}: {error}") from error
