"""Checkpoints of any pytree of arrays, through orbax.

A checkpoint is written beside its place and renamed when it is whole, so that a kill at
any moment leaves the previous one readable. In it is a list of its files with their
checksums, which are compared before anything is restored: a single bit that has changed
on the disk is an error, and never a state. Nothing outside this module knows orbax.

Leaves are stored flat, under the name of their path in the tree, so that what does not
fit can be said by name before orbax is asked. Typed random keys are stored as their
data and wrapped again. Deliberately absent: partial and best-so-far checkpoints.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from nashalign import writing
from nashalign.training import arrays, files
from nashalign.training.arrays import PyTree

CONTENTS = "contents.json"
"""In a checkpoint: names and types of its leaves, checksums of its files, a note."""

# Orbax logs a failed save as hundreds of lines of tracebacks, which bury the error that
# is raised for it here.
logging.getLogger("absl").addFilter(
    lambda record: f"{os.sep}orbax{os.sep}" not in record.pathname
)


class Checkpoints:
    """The newest `keep` states of one run, each under its step.

    Saving goes on in the background: the state may be donated or changed as soon as
    `save` returns, and is durable after `wait`. Use it as a context manager, or `close`
    it. Any number may read. One writes, from `reserve` or its first `save` on, and
    keeps others from it until it is closed.

    Attributes:
      folder: where they are.
    """

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        """Opens the folder, making it if need be, and proves that it can be written.

        Args:
          folder: the folder of the checkpoints, and of nothing else.
          keep: how many to keep; at least 1.

        Raises:
          OSError: if the folder cannot be written.
          ValueError: if `keep` is below 1.
        """
        if keep < 1:
            raise ValueError(f"keep is {keep}; at least one checkpoint must be kept")
        self.folder = pathlib.Path(folder).absolute()
        self._keep = keep
        files.require_writable(self.folder)
        self._holds = False
        self._found, self._held = self._durable(), contextlib.ExitStack()
        self._orbax = ocp.Checkpointer(ocp.StandardCheckpointHandler())
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
        self._saving: concurrent.futures.Future | None = None

    def __enter__(self) -> "Checkpoints":
        """Returns itself; leaving the block closes it."""
        return self

    def __exit__(self, *exception) -> None:
        """Waits for the last save and closes."""
        self.close()

    def steps(self) -> list[int]:
        """Returns the steps that are durable, in ascending order.

        Raises:
          OSError: if the last save could not be written.
        """
        self.wait()
        return self._durable()

    def reserve(self, state: PyTree) -> None:
        """Fails at once where the disk has no room for the checkpoints to come.

        Args:
          state: a tree of the size that will be saved.

        Raises:
          OSError: if the free space is short of what `keep` checkpoints, and the one
            being written, will take beyond those that exist.
          ValueError: if another process writes here, or has since this was opened.
        """
        self._hold()
        size = sum(leaf.nbytes for leaf in arrays.stored(state).values())
        to_come = max(self._keep + 1 - len(self.steps()), 1)
        files.require_writable(self.folder, space=to_come * size)

    def save(self, step: int, state: PyTree, note: Mapping | None = None) -> None:
        """Saves `state` under `step`, after the previous save has ended.

        Args:
          step: number of steps done, above that of every earlier checkpoint.
          state: a pytree of jax or numpy arrays, typed keys included.
          note: what JSON can hold, to be kept with it.

        Raises:
          OSError: if the previous save could not be written.
          TypeError: if a leaf is not an array; it is named.
          ValueError: if another process writes here, or has since this was opened.
        """
        self._hold()
        self.wait()
        # Copies: what is on the host already may be donated before it is written.
        leaves = {name: np.array(leaf) for name, leaf in arrays.stored(state).items()}
        self._saving = self._thread.submit(self._write, step, leaves, note or {})

    def wait(self) -> None:
        """Returns when the last save is durable.

        Raises:
          OSError: if it could not be written.
        """
        saving, self._saving = self._saving, None
        if saving is None:
            return
        try:
            saving.result()
        except Exception as error:
            raise self._unwritten(error) from error

    def close(self) -> None:
        """Waits for the last save and releases what orbax holds."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._orbax.close()
            self._held.close()

    def restore_latest(self, like: PyTree) -> tuple[int, PyTree] | None:
        """Returns the newest step and its state, or None if there is none yet.

        Args:
          like: a state of the same structure, shapes and types, in whose shardings the
            leaves are restored; its values are not read.

        Returns:
          `(step, state)`, bit for bit what was saved; None in an empty folder.

        Raises:
          ValueError: if a leaf is missing, unknown, or of another shape or type, or if
            a file of the checkpoint is not what was written; the message names it.
        """
        steps = self.steps()
        if not steps:
            return None
        place, wanted = self.folder / str(steps[-1]), arrays.stored(like)
        contents = self._contents(steps[-1])
        if faults := files.changed(place, contents["files"]):
            raise self._damaged(place / faults[0], "it is not what was written")
        self._require_fit(steps[-1], contents["leaves"], wanted)
        try:
            kept = {name: leaf for name, leaf in wanted.items() if leaf.size}
            leaves = self._orbax.restore(
                place,
                args=ocp.args.StandardRestore(jax.tree.map(arrays.target, kept)),
            )
        except Exception as error:
            raise self._damaged(place, error) from error
        names = arrays.names(like)
        return steps[-1], jax.tree.map(
            lambda name, leaf: arrays.like(leaves[name], leaf) if leaf.size else leaf,
            names,
            like,
        )

    def note(self, step: int) -> dict:
        """Returns the note that was saved with a step's state.

        Args:
          step: one of `steps()`.

        Raises:
          ValueError: if the list of the checkpoint's contents is damaged.
        """
        return self._contents(step)["note"]

    def _hold(self) -> None:
        """Keeps others from writing, and removes what a kill has left half-written."""
        if self._holds:
            return
        self._held.enter_context(files.held(self.folder))
        self._holds = True
        if self._durable() != self._found:
            raise ValueError(
                f"another process has written to {self.folder} meanwhile; the same "
                "command resumes from there"
            )
        with writing.name_failures(self.folder):
            for left in self.folder.glob(f"{writing.TEMPORARY}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def _write(self, step: int, leaves: dict[str, np.ndarray], note: Mapping) -> None:
        """Writes a checkpoint beside its place, moves it there, and drops old ones."""
        temporary = self.folder / f"{writing.TEMPORARY}{step}"
        # Orbax saves no array without entries, and there is nothing in one to be kept.
        kept = {name: leaf for name, leaf in leaves.items() if leaf.size}
        self._orbax.save(temporary, args=ocp.args.StandardSave(kept), force=True)
        contents = {
            "leaves": {name: arrays.signature(leaf) for name, leaf in leaves.items()},
            "files": files.checksums(temporary),
            "note": dict(note),
        }
        sealed = {"sha256": _seal(contents), "contents": contents}
        files.write_text(temporary / CONTENTS, json.dumps(sealed, indent=1) + "\n")
        temporary.rename(self.folder / str(step))
        for old in self._durable()[: -self._keep]:
            # Renamed first, so that a kill leaves no half of a checkpoint.
            gone = (self.folder / str(old)).rename(
                self.folder / f"{writing.TEMPORARY}{old}"
            )
            shutil.rmtree(gone)

    def _durable(self) -> list[int]:
        """The steps on the disk."""
        names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal())

    def _contents(self, step: int) -> dict:
        """What a checkpoint holds, by its own list."""
        path = self.folder / str(step) / CONTENTS
        if not path.exists():
            raise self._damaged(path, "it is missing")
        sealed = files.read_json(path, self._remedy(path), "sha256", "contents")
        if sealed["sha256"] != _seal(sealed["contents"]):
            raise self._damaged(path, "it is not what was written")
        return sealed["contents"]

    def _require_fit(
        self, step: int, stored: dict[str, str], wanted: dict[str, Any]
    ) -> None:
        """Raises if the stored leaves are not those wanted, naming the first few."""
        faults = [f"{name} is missing in it" for name in wanted.keys() - stored.keys()]
        faults += [f"{name} is unknown here" for name in stored.keys() - wanted.keys()]
        for name in wanted.keys() & stored.keys():
            has, wants = stored[name], arrays.signature(wanted[name])
            if has != wants:
                faults.append(f"{name} is {has} in it and {wants} here")
        if faults:
            shown = "; ".join(sorted(faults)[:5])
            more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
            raise ValueError(
                f"checkpoint {step} in {self.folder} does not fit: {shown}{more}. It "
                "is of another model or optimizer: give another folder"
            )

    def _damaged(self, path: pathlib.Path, reason: object) -> ValueError:
        """The error for a file of a checkpoint, or a checkpoint, that is damaged."""
        return files.damaged(path, reason, self._remedy(path))

    def _remedy(self, path: pathlib.Path) -> str:
        """What to do about a damaged file of a checkpoint."""
        place = self.folder / path.relative_to(self.folder).parts[0]
        earlier = [step for step in self._durable() if step < int(place.name)]
        begin = f"resume from step {earlier[-1]}" if earlier else "begin again"
        return f"Delete {place} to {begin}"

    def _unwritten(self, error: Exception) -> OSError:
        """The error for a save that failed."""
        durable = self._durable()
        whole = f"step {durable[-1]}" if durable else "none"
        return OSError(
            getattr(error, "errno", None) or 5,
            f"a checkpoint could not be written to {self.folder} ({_first(error)}). "
            f"The last whole one: {whole}",
        )


def _seal(contents: Any) -> str:
    """The checksum of the list of contents."""
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _first(error: Exception) -> str:
    """Kind and first line of an error."""
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line[:300]}"
