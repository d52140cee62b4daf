"""The stages: train the judge, align under each instruction, and measure."""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import docstrings
from experiments.oaif import judge as judges
from experiments.oaif import page
from experiments.oaif.config import JUDGE_BATCH, Config
from experiments.oaif.instructions import INSTRUCTIONS
from nashalign import alignment, checks, policies, terminal, training
from nashalign.types import Examples

ONLINE, OFFLINE, START = "online", "offline", "start"
_ROWS = {ONLINE: "oaif_dpo", OFFLINE: "dpo"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summaries:
    """What policies of one kind wrote to the test prompts, `[S][B]`, a row a seed."""

    texts: Sequence[Sequence[str]]
    cut: np.ndarray

    def measured(self, codes: Sequence[str], number) -> np.ndarray:
        """Returns `number(code, summary)` of every summary, `[S, B]`."""
        return np.array(
            [
                [number(code, text) for code, text in zip(codes, row, strict=True)]
                for row in self.texts
            ]
        )


def run_all(config: Config, run: training.Run) -> None:
    """Does everything, and leaves the results' page."""
    loaded = docstrings.load_task(config.policy, config.data, config.text)
    for split, setting, number in config.prompts_needed():
        loaded.require(split, setting, number)
    terminal.console().print(loaded.describe())
    run.require_same("prompts", loaded.task.fingerprint())
    folder = run.folder / "judge"
    told = judges.train(
        loaded,
        config.num_judged,
        alignment.Fitting(
            batch_size=JUDGE_BATCH,
            learning_rate=config.judge_rate,
            num_epochs=config.judge_epochs,
        ),
        config.seed,
        folder,
    )
    accuracy = judges.measure(loaded, told, config.num_held_out, config.seed, folder)
    for name, found in accuracy.items():
        terminal.console().print(
            f"told {name}: does so in {found.accuracy.mean:.1%} ± "
            f"{found.accuracy.half_width:.1%} of the pairs"
        )
    rows = loaded.task.rows("test", config.evaluation.num_prompts, config.seed)
    written = _written(config, loaded, told, run.folder, rows)
    prompts = loaded.task.batch("test", rows)
    page.write(
        run.folder / "results",
        config,
        accuracy,
        written,
        judges.codes_of(loaded, prompts),
        loaded.task.clusters("test", rows),
    )


def _written(
    config: Config,
    loaded: docstrings.Docstrings,
    told: Mapping[str, judges.Told],
    folder: pathlib.Path,
    rows: np.ndarray,
) -> dict[tuple[str, str], Summaries]:
    """Summaries by kind and instruction; the start policy's by no instruction."""
    seeds = range(config.seed, config.seed + config.seeds)
    start = [loaded.task.start.params]
    write = _Writer(loaded, rows, config.seed)
    found = {(START, ""): write(start)}
    for own in INSTRUCTIONS:
        for kind in (ONLINE, OFFLINE):
            trained = [
                _align(config, loaded, told[own.name], kind, own.name, seed, folder)
                for seed in seeds
            ]
            found[kind, own.name] = write(trained)
    return found


def _align(
    config: Config,
    loaded: docstrings.Docstrings,
    annotator: judges.Told,
    kind: str,
    name: str,
    seed: int,
    folder: pathlib.Path,
) -> policies.Params:
    """Trains one policy by one kind of DPO, or resumes its run."""
    task = loaded.task
    budget = config.training.num_steps * config.training.batch_size
    data_set = None
    if kind == OFFLINE:
        data_set = alignment.examples.sample(
            task,
            annotator,
            min(budget, len(task.prompts["train"])),
            2,
            seed=seed,
            folder=folder / f"pairs-{name}-seed{seed}",
        )
        data_set = dataclasses.replace(
            data_set, sampled=_decided(checks.present(data_set.sampled, "pairs"))
        )
    return alignment.align(
        _ROWS[kind],
        task,
        annotator,
        training=config.training,
        folder=folder / f"{kind}-{name}-seed{seed}",
        seed=seed,
        settings={"tau": config.tau},
        learning_rate=config.learning_rate,
        data_set=data_set,
        validation=alignment.validation(
            dataclasses.replace(task, oracle=annotator),
            config.evaluation.num_validation_prompts,
            config.seed,
        ),
        label=f"{kind}, {name}, seed {seed}",
    ).params


def _decided(pairs: Examples) -> Examples:
    """Pairs with verdicts in the place of probabilities, as online ones are read."""
    said = np.asarray(pairs.preference)
    return dataclasses.replace(pairs, preference=0.5 + np.sign(said - 0.5) / 2)


class _Writer:
    """Lets policies write to the test prompts, each with draws of its own."""

    def __init__(self, loaded: docstrings.Docstrings, rows: np.ndarray, seed: int):
        """Remembers whose prompts they are."""
        self._loaded, self._rows, self._seed = loaded, rows, seed
        self._stages = itertools.count(100)

    def __call__(self, trained: Sequence[policies.Params]) -> Summaries:
        """Returns what policies of one kind write."""
        texts, cut, task = [], [], self._loaded.task
        for params in trained:
            key = alignment.stage_key(self._seed, next(self._stages))
            found = task.write(params, "test", self._rows, key)
            texts.append([text for [text] in task.texts(found.responses)])
            cut.append(found.responses.truncated[:, 0])
        return Summaries(texts=texts, cut=np.array(cut))
