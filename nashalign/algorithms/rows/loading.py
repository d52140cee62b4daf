"""Rows of your own, given as `FILE.py:NAME`."""

import difflib
import hashlib
import importlib.util
import pathlib
import sys
import traceback
from types import ModuleType

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
    file, separator, name = str(place).rpartition(":")
    if not separator or not file.endswith(".py") or not name:
        raise ValueError(f"a row of your own is given as FILE.py:NAME, not {place!r}")
    path = pathlib.Path(file)
    if not path.is_file():
        raise ValueError(f"there is no file {file}, of which {name} was to be the row")
    found = vars(_executed(path))
    if name not in found:
        rows = [key for key, value in found.items() if isinstance(value, Row)]
        near = difflib.get_close_matches(name, rows, n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(
            f"{file} defines no {name}.{meant} Its rows are: "
            f"{', '.join(rows) or 'none'}."
        )
    if not isinstance(found[name], Row):
        kind = type(found[name]).__name__
        raise ValueError(f"{name} of {file} is not a Row but a {kind}")
    found[name].require_shapes()
    return found[name]


def _executed(path: pathlib.Path) -> ModuleType:
    """The module that a file is, under a name that no other file has."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"row_{path.stem}_{digest}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Classes of the file are looked up in the module by its name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise ValueError(
            f"{path}{_line(path, error)} fails: {type(error).__name__}: {error}"
        ) from error
    return module


def _line(path, error):
    """Where in the file an error came from, as `:LINE`."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    places = traceback.extract_tb(error.__traceback__)
    lines = [
        place.lineno
        for place in places
        if pathlib.Path(place.filename).resolve() == path.resolve()
    ]
    return f":{lines[-1]}" if lines else ""
