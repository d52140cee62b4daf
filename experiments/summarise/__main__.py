"""A summariser aligned to a population of reviewers by many methods, side by side.

The experiment of "Human Alignment of Large Language Models through Online Preference
Optimisation" (Calandriello et al. 2024, arXiv:2403.08635), at the size of a laptop, on
real code, with an oracle that the paper did not have: the reviewers' exact preference.

Run: python -m experiments.summarise                 (the paper's six methods)
     python -m experiments.summarise --methods all   (every row of the table of methods)
"""

import contextlib
import dataclasses
import itertools
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import jax
import tyro

from experiments import door
from experiments.summarise import (
    align,
    compare,
    courses,
    evidence,
    examples,
    judges,
    sweep,
    task,
)
from experiments.summarise import config as configs
from nashalign import evaluation, policies, terminal, training

_NAME = "experiments.summarise"
_PRESETS = {"--quick": configs.quick, "--smoke": configs.smoke}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Align a summariser by several methods and compare them on test prompts.

    Settings given beside --quick or --smoke replace the smaller job's. The settings of
    a row are shown where the command line names it: --methods inpo --help.
    """

    config: Annotated[configs.Config, tyro.conf.arg(name="")]
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """A fifth of the updates, for a first impression: five minutes on 2 cores."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """Two steps of one method, nearly all of it compiling: under a minute."""
    sweep: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train every method over taus and seeds of its own instead; hours, resumable."""


def main(arguments: list[str]) -> None:
    """Parses the command line and runs the job."""
    preset = next((_PRESETS[a] for a in arguments if a in _PRESETS), configs.full)
    default = Command(config=configs.to_parse(preset(), arguments))
    chosen = door.parse(Command, arguments, _NAME, Command.__doc__, default)
    config = configs.parsed(chosen.config)
    configs.check(config)
    configs.require_trained(config, arguments)
    training.require_writable(config.data)
    _keep_compiled(config.data)
    record, output = config.recorded(), config.output
    if chosen.sweep:
        record, output = sweep.recorded(config), output.resolve()
        output = output.with_name(output.name + "-sweep")
    try:
        with _compiled_quickly(chosen.smoke), training.open_run(output, record) as run:
            if run.resumed:
                terminal.console().print(f"{output}: going on where it stopped")
            (_sweep if chosen.sweep else _align_and_compare)(config, run)
    except training.RunFinished as finished:
        terminal.console().print(str(finished))


@contextlib.contextmanager
def _compiled_quickly(wanted: bool) -> Iterator[None]:
    """Leaves out the compiler's optimisations, which a few steps do not repay."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", wanted or before)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def _keep_compiled(folder: pathlib.Path) -> None:
    """Keeps compiled programs beside the data, so that going on begins at once."""
    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _begin(
    config: configs.Config, run: training.Run
) -> tuple[task.Task, dict[str, Any], align.Aligner]:
    """Loads, samples, votes, and fits the judges; returns them with the aligner."""
    loaded = task.load(config.policy, config.data, config.text)
    for split, setting, number in config.prompts_needed():
        loaded.require(split, setting, number)
    terminal.console().print(_described(loaded))
    run.require_same("prompts", loaded.fingerprint())
    chosen = {name: config.settings[name] for name in config.methods}
    # The policies are compared under the preference model, whatever they learn from.
    read = {"preference"}.union(*itertools.starmap(courses.judges_of, chosen.items()))
    folder = run.folder / "judges"
    learned = judges.learned_judges(loaded, config.judges, read, config.seed, folder)
    data_set = None
    if config.offline():
        data_set = examples.load(loaded, learned, config.judges, config.seed, folder)
    aligner = align.Aligner(
        loaded,
        learned,
        config.training,
        data_set=data_set,
        num_validation_prompts=config.evaluation.num_validation_prompts,
        seed=config.seed,
    )
    return loaded, learned, aligner


def _sweep(config: configs.Config, run: training.Run) -> None:
    """The job behind --sweep."""
    loaded, learned, aligner = _begin(config, run)
    sweep.sweep(config, aligner, run.folder)
    line = evidence.fingerprint(loaded, learned, run.folder / "judges")
    training.write_text(run.folder / "fingerprint.txt", line + "\n")
    terminal.console().print(line, markup=False)
    run.finish("sweep.jsonl", "sweep.png", "fingerprint.txt")


def _align_and_compare(config: configs.Config, run: training.Run) -> None:
    """The job."""
    begun = time.monotonic()
    loaded, learned, aligner = _begin(config, run)
    aligned, curves = {}, {}
    for name in config.methods:
        places, title = config.runs(name), config.settings[name].title(name)
        runs = {
            place: _aligned(config, run, aligner, name, seed)
            for seed, place in places.items()
        }
        aligned[title] = list(runs.values())
        for place, own in runs.items():
            if own.diverged is None:
                log = align.log(run.folder / place)
                curves.setdefault(title, []).extend(log)
                policies.save_pretrained(
                    run.folder / "policies" / place,
                    own.params,
                    loaded.start.config,
                    tokenizer_folder=config.policy,
                )
    compare.compare(
        loaded,
        learned["preference"],
        aligned,
        config.evaluation,
        config.seed,
        run.folder / "results",
        evidence.fingerprint(loaded, learned, run.folder / "judges"),
    )
    if len(curves) < compare.MANY:
        _draw_curves(curves, run.folder / "results" / "learning_curves.png")
    seconds = round(time.monotonic() - begun, 1)
    run.finish("results", "policies", seconds=seconds)
    terminal.console().print(
        f"{time.monotonic() - begun:.0f} s; everything is in {run.folder}"
    )


def _aligned(
    config: configs.Config,
    run: training.Run,
    aligner: align.Aligner,
    name: str,
    seed: int,
) -> compare.Aligned:
    """Trains one run; one that diverges does not keep the others from their turn."""
    place = config.runs(name)[seed]
    settings, folder = config.settings[name], run.folder / place
    method, title = settings.method(name), settings.title(name)
    found = compare.Aligned(key=name, settings=settings, method=method)
    label = title if config.seeds == 1 else f"{title}, seed {seed}"
    try:
        params = aligner.align(name, settings, seed, folder, label)
    except training.TrainingDiverged as error:
        if len(config.methods) * config.seeds == 1:
            raise
        terminal.console().print(f"{label} has diverged: {error}")
        return dataclasses.replace(found, diverged=error.step)
    return dataclasses.replace(
        found,
        params=params,
        suffix=aligner.suffix(method),
        seconds=align.seconds(folder),
        tokens_per_second=align.tokens_per_second(folder),
        optimizer_steps=align.steps_taken(folder),
    )


def _draw_curves(curves: dict[str, list[dict]], path: pathlib.Path) -> None:
    """A figure of how training went."""
    figure = evaluation.learning_curves_figure(
        curves,
        {
            "win_rate": "win rate over the start policy",
            "kl": "KL to the start policy (nats)",
            "length": "tokens of a response",
        },
    )
    with training.replacing(path) as temporary:
        evaluation.save_figure(figure, temporary)


def _described(loaded: task.Task) -> str:
    """What was loaded, a line for each of data set and prompts."""
    splits = ", ".join(
        f"{len(prompts.tokens):,} {split}" for split, prompts in loaded.prompts.items()
    )
    cut = sum(prompts.cut for prompts in loaded.prompts.values())
    return (
        f"{loaded.data_set.described()}\n"
        f"prompts: {splits}; {cut:,} longer than {loaded.prompt_length} tokens "
        "were cut on the right"
    )


command = door.guarded(main)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
