"""Writing that a kill or a full disk cannot spoil, with errors that name the file.

A file is either absent, the old one or the new one, never half of one: it is written
beside its place and moved there.
"""

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator

TEMPORARY = ".partial-"


@contextlib.contextmanager
def name_failures(path: str | os.PathLike) -> Iterator[None]:
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
            "folder; what was finished before is kept",
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
    with name_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            # Some savers make files that only their owner can read.
            temporary.chmod(mode)
            # Without this, a power cut may leave the new name with no content.
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
