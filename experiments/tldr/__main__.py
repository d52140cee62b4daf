"""The protocol of Munos et al. 2023 and Calandriello et al. 2024, on TL;DR and XSum.

What it shows: a policy imitates the summaries of posts; a preference model and a reward
model are fitted to people's comparisons; reinforcement learning's tau is chosen by the
win rate over the imitating policy, and every other method's tau and mix by that over
reinforcement learning's, each at its best checkpoint on validation prompts; then three
seeds of each meet on test prompts, beside the paper's table 2.

Run: python -m experiments.tldr --policy FOLDER --posts FILE --comparisons FILE \\
         --articles FILE

Takes, as the paper has it (770 million parameters, 30,000 updates of 32 prompts, a
quarter of an update a second): 33 hours on 16 TPU v5e for each of the 39 runs of the
grid and the 18 that are compared. By count of its parameters a policy in training is 6
GB in float32 with its gradient, and each frozen one 1.5 GB in bfloat16, beside what the
backward pass keeps. None of it was measured here; --smoke takes minutes on a laptop.
"""

import dataclasses
import functools
import sys
from typing import Annotated

import tyro

from experiments.tldr import config as configs
from experiments.tldr import job
from nashalign import command_line

_NAME = "python -m experiments.tldr"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Go through the papers' protocol on TL;DR and XSum."""

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Two updates of everything, whatever else is set: does it run?"""


def main(arguments: list[str]) -> None:
    """Parses the command line and goes through the protocol."""
    chosen = command_line.parse(Command, arguments, _NAME, __doc__)
    config = configs.smoke(chosen.config) if chosen.smoke else chosen.config
    config.check()
    command_line.keep_compiled(config.output.parent)
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
