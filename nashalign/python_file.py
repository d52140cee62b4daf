"""What a Python file of a user's defines: `FILE.py:NAME`."""

import difflib
import hashlib
import importlib.util
import pathlib
import sys
import traceback
from types import ModuleType
from typing import Any


def is_reference(text: str) -> bool:
    """Returns whether a text names something in a Python file: `FILE.py:NAME`."""
    file, _, name = text.rpartition(":")
    return file.endswith(".py") and bool(name)


def split(reference: str) -> tuple[pathlib.Path, str]:
    """Returns the file and the name of a reference.

    Raises:
      ValueError: it is not of the form `FILE.py:NAME`.
    """
    if not is_reference(reference):
        raise ValueError(
            f"{reference!r} is not of the form FILE.py:NAME, a Python file and a name "
            "that it defines."
        )
    file, _, name = reference.rpartition(":")
    return pathlib.Path(file), name


def load(reference: str) -> Any:
    """Runs a Python file and returns what a name in it stands for.

    The file's folder can be imported from while it runs.

    Args:
      reference: `FILE.py:NAME`.

    Raises:
      ValueError: there is no such file or name, or the file fails; says in which line.
    """
    path, name = split(reference)
    if not path.is_file():
        raise ValueError(f"{path} is not a file; give FILE.py:NAME.")
    try:
        module = run(path)
    except Exception as error:
        line = line_of(path, error)
        place = path if line is None else f"{path}, line {line}"
        raise ValueError(f"{place}: {_said(error)}") from error
    if not hasattr(module, name):
        names = [own for own in vars(module) if not own.startswith("_")]
        near = difflib.get_close_matches(name, names, n=3)
        raise ValueError(
            f"{path} defines no {name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"it has {names}.")
        )
    return getattr(module, name)


def run(path: pathlib.Path) -> ModuleType:
    """Runs a Python file and returns the module that it is.

    The file's folder can be imported from while it runs. What the file raises is let
    out.

    Args:
      path: the file.
    """
    folder = str(path.resolve().parent)
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    # No other file has this name, by which classes of the file look their module up.
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{digest}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    finally:
        sys.path.remove(folder)
    return module


def line_of(path: pathlib.Path, error: BaseException) -> int | None:
    """Returns the line of a file in which an error was raised; None if it was not.

    Args:
      path: the file.
      error: what `run` has let out.
    """
    if isinstance(error, SyntaxError):
        return error.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if pathlib.Path(frame.filename).resolve() == path.resolve()
    ]
    return lines[-1] if lines else None


def _said(error: Exception) -> str:
    """Kind and message of an error, in one line."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}".splitlines()[0]
