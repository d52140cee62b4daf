"""A chat model, aligned to a population of reviewers that no reward explains.

What it shows: SmolLM2-135M-Instruct, instructions in its chat template, adapters or all
parameters, three methods of the field, and a judge on the host whose preference is
intransitive: from a folder of Hugging Face's to adapters that PEFT loads. Reviewers are
functions of text (`reviewers.py`): what they prefer is learnt, and no truth.

Run: python -m experiments.from_gguf FILE.gguf runs/smollm2      (once)
     python -m experiments.instruct                              (adapters of rank 8)
     python -m experiments.instruct --whole --methods online_ipo (all parameters)

Takes: an hour and 4 GB for three methods, 9 to 28 minutes each, on 2 cores with other
work beside it; --quick, six updates of one method, 5 minutes.
"""

import dataclasses
import functools
import sys
from typing import Annotated

import tyro

from experiments.instruct import config as configs
from experiments.instruct import job
from nashalign import alignment, command_line

_NAME = "python -m experiments.instruct"
_PRESETS = {"--quick": configs.quick, "--smoke": configs.smoke}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Align a chat model by several methods and compare them on test instructions.

    Settings given beside --quick, --smoke or --whole replace the preset's. The settings
    of a row are shown where the command line names it: --methods inpo --help.
    """

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    whole: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train all parameters instead of adapters, at a learning rate for them."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """Six updates of one method, for a first impression."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Two small updates of one method: does it run?"""


def main(arguments: list[str]) -> None:
    """Parses the command line and runs the job."""
    preset = next((_PRESETS[a] for a in arguments if a in _PRESETS), configs.Config)()
    if "--whole" in arguments:
        preset = configs.whole(preset)
    default = Command(config=preset.shown(arguments))
    chosen = command_line.parse(Command, arguments, _NAME, __doc__, default)
    config = chosen.config.filled(preset.settings)
    config.check()
    alignment.require_trained(config.methods, arguments)
    command_line.keep_compiled(config.output.parent)
    command_line.in_timed_run(
        config.output,
        config.recorded(),
        functools.partial(job.align_and_compare, config),
        "results",
        "policies",
    )


command = command_line.guard(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
