"""The stages of the job: load, align by every method, compare, write the page."""

import functools

from experiments.instruct import page
from experiments.instruct import task as tasks
from experiments.instruct.config import Config
from nashalign import alignment, terminal, training


def align_and_compare(config: Config, run: training.Run) -> None:
    """Trains every run, compares all policies on test instructions, writes the page."""
    loaded, results = _load(config), run.folder / "results"
    _require_prompts(config, loaded)
    run.require_same("prompts", loaded.task.fingerprint())
    terminal.console().print(page.describe(config, loaded), markup=False)
    bench = _bench(config, loaded)
    again = functools.partial(_make_bench, config)
    aligned, curves = alignment.align_all(bench, config, run.folder, again)
    alignment.compare(
        bench.task,
        loaded.panel(),
        aligned,
        config.evaluation,
        seed=config.seed,
        folder=results,
        curves=curves,
        pages=loaded.pages(),
    )
    page.write(results, config, loaded, bench.task.start.params)


def _load(config: Config) -> tasks.Instructions:
    """The task."""
    return tasks.load_task(config.policy, config.text)


def _require_prompts(config: Config, loaded: tasks.Instructions) -> None:
    """Requires as many prompts as every setting asks for."""
    looks = config.evaluation.num_validation_prompts
    for split, setting, number in (
        ("train", "training.batch-size", config.training.batch_size),
        ("validation", "evaluation.num-validation-prompts", looks),
        ("test", "evaluation.num-prompts", config.evaluation.num_prompts),
    ):
        loaded.task.require(split, setting, number)


def _make_bench(config: Config) -> alignment.Bench:
    """The bench in a process of its own."""
    return _bench(config, _load(config))


def _bench(config: Config, loaded: tasks.Instructions) -> alignment.Bench:
    """What all runs share: the task with adapters, the judge, a look at progress."""
    task = alignment.with_adapters(
        loaded.task, config.lora, config.training, config.seed
    )
    looks = config.evaluation.num_validation_prompts
    return alignment.Bench(
        task=task,
        annotators={"preference": loaded.annotator},
        data_set=None,
        validation=alignment.validation(task, looks, config.seed),
        training=config.training,
    )
