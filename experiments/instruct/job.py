"""The stages of the job: load, align by every method, compare, write the page."""

from experiments.instruct import page
from experiments.instruct import task as tasks
from experiments.instruct.config import Config
from nashalign import alignment, terminal, training


def align_and_compare(config: Config, run: training.Run) -> None:
    """Trains every run, compares all policies on test instructions, writes the page."""
    loaded, results = (
        tasks.load_task(config.policy, config.text),
        run.folder / "results",
    )
    bench = _bench(config, run, loaded)
    aligned, curves = alignment.align_all(bench, config, run.folder)
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


def _bench(
    config: Config, run: training.Run, loaded: tasks.Instructions
) -> alignment.Bench:
    """What all runs share: the task with adapters, the judge, a look at progress."""
    looks = config.evaluation.num_validation_prompts
    for split, setting, number in (
        ("train", "training.batch-size", config.training.batch_size),
        ("validation", "evaluation.num-validation-prompts", looks),
        ("test", "evaluation.num-prompts", config.evaluation.num_prompts),
    ):
        loaded.task.require(split, setting, number)
    run.require_same("prompts", loaded.task.fingerprint())
    terminal.console().print(page.describe(config, loaded), markup=False)
    task = alignment.with_adapters(
        loaded.task, config.lora, config.training, config.seed
    )
    return alignment.Bench(
        task=task,
        annotators={"preference": loaded.annotator},
        data_set=None,
        validation=alignment.validation(task, looks, config.seed),
        training=config.training,
    )
