"""A summariser aligned to a population of reviewers by many methods, side by side.

The experiment of "Human Alignment of Large Language Models through Online Preference
Optimisation" (Calandriello et al. 2024, arXiv:2403.08635), at the size of a laptop, on
real code, with an oracle that the paper did not have: the reviewers' exact preference.

Run: python -m experiments.summarise                 (the paper's six methods)
     python -m experiments.summarise --methods all   (every row of the table of methods)
"""

import dataclasses
import functools
import sys
from typing import Annotated

import tyro

from experiments.summarise import config as configs
from experiments.summarise import job, settings, sweep
from nashalign import alignment, command_line, training

_NAME = "python -m experiments.summarise"
_PRESETS = {"--quick": configs.quick, "--smoke": configs.smoke}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Align a summariser by several methods and compare them on test prompts.

    Settings given beside --quick or --smoke replace the smaller job's. The settings of
    a row are shown where the command line names it: --methods inpo --help.
    """

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """A fifth of the updates, for a first impression: three minutes on 2 cores."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Two steps of one method, nearly all of it compiling: under a minute."""
    sweep: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train every method over taus and seeds of its own instead; hours, resumable."""


def main(arguments: list[str]) -> None:
    """Parses the command line and runs the job."""
    preset = next((_PRESETS[a] for a in arguments if a in _PRESETS), configs.Config)
    default = Command(config=preset().shown(arguments))
    chosen = command_line.parse(Command, arguments, _NAME, Command.__doc__, default)
    config = chosen.config.filled(settings.chosen_settings())
    config.check()
    alignment.require_trained(config.methods, arguments)
    training.require_writable(config.data)
    command_line.keep_compiled(config.data)
    with command_line.compiled_quickly(chosen.smoke):
        if chosen.sweep:
            output = config.output.resolve()
            command_line.in_run(
                output.with_name(output.name + "-sweep"),
                sweep.recorded(config),
                functools.partial(_sweep, config),
            )
        else:
            command_line.in_timed_run(
                config.output,
                config.recorded(),
                lambda run: job.align_and_compare(job.begin(config, run)),
                "results",
                "policies",
            )


def _sweep(config: configs.Config, run: training.Run) -> None:
    """Trains every method over its taus."""
    job.sweep_taus(job.begin(config, run))
    run.finish("sweep.jsonl", "sweep.png", "fingerprint.txt")


command = command_line.guard(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
