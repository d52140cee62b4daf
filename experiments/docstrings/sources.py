"""The Python source files that are installed here, by top-level package."""

import collections
import dataclasses
import importlib.metadata
import pathlib
import re
import sysconfig
from collections.abc import Iterable

_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "testdata", "idle_test", "site-packages", "dist-packages"}
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A Python source file and the top-level package that it belongs to."""

    package: str
    path: pathlib.Path


def standard_library() -> list[Source]:
    """Returns the source files of the running interpreter's standard library."""
    return folder(pathlib.Path(sysconfig.get_path("stdlib")))


def dependencies(root: str = "nashalign") -> list[Source]:
    """Returns the source files of a distribution's run-time dependencies.

    Args:
      root: name of an installed distribution; its requirements are followed
        transitively, without those of extras, and those not installed are left out.

    Returns:
      The files of every distribution required, without those of `root` itself.

    Raises:
      ValueError: if `root` is not installed.
    """
    try:
        importlib.metadata.distribution(root)
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            f"The dependencies of {root!r} are unknown, because it is not installed; "
            "run `pip install -e .` in the repository first."
        ) from error
    names = _required(root) - {_canonical(root)}
    return _files_of(importlib.metadata.distribution(name) for name in sorted(names))


def installed() -> list[Source]:
    """Returns the source files of every distribution of this environment."""
    return _files_of(importlib.metadata.distributions())


def folder(path: pathlib.Path) -> list[Source]:
    """Returns the source files under a folder whose entries are top-level packages."""
    return [
        _source(path, file.relative_to(path))
        for file in sorted(path.rglob("*.py"))
        if _is_wanted(file.relative_to(path))
    ]


def _canonical(name: str) -> str:
    """Returns a distribution's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(root: str) -> set[str]:
    """Returns the normalised names of a distribution and of all that it requires."""
    reached: set[str] = set()
    waiting = collections.deque([_canonical(root)])
    while waiting:
        name = waiting.popleft()
        try:
            requirements = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            # Its marker does not hold here, such as one for another operating system.
            continue
        reached.add(name)
        for requirement in requirements:
            if not re.search(r";.*\bextra\s*==", requirement):
                name = re.match(r"[\w.-]+", requirement)
                required = {_canonical(name.group())} if name else set()
                waiting.extend(required - reached)
    return reached


def _files_of(
    distributions: Iterable[importlib.metadata.Distribution],
) -> list[Source]:
    """Returns the source files that distributions installed as packages."""
    return [
        _source(pathlib.Path(str(distribution.locate_file(""))), pathlib.Path(file))
        for distribution in distributions
        for file in distribution.files or ()
        if file.suffix == ".py" and _is_wanted(pathlib.Path(file))
    ]


def _source(root: pathlib.Path, file: pathlib.Path) -> Source:
    """Returns the source of a file given relative to a folder of packages."""
    return Source(file.parts[0].removesuffix(".py"), root / file)


def _is_wanted(file: pathlib.Path) -> bool:
    """Tells whether a file is part of a package and not of its tests."""
    stem = file.stem
    is_test = stem.startswith("test_") or stem.endswith("_test") or stem == "conftest"
    return (
        not is_test
        and ".." not in file.parts
        and _SKIPPED_FOLDERS.isdisjoint(file.parts[:-1])
    )
