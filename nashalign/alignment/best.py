"""The best policy of a run on the validation prompts, kept beside the last one."""

import json
import pathlib
from collections.abc import Mapping

from nashalign import algorithms, policies, training
from nashalign.alignment import task as tasks

FOLDER, RECORD = "best", "best.json"


def keep(
    folder: pathlib.Path,
    task: tasks.Task,
    state: algorithms.State,
    measured: Mapping[str, float],
) -> None:
    """Writes a policy down if none before it has won as often.

    The first of equally good ones stays. A run that was broken off and resumed measures
    the same again, and keeps the same.

    Args:
      folder: of the run; the policy goes to `best/`, what was measured to `best.json`.
      task: writes policies.
      state: whose policy was measured.
      measured: its `win_rate`, and whatever else; nothing is kept without one.
    """
    if "win_rate" not in measured:
        return
    path = folder / RECORD
    if path.exists():
        record = read(folder)
        better = measured["win_rate"] > record["win_rate"]
        # A policy that was being written when the run was broken off is written again.
        if not better and policies.is_written(folder / FOLDER):
            return
    folder.mkdir(parents=True, exist_ok=True)
    task.export(folder / FOLDER, state.params)
    record = {"step": int(state.step), **measured}
    training.write_text(path, json.dumps(record, indent=2) + "\n")


def read(folder: pathlib.Path) -> dict:
    """Returns what was measured of the best policy of a run, and after which update.

    Raises:
      ValueError: the record is damaged.
      OSError: there is none.
    """
    path = folder / RECORD
    return training.read_json(path, "Delete it; the next look writes it", "win_rate")
