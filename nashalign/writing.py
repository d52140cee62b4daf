"""Writing that a kill or a full disk cannot spoil, with errors that name the file.

A file is either absent, the old one or the new one, never half of one: it is written
beside its place and moved there.
"""

import contextlib
import errno
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

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
    with replacing_together(path.parent) as beside, beside(path.name) as temporary:
        yield temporary


@contextlib.contextmanager
def replacing_together(
    folder: pathlib.Path, last: str | None = None, without: Iterable[str] = ()
) -> Iterator[Callable[[str], contextlib.AbstractContextManager[pathlib.Path]]]:
    """Lets the block write files of a folder that belong together, then moves them all.

    If the block fails, the folder is untouched. While they are moved, the file without
    which the folder is nothing is not there: a kill leaves a folder of the old files,
    of the new ones, or one that lacks this file, never a mixture that passes for one.

    Args:
      folder: made if need be.
      last: name of that file, which is removed first and moved last; None where files
        stand for themselves.
      without: names of files that are removed, as they do not belong to the new ones.

    Yields:
      A function of a file's name: lets a block write it, as `replacing` does.

    Raises:
      OSError: if a file cannot be written; the message names it.
    """
    written: dict[str, pathlib.Path] = {}

    @contextlib.contextmanager
    def beside(name):
        temporary = folder / f"{TEMPORARY}{os.getpid()}-{name}"
        with name_failures(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            written[name] = temporary
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            # Some savers make files that only their owner can read.
            temporary.chmod(mode)
            # Without this, a power cut may leave the new name with no content.
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())

    try:
        yield beside
        for name in filter(None, (last, *without)):
            with name_failures(folder / name):
                (folder / name).unlink(missing_ok=True)
        for name in sorted(written, key=lambda name: name == last):
            with name_failures(folder / name):
                os.replace(written[name], folder / name)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
