"""Feedback that is steered by its instruction alone (Guo et al. 2024).

What it shows: a judge is trained to do as it is told - prefer the shorter summary, the
longer one, the one that names the function's arguments - and then nothing but what it
is told changes between runs; length and content of what the policies write follow. And
online DPO against offline DPO with the same judge and as many pairs.

Run: python -m experiments.oaif

Takes: about 80 minutes of one core beside other work, and 2 GB; --smoke about two.
"""

import dataclasses
import functools
import sys
from typing import Annotated

import tyro

from experiments.oaif import config as configs
from experiments.oaif import job
from nashalign import command_line, training

_NAME = "python -m experiments.oaif"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Align a summariser to one judge that is told different things."""

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Two updates of each policy, one seed: does it run?"""


def main(arguments: list[str]) -> None:
    """Parses the command line and runs the experiment."""
    preset = configs.smoke() if "--smoke" in arguments else configs.Config()
    default = Command(config=preset)
    chosen = command_line.parse(Command, arguments, _NAME, __doc__, default)
    config = chosen.config
    config.check()
    training.require_writable(config.data)
    command_line.keep_compiled(config.data)
    with command_line.compiled_quickly(chosen.smoke):
        command_line.in_timed_run(
            config.output,
            config.recorded(),
            functools.partial(job.run_all, config),
            "results",
        )


command = command_line.guard(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
