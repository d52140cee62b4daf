"""Command lines as functions: parsed, checked, and ended by a number or a sentence."""

import contextlib
import inspect
import pathlib
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from shutil import get_terminal_size
from typing import Any

import jax
import tyro

from nashalign import preferences, terminal, training


def guard(
    main: Callable[[list[str]], int | None],
) -> Callable[[Sequence[str]], int | str]:
    """Returns `main` as a command that ends with a number or with a sentence."""
    return terminal.guard(main, training.TrainingDiverged, preferences.llm.JudgeFailed)


def command(
    main: Callable[[Any], int | None], config: type, *, name: str, about: str | None
) -> Callable[[Sequence[str]], int | str]:
    """Returns a command that reads its settings from the command line.

    Args:
      main: takes the settings; returns an exit code, or None for 0.
      config: a dataclass of the settings.
      name: what the command line begins with, such as `python -m MODULE`.
      about: what --help says first.

    Returns:
      `command(arguments)`: an exit code or a sentence; see `terminal.guard`.
    """
    return guard(lambda arguments: main(parse(config, arguments, name, about)))


def parse(
    config: type,
    arguments: Sequence[str],
    name: str,
    about: str | None,
    default: Any = None,
) -> Any:
    """Returns the settings that a command line gives.

    Args:
      config: a dataclass of the settings.
      arguments: the command line.
      name: what the command line begins with, such as `python -m MODULE`.
      about: what --help says first.
      default: the settings where the command line is empty; those of the class if None.

    Raises:
      SystemExit: after --help, or if the arguments cannot be read; the reason is shown.
    """
    if {"-h", "--help"} & set(arguments):
        # Tyro would print a paragraph as one line, of any length.
        print(_wrapped(about or ""), end="\n\n")
    return tyro.cli(
        config,
        prog=name,
        description="",
        args=list(arguments),
        **({} if default is None else {"default": default}),
    )


@contextlib.contextmanager
def compiled_quickly(wanted: bool) -> Iterator[None]:
    """Leaves out the compiler's optimisations, which a few steps do not repay.

    Args:
      wanted: whether to.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", wanted or before)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def keep_compiled(folder: pathlib.Path) -> None:
    """Keeps compiled programs in a folder, so that a resumed command begins at once.

    Where a cache of compiled programs has been chosen already, it is left alone.

    Args:
      folder: they are kept below it.
    """
    if not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def in_run(
    folder: pathlib.Path,
    record: Mapping[str, Any],
    work: Callable[[training.Run], None],
    *,
    extends: Sequence[str] = (),
    more: str = "",
) -> None:
    """Does the work in an output folder, or resumes it; says so, and where it is done.

    Args:
      folder: where everything is left.
      record: every setting that the results depend on.
      work: finishes the run when all is there.
      extends: see `training.open_run`.
      more: what else may be done with a run that is finished, to end the sentence with.

    Raises:
      ValueError: if the folder holds something else.
      OSError: if it cannot be written.
    """
    say = terminal.console().print
    try:
        with training.open_run(folder, record, extends=extends) as run:
            if run.resumed:
                say(f"{folder}: resumed where it stopped")
            work(run)
    except training.RunFinished as finished:
        say(f"{finished}{more}")


def in_timed_run(
    folder: pathlib.Path,
    record: Mapping[str, Any],
    work: Callable[[training.Run], None],
    *results: str,
) -> None:
    """Does the work in an output folder, or resumes it, and says how long it took.

    Args:
      folder: where everything is left.
      record: every setting that the results depend on.
      work: leaves the results.
      *results: their names in the folder.

    Raises:
      ValueError: if the folder holds something else.
      OSError: if it cannot be written.
    """

    def timed(run):
        start = time.monotonic()
        work(run)
        seconds = round(time.monotonic() - start, 1)
        run.finish(*results, seconds=seconds)
        say = terminal.console().print
        say(f"{seconds:.0f} s; everything is in {run.folder}")

    in_run(folder, record, timed)


def in_folder(
    folder: pathlib.Path, record: Mapping[str, Any], work: Callable[[], int]
) -> int:
    """Does the work in an output folder that holds it alone, and once.

    Args:
      folder: where results are left; with other settings in it, it is left alone.
      record: every setting that the results depend on.
      work: leaves the results, and returns how many of them are not as they should be.

    Returns:
      What the work has returned, now or when it was done.

    Raises:
      ValueError: if the folder holds something else.
      OSError: if it cannot be written.
    """
    try:
        with training.open_run(folder, record) as run:
            failed = work()
            names = [path.name for path in folder.iterdir()]
            run.finish(
                *(name for name in names if name != "config.json"), failed=failed
            )
    except training.RunFinished as finished:
        terminal.console().print(str(finished))
        failed = int(finished.summary.get("failed", 0))
    return failed


def _wrapped(text: str) -> str:
    """The paragraphs of a text, no wider than the terminal; code is left as it is."""
    width = get_terminal_size().columns
    return "\n\n".join(
        part if "\n " in part else textwrap.fill(part, width, break_on_hyphens=False)
        for part in inspect.cleandoc(text).split("\n\n")
    )
