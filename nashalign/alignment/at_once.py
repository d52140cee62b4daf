"""Runs that are trained at the same time, those of them that are not over yet."""

import pathlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from nashalign import training
from nashalign.alignment import logs

T = TypeVar("T")
R = TypeVar("R")


def train(
    make_work: Callable[[], Callable[[T], R]],
    places: Mapping[T, pathlib.Path],
    num_steps: int,
    processes: int | None,
    folder: pathlib.Path,
    name: str,
) -> dict[T, R]:
    """Trains in processes what has not had all its updates.

    How many processes there are depends on all runs, not on those that are left: on how
    many cores a run is trained decides how its sums are rounded.

    Args:
      make_work: makes what trains a run, given its name; see `training.at_once`.
      places: the folder of each run, by its name.
      num_steps: updates of a run.
      processes: how many are asked for; see `training.num_processes`. With one nothing
        is done.
      folder: where what the processes say is left.
      name: of the runs, in the plural.

    Returns:
      What the work has returned of each run that was left.
    """
    number = training.num_processes(processes, len(places))
    if number < 2:
        return {}
    left = [own for own in places if logs.num_updates(places[own]) < num_steps]
    found = training.at_once(
        make_work,
        left,
        number,
        log=folder / "processes.log",
        name=f"{len(left)} {name}",
        progress=lambda: sum(logs.num_updates(places[own]) for own in left),
        total=num_steps * len(left),
    )
    return dict(zip(left, found, strict=True))
