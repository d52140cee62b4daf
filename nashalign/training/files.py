"""Files of results: written whole or not at all, and read with an eye for damage.

Every failure names the path that failed, and what is to be done about it.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nashalign import json_file, writing


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """Holds a folder during the block; the system lets go of it when the process dies.

    Args:
      folder: which exists.

    Raises:
      ValueError: it is held, by whatever process.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another process is at work in {folder}; wait for it, end it, or give "
                "another --output"
            ) from error
        yield
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` to `path` in UTF-8, whole or not at all.

    Args:
      path: where to write; an existing file is replaced.
      text: its whole content.

    Raises:
      OSError: if it cannot be written; the message names `path`.
    """
    with writing.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_writable(folder: str | os.PathLike, space: int = 0) -> None:
    """Makes `folder` and proves, before any work is done, that it can be written.

    Args:
      folder: the folder to make and to try.
      space: bytes that must be free on its disk.

    Raises:
      OSError: if it is no folder, cannot be written or is short of space.
    """
    folder = pathlib.Path(folder)
    with writing.name_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{writing.TEMPORARY}{os.getpid()}-probe"
        try:
            with open(probe, "wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
        if free < space:
            raise OSError(
                errno.ENOSPC,
                f"{space / 2**20:.0f} MiB are needed, {free / 2**20:.0f} MiB are free",
            )


def damaged(path: str | os.PathLike, reason: object, remedy: str) -> ValueError:
    """Returns the error for a file that is there but not what was written.

    Args:
      path: the file.
      reason: what is wrong with it: an error, or words.
      remedy: what to do, a sentence without its full stop.
    """
    if isinstance(reason, Exception):
        first = (str(reason).splitlines() or [""])[0][:200]
        reason = f"{type(reason).__name__}: {first}"
    return ValueError(f"{path} is damaged ({reason}). {remedy}")


def read_json(path: str | os.PathLike, remedy: str, *keys: str) -> dict[str, Any]:
    """Returns the object that a JSON file holds.

    Args:
      path: the file.
      remedy: what to do if it is damaged, such as "Delete it to make it again".
      *keys: that the object must have.

    Raises:
      ValueError: if it is no JSON object with these keys; names the file.
      OSError: if it cannot be read.
    """
    try:
        found = json_file.parse(pathlib.Path(path).read_bytes())
    except ValueError as error:
        raise damaged(path, f"it is {error}", remedy) from error
    for key in keys:
        if key not in found:
            raise damaged(path, f"there is no {key!r} in it", remedy)
    return found


def keep_arrays(
    path: str | os.PathLike,
    make: Callable[[], Mapping[str, Any]],
    remedy: str,
    shapes: Mapping[str, Sequence[int | None]],
    optional: Mapping[str, Sequence[int | None]] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file, made and written first if there is none.

    Args:
      path: the file.
      make: makes the arrays, by name.
      remedy: what to do if the file is damaged; see `read_arrays`.
      shapes: of the arrays that must be there.
      optional: the same of those that may be.

    Raises:
      ValueError: as `read_arrays`.
      OSError: if the file can be neither read nor written.
    """
    if not pathlib.Path(path).exists():
        arrays = make()
        with writing.replacing(path) as temporary:
            np.savez(temporary, **arrays)
    return read_arrays(path, remedy, shapes, optional)


def read_arrays(
    path: str | os.PathLike,
    remedy: str,
    shapes: Mapping[str, Sequence[int | None]],
    optional: Mapping[str, Sequence[int | None]] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz file, whose checksums are compared.

    Args:
      path: the file.
      remedy: what to do if it is damaged, such as "Delete it to make it again".
      shapes: of the arrays that must be there, by name; None is any length.
      optional: the same of those that may be.

    Raises:
      ValueError: if it is no npz file, or an array is not there, of another shape, or
        no array of numbers; names the file.
      OSError: if it cannot be read.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            found = dict(stored)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    # Damage makes the zip archive and the headers in it raise nearly anything.
    except Exception as error:
        raise damaged(path, error, remedy) from error
    if missing := shapes.keys() - found.keys():
        raise damaged(path, f"{min(missing)} is missing in it", remedy)
    wanted = {**shapes, **(optional or {})}
    for name, array in found.items():
        own = wanted.get(name)
        if own is None:
            raise damaged(path, f"{name} is unknown", remedy)
        fits = len(own) == array.ndim and all(
            length in (None, size)
            for length, size in zip(own, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in "biuf":
            kind = f"{array.dtype}{list(array.shape)}"
            raise damaged(path, f"{name} is {kind}, not {list(own)}", remedy)
    return found


def checksum(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal.

    Args:
      path: the file.

    Raises:
      OSError: if it cannot be read.
    """
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def checksums(folder: pathlib.Path, *names: str) -> dict[str, str]:
    """Returns the checksum of every file in a folder, by relative path, sorted.

    Args:
      folder: the folder.
      *names: files and folders in it that alone are looked at; all by default.

    Raises:
      OSError: if a file cannot be read.
    """
    roots = [folder / name for name in names] or [folder]
    paths = {path for root in roots for path in (root, *root.rglob("*"))}
    return {
        path.relative_to(folder).as_posix(): checksum(path)
        for path in sorted(paths)
        if path.is_file()
    }


def changed(folder: pathlib.Path, written: Mapping[str, str]) -> list[str]:
    """Returns the paths of files that are missing or have another checksum.

    Args:
      folder: the folder.
      written: what `checksums` has returned.

    Raises:
      OSError: if a file cannot be read.
    """
    return [
        name
        for name, digest in written.items()
        if not (folder / name).is_file() or checksum(folder / name) != digest
    ]
