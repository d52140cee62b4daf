"""Writing that a kill or a full disk cannot spoil.

A result file is either absent, the old one or the new one, never half of one: it is
written beside its place and moved there. Every failure names the path that failed.
"""

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Iterator

TEMPORARY = ".partial-"


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Makes every `OSError` of the block say which path could not be written.

    Args:
      path: the file or folder that the block writes.

    Raises:
      OSError: with the original error number, the path and the system's reason.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno or errno.EIO,
            f"cannot write to {path}: {reason}. Free some space or give another "
            "folder; a run goes on from its last checkpoint when started again",
        ) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Lets the block write a temporary file, then moves it to `path` in one stroke.

    The temporary name keeps the ending of `path`, which savers of figures and arrays
    go by. If the block fails, what was at `path` before is untouched.

    Args:
      path: where the finished file is to be; its folder is made if need be.

    Yields:
      The path to write to.

    Raises:
      OSError: if it cannot be written; the message names `path`.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            # Without this, a power cut may leave the new name with no content.
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` to `path` in UTF-8, whole or not at all.

    Args:
      path: where to write; an existing file is replaced.
      text: its whole content.

    Raises:
      OSError: if it cannot be written; the message names `path`.
    """
    with replacing(path) as temporary:
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
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{TEMPORARY}{os.getpid()}-probe"
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
