"""The stages: imitate, fit judges, choose by validation prompts, compare seeds."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from experiments.summarise import paper
from experiments.tldr.config import Config
from nashalign import alignment, data, policies, preferences, terminal, training

_RIVAL = "rl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Bench:
    """What all runs share.

    Attributes:
      config: of the protocol.
      task: articles, and the policy that has learnt to imitate.
      judges: preference and reward model.
      validation: what measures policies in training.
      folder: of the whole.
    """

    config: Config
    task: alignment.Task
    judges: Mapping[str, preferences.Annotator]
    validation: alignment.Validation
    folder: pathlib.Path

    def align(self, name: str, settings: alignment.Settings, seed: int, place: str):
        """Trains one run, or resumes it."""
        return alignment.align(
            name,
            self.task,
            self.judges,
            settings=settings.own,
            learning_rate=settings.learning_rate,
            training=self.config.training,
            validation=self.validation,
            seed=seed,
            folder=self.folder / place,
            label=place,
        )

    def choose(self, name: str) -> tuple[alignment.Settings, dict, str]:
        """Returns the settings with the highest win rate on validation prompts.

        It is that of the best checkpoint of a run, over the validation's opponent.
        """
        found = []
        for number, settings in enumerate(self.config.trials(name)):
            place = f"grid/{name}-{number}"
            self.align(name, settings, self.config.seed, place)
            record = alignment.best.read(self.folder / place)
            found.append((record["win_rate"], -number, settings, record, place))
        _, _, settings, record, place = max(found)
        say = terminal.console().print
        say(f"{name}: {settings.own} of {len(found)} wins {record['win_rate']:.3f}")
        return settings, record, place


def run_all(config: Config, run: training.Run) -> None:
    """Goes through the protocol, and leaves the comparison's pages."""
    imitating = _imitate(config, run.folder)
    judges = _judges(config, imitating, run.folder)
    bench = _bench(config, imitating, judges, run.folder)
    chosen = {}
    chosen[_RIVAL], record, place = bench.choose(_RIVAL)
    records = {_RIVAL: record}
    bench = _against(bench, run.folder / place / alignment.best.FOLDER)
    for name in config.methods:
        chosen[name], records[name], _ = bench.choose(name)
    lines = {name: {**chosen[name].own, **records[name]} for name in chosen}
    training.write_text(run.folder / "chosen.json", json.dumps(lines, indent=2) + "\n")
    several = alignment.Several(
        methods=(*config.methods, _RIVAL),
        seed=config.seed,
        seeds=config.seeds,
        training=config.training,
        settings=chosen,
    )
    shared = alignment.Bench(
        task=bench.task,
        annotators=bench.judges,
        data_set=None,
        validation=bench.validation,
        training=config.training,
    )
    aligned, curves = alignment.align_all(shared, several, run.folder / "seeds")
    alignment.compare(
        bench.task,
        alignment.Panel(name="preference model", judge=judges["preference"]),
        aligned,
        config.evaluation,
        seed=config.seed,
        folder=run.folder / "results",
        curves=curves,
        pages=alignment.Pages(published=paper.TABLE_2, response="summary"),
    )


def _imitate(config: Config, folder: pathlib.Path) -> pathlib.Path:
    """The folder of a policy that has learnt from the posts' own summaries."""
    output = folder / "imitating"
    if policies.is_written(output):
        return output
    loaded = _texts(config, config.policy, config.posts, "tldr_prompts")
    row, how = "sft", config.training
    aligned = alignment.align(
        row,
        loaded.task,
        None,
        training=dataclasses.replace(how, num_steps=config.imitation_steps),
        folder=folder / "imitation",
        seed=config.seed,
        learning_rate=config.rate,
        data_set=loaded.data_set(),
    )
    loaded.task.export(output, aligned.params)
    return output


def _judges(
    config: Config, policy: pathlib.Path, folder: pathlib.Path
) -> dict[str, Any]:
    """Both judges of the comparisons, which begin with the imitating policy."""
    pairs = _texts(config, policy, config.comparisons, "tldr")
    found = {}
    for kind in preferences.JUDGES:
        [found[kind]] = alignment.train_judges(
            pairs, kind, config.judge, folder=folder / "judges" / kind, seed=config.seed
        )
        measured = alignment.measure_judge(found[kind], pairs)
        terminal.console().print(
            f"{kind} model: right on {measured.accuracy.mean:.1%} ± "
            f"{measured.accuracy.half_width:.1%} of the test comparisons "
            "(Munos et al. 2023: .78 and .76)"
        )
    return found


def _bench(config, policy, judges, folder) -> _Bench:
    """Articles, the imitating policy, and who judges."""
    loaded = _texts(config, policy, config.articles, "xsum", suffix="\n\nTL;DR:")
    task = alignment.with_adapters(
        loaded.task, config.lora, config.training, config.seed
    )
    task = dataclasses.replace(task, oracle=judges["preference"])
    number = config.evaluation.num_validation_prompts
    return _Bench(
        config=config,
        task=task,
        judges=judges,
        validation=alignment.validation(task, number, config.seed),
        folder=folder,
    )


def _against(bench: _Bench, rival: pathlib.Path) -> _Bench:
    """The bench whose validation is against another policy than the start."""
    own, params = bench.validation, policies.load_pretrained(rival).params
    key = alignment.stage_key(bench.config.seed, 4)
    written = bench.task.write(params, own.split, own.rows, key)
    return dataclasses.replace(
        bench, validation=dataclasses.replace(own, opponent=written)
    )


def _texts(
    config: Config,
    policy: pathlib.Path,
    path: pathlib.Path,
    form: str,
    suffix: str = "",
) -> alignment.TextTask:
    """A task of a file in one of the published formats."""
    found = data.read(path, form)
    terminal.console().print(f"{path}: {found}")
    return alignment.text_task(
        policy,
        found.records,
        text=dataclasses.replace(config.text, suffix=suffix),
        splits=config.splits,
    )
