"""Where metrics go besides the log: Weights and Biases, where it is installed."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

from nashalign.training.logs import Tracker


def wandb_tracker(project: str, folder: pathlib.Path, config: Mapping) -> Tracker:
    """Returns what sends every line of the metrics to a project of Weights and Biases.

    A run that is resumed in the same folder continues the same run there; of steps
    that were lost, and are done again, it keeps the first ones, which are the same.

    Args:
      project: name of the project.
      folder: of the run; its path decides which run it is there.
      config: settings to be shown.

    Raises:
      ValueError: wandb is not installed.
    """
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            "wandb is not installed: pip install 'nashalign[wandb]', or leave --wandb "
            "out; metrics are in metrics.jsonl and tensorboard/ in any case"
        ) from error
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    run: Any = wandb.init(
        project=project,
        id=name,
        name=folder.name,
        resume="allow",
        config=dict(config),
    )

    def track(line: Mapping[str, float]) -> None:
        own = {name: value for name, value in line.items() if name != "step"}
        run.log(own, step=int(line["step"]))

    return track
