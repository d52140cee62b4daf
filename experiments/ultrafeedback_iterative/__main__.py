"""Iterations over parts of UltraFeedback: SPPO, INPO, DNO-Prct and COMAL.

What it shows: the protocol of Wu et al. 2024 (SPPO), Zhang et al. 2024 (INPO), Rosset
et al. 2024 (DNO) and Liu et al. 2024 (COMAL). The prompts are cut into three parts;
every iteration sees one of them once, and the iterate that it regularises towards moves
behind it. The policies are compared by the judge on prompts that none has seen, and
measured on validation prompts behind every iteration.

Run: python -m experiments.ultrafeedback_iterative --policy FOLDER --prompts FILE \\
         --judge FOLDER

Takes, as the papers have it (a policy of 7 or 8 billion parameters, 60,000 prompts,
five responses to each), by count of its parameters: 96 GB a device for float32 weights
and Adam's state, whole on each, and 16 GB a frozen policy in bfloat16; with adapters
(--lora.rank 16) one base of 16 GB for all of them. By count of operations, 2.5e18 to
write and 1e19 to learn from 120,000 responses of 1,024 tokens with their prompts, the
judge left out: two hours a method on eight H100, at a tenth of their speed in writing
and two fifths in learning. None of it was measured; --smoke takes minutes on a laptop,
with any model.
"""

import dataclasses
import functools
import sys
from typing import Annotated

import tyro

from experiments.ultrafeedback_iterative import config as configs
from nashalign import alignment, command_line, data, preferences, terminal, training

_NAME = "python -m experiments.ultrafeedback_iterative"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Go over parts of UltraFeedback in iterations."""

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """One update an iteration of the first method: does it run?"""


def main(arguments: list[str]) -> None:
    """Parses the command line and goes through the protocol."""
    chosen = command_line.parse(Command, arguments, _NAME, __doc__)
    config = configs.smoke(chosen.config) if chosen.smoke else chosen.config
    config = config.filled(configs.settings())
    config.check()
    command_line.keep_compiled(config.output.parent)
    with command_line.compiled_quickly(chosen.smoke):
        command_line.in_timed_run(
            config.output,
            config.recorded(),
            functools.partial(align_and_compare, config),
            "results",
            "policies",
        )


def align_and_compare(config: configs.Config, run: training.Run) -> None:
    """Trains every method over all parts, and compares the policies."""
    judge = preferences.load_judge(config.judge, config.policy)
    bench = _bench(config, judge)
    config = config.of_parts(len(bench.task.prompts["train"]))
    again = functools.partial(_make_bench, config)
    aligned, curves = alignment.align_all(bench, config, run.folder, again)
    alignment.compare(
        bench.task,
        alignment.Panel(name="judge", judge=judge),
        aligned,
        config.evaluation,
        seed=config.seed,
        folder=run.folder / "results",
        curves=curves,
    )


def _make_bench(config: configs.Config) -> alignment.Bench:
    """The bench in a process of its own."""
    return _bench(config, preferences.load_judge(config.judge, config.policy))


def _bench(config: configs.Config, judge) -> alignment.Bench:
    """What all runs share: the prompts, the judge, a look at progress."""
    found = data.read(config.prompts, "ultrafeedback_prompts")
    terminal.console().print(f"{config.prompts}: {found}")
    loaded = alignment.text_task(
        config.policy, found.records, judge, text=config.text, splits=config.splits
    )
    task = alignment.with_adapters(
        loaded.task, config.lora, config.training, config.seed
    )
    config = config.of_parts(len(task.prompts["train"]))
    looks = config.evaluation.num_validation_prompts
    return alignment.Bench(
        task=task,
        annotators=judge,
        data_set=None,
        validation=alignment.validation(task, looks, config.seed),
        training=config.training,
    )


command = command_line.guard(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
