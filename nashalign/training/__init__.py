"""Training: compiled steps, the resumable loop, checkpoints, logs and output folders.

Whatever trains is a step, `step(state, batch) -> (state, metrics, record)`, compiled
for some devices by `data_parallel` and run by `run` in a folder opened by `open_run`.
"""

from nashalign.training.checkpoints import Checkpoints
from nashalign.training.divergence import TrainingDiverged
from nashalign.training.files import (
    damaged,
    keep_arrays,
    read_arrays,
    read_json,
    require_writable,
    write_text,
)
from nashalign.training.logs import JsonLines, Tracker, read_log
from nashalign.training.loop import run
from nashalign.training.mesh import (
    Placed,
    Step,
    batched,
    data_parallel,
    fully_sharded,
    make_mesh,
    pmapped,
    replicated,
)
from nashalign.training.processes import at_once, num_processes
from nashalign.training.runs import ConfigChanged, Run, RunFinished, open_run
from nashalign.training.trackers import wandb_tracker

__all__ = [
    "Checkpoints",
    "ConfigChanged",
    "JsonLines",
    "Placed",
    "Run",
    "RunFinished",
    "Step",
    "Tracker",
    "TrainingDiverged",
    "at_once",
    "batched",
    "damaged",
    "data_parallel",
    "fully_sharded",
    "keep_arrays",
    "make_mesh",
    "num_processes",
    "open_run",
    "pmapped",
    "read_arrays",
    "read_json",
    "read_log",
    "replicated",
    "require_writable",
    "run",
    "wandb_tracker",
    "write_text",
]
