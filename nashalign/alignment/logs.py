"""What the log of a run says of it, its rounds one after another."""

import pathlib
import statistics

from nashalign import training


def read(folder: pathlib.Path) -> list[dict]:
    """Returns the lines of a run's log.

    Args:
      folder: of the run.
    """
    # A round that nothing was for has left no log.
    logs = sorted(folder.glob("round_*/metrics.jsonl"), key=_number)
    lines, done = [], 0
    for path in logs or [folder / "metrics.jsonl"]:
        own = training.read_log(path)
        # What a round begins with is what the one before has ended with.
        own = [line for line in own if line["step"] or not done]
        lines += [line | {"step": done + line["step"]} for line in own]
        done = lines[-1]["step"]
    return lines


def _number(path: pathlib.Path) -> int:
    """The number of a round, from the name of its folder."""
    return int(path.parent.name.removeprefix("round_"))


def num_updates(folder: pathlib.Path) -> int:
    """Returns the updates in a run's log so far, which may be written to meanwhile."""
    logs = [*folder.glob("metrics.jsonl"), *folder.glob("round_*/metrics.jsonl")]
    lines = [line for log in logs for line in log.read_bytes().splitlines()]
    return sum(not line.startswith(b'{"step": 0,') for line in lines)


def seconds(folder: pathlib.Path) -> float:
    """Training time by the log, compilation included, pauses between sessions not."""
    return sum(line["seconds"] for line in read(folder))


def optimizer_steps(folder: pathlib.Path) -> int:
    """Steps of the optimizer by the log, in all stages that were not left out."""
    return round(sum(line.get("optimizer_steps", 0) for line in read(folder)))


def tokens_per_second(folder: pathlib.Path) -> float | None:
    """Speed of training by the log: the median over updates, the first left out.

    An update's tokens are those of the responses that it has written or been given, all
    of which it reads; what an extragradient step looks ahead with, and what is written
    between two parts of a run, is not counted. The median leaves compilation,
    validation and checkpoints out. None, where there was only the first update: of a
    short run, a stage may have been left out.
    """
    updates = [line for line in read(folder) if "tokens" in line]
    speeds = [line["tokens"] / line["seconds"] for line in updates[1:]]
    return statistics.median(speeds) if speeds else None
