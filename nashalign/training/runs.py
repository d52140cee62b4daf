"""Output folders: a run is begun in one, resumed, or left alone.

A folder holds one run of one configuration. Opened again with the same configuration it
resumes; with another one, the difference is shown; a finished one is never touched.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nashalign import json_file, writing
from nashalign.training import files, records

CONFIG, FINISHED = "config.json", "finished.json"
FORMAT = 2
"""Of output folders: what is where in them, and how settings are named."""


class ConfigChanged(ValueError):
    """The folder holds a run of another configuration; the message shows what differs.

    Attributes:
      differences: `(setting, old, new)`, one for each setting that differs.
    """

    def __init__(self, folder: pathlib.Path, differences: list[tuple[str, Any, Any]]):
        """Words the difference."""
        self.differences = differences
        table = "\n".join(f"  {key}: {old} -> {new}" for key, old, new in differences)
        super().__init__(
            f"{folder} holds a run with other settings:\n{table}\n"
            "Give the old settings to resume it, another --output to begin a new "
            "run, or delete the folder"
        )


class RunFinished(Exception):
    """The folder holds a finished run of this very configuration.

    Attributes:
      folder: where its results are.
      summary: what the run said of itself when it finished.
    """

    def __init__(self, folder: pathlib.Path, summary: dict):
        """Words what to do."""
        self.folder, self.summary = folder, summary
        super().__init__(
            f"finished; results are in {folder}. To run it again, give another "
            "--output or delete the folder"
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """An open output folder.

    Attributes:
      folder: the folder, which exists and can be written.
      resumed: whether it held the beginning of this run.
    """

    folder: pathlib.Path
    resumed: bool

    def require_same(self, name: str, inputs: Mapping) -> None:
        """Keeps what a run was begun with, or refuses to resume with anything else.

        For what is known only once it is open: data that was read, for instance.

        Args:
          name: of the file, `NAME.json`, and in the message.
          inputs: what JSON can hold.

        Raises:
          ConfigChanged: if the run was begun with others.
          ValueError: if the file is damaged.
        """
        path = self.folder / f"{name}.json"
        if not path.exists():
            files.write_text(path, records.as_json(inputs))
        remedy = f"Give another --output, or delete {path} if the {name} are the same"
        begun = files.read_json(path, remedy)
        if changes := records.differences(begun, records.plain(inputs), name):
            raise ConfigChanged(self.folder, changes)

    def finish(self, *results: str, **summary) -> None:
        """Marks the run as finished; it will not be overwritten from now on.

        Args:
          *results: files and folders in this one that the run was for; while one of
            them is missing or has changed, the run counts as unfinished again.
          **summary: what JSON can hold, kept for whoever opens the folder again.
        """
        summary["results"] = files.checksums(self.folder, *results) if results else {}
        summary["finished"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        files.write_text(self.folder / FINISHED, records.as_json(summary))


@contextlib.contextmanager
def open_run(
    folder: str | os.PathLike,
    config: Any,
    *,
    extends: Sequence[str] = (),
    space: int = 64 * 2**20,
) -> Iterator[Run]:
    """Opens an output folder, and holds it against other processes during the block.

    On a new folder, `config.json` is written: the configuration, the versions and the
    devices. On an old one the configuration must be the same; other versions or devices
    are a warning, because bit-identical resuming is promised for the same ones only.
    A block that raises before anything else is in the folder leaves it empty, so that a
    setting that turns out wrong can be mended and given again.

    Args:
      folder: the output folder; made if need be.
      config: every setting that results depend on, as a mapping or a dataclass of what
        JSON can hold, nested ones and paths too.
      extends: dotted names of settings that an old run may be given more of: numbers,
        or None for no limit. It is resumed, finished or not.
      space: bytes that must be free on its disk.

    Yields:
      The open run.

    Raises:
      ConfigChanged: if the folder holds a run of another configuration.
      RunFinished: if it holds a finished run of this configuration. Where results are
        missing or cut, it is a warning instead, and the run is gone on with.
      ValueError: if it holds something that is no run, is damaged or in use.
      OSError: if it cannot be written.
    """
    folder = pathlib.Path(folder)
    with writing.name_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with files.held(folder):
        record = {
            "format": FORMAT,
            "config": records.plain(config),
            "environment": records.environment(),
        }
        resumed = (folder / CONFIG).exists()
        if resumed:
            _require_same(folder, record, extends)
        else:
            _require_empty(folder)
        files.require_writable(folder, space)
        if not resumed:
            files.write_text(folder / CONFIG, records.as_json(record))
        try:
            yield Run(folder=folder, resumed=resumed)
        except BaseException:
            if [path.name for path in folder.iterdir()] == [CONFIG]:
                (folder / CONFIG).unlink()
            raise


def _require_same(folder: pathlib.Path, record: dict, extends: Sequence[str]) -> None:
    """Raises unless the folder's unfinished run has this configuration, or less."""
    try:
        old = json_file.parse((folder / CONFIG).read_bytes())
        config, environment = old["config"], old["environment"]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{folder / CONFIG} is not a run's configuration ({error}); give another "
            "--output or delete the folder"
        ) from error
    if old.get("format") != FORMAT:
        raise ValueError(
            f"{folder} holds a run of another version of nashalign, whose folders are "
            f"laid out differently (format {old.get('format', 1)}, and this is "
            f"{FORMAT}); finish it with that version, or give another --output"
        )
    changes = records.differences(config, record["config"])
    more = [key for key, was, now in changes if key in extends and _is_more(was, now)]
    if len(more) < len(changes):
        raise ConfigChanged(folder, changes)
    if more:
        # The results of the shorter run are written again at the end of the longer one.
        (folder / FINISHED).unlink(missing_ok=True)
        files.write_text(
            folder / CONFIG, records.as_json(old | {"config": record["config"]})
        )
    if (folder / FINISHED).exists():
        _require_unfinished(folder)
    for what, was, now in records.differences(environment, record["environment"]):
        warnings.warn(
            f"{folder} was begun with {what} {was} and is resumed with {now}: its "
            "results may differ in rounding from an unbroken run",
            stacklevel=4,
        )


def _is_more(old, new) -> bool:
    """Whether a setting was raised; None is no limit."""
    if new is None or old is None:
        return new is None
    return isinstance(old, int | float) and isinstance(new, int | float) and new > old


def _require_unfinished(folder: pathlib.Path) -> None:
    """Raises if all results are there; else the run is unfinished from now on."""
    path = folder / FINISHED
    remedy = f"Delete {path}, and the same command resumes it"
    summary = files.read_json(path, remedy)
    results = summary.get("results", {})
    if not isinstance(results, dict):
        raise files.damaged(path, "its results are no list of files", remedy)
    spoiled = files.changed(folder, results)
    if not spoiled:
        raise RunFinished(folder, summary)
    path.unlink()
    warnings.warn(
        f"{folder} was finished, but {spoiled[0]} is missing or not what was written: "
        "the results are made again",
        stacklevel=5,
    )


def _require_empty(folder: pathlib.Path) -> None:
    """Raises if the folder holds what no run has put there."""
    strangers = [
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(writing.TEMPORARY)
    ]
    if strangers:
        raise ValueError(
            f"{folder} holds {', '.join(sorted(strangers)[:3])} but no {CONFIG}: it is "
            "not the folder of a run. Give another --output"
        )
