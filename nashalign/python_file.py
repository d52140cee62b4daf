"""What a Python file of a user's defines: `FILE.py:NAME`."""

import difflib
import importlib.util
import pathlib
import sys
import traceback
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
    module = _run(path)
    if not hasattr(module, name):
        names = [own for own in vars(module) if not own.startswith("_")]
        near = difflib.get_close_matches(name, names, n=3)
        raise ValueError(
            f"{path} defines no {name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"it has {names}.")
        )
    return getattr(module, name)


def _run(path: pathlib.Path) -> Any:
    """The module that a file is."""
    name = f"nashalign_user_{path.resolve().stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while they are made.
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{_place(path, error)}: {_said(error)}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _place(path: pathlib.Path, error: Exception) -> str:
    """Where in a file something has failed."""
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _said(error: Exception) -> str:
    """Kind and message of an error, in one line."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}".splitlines()[0]
