"""Settings of the main job, and its three sizes."""

import dataclasses
import pathlib
from collections.abc import Sequence

from experiments import docstrings
from experiments.summarise import settings as choices
from nashalign import alignment, command_line

ALL = "all"
"""What stands for every row of the table, and every recipe, after --methods."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A summariser aligned to a population of reviewers by several methods."""

    methods: tuple[str, ...] = choices.MEASURED
    """Rows of the table of methods (`python -m nashalign.algorithms` prints it), in the
    order in which they are trained; mixed_po; or all of these."""
    policy: pathlib.Path = docstrings.START_POLICY
    """Hugging Face folder of the start policy: a Llama model with its tokenizer."""
    output: pathlib.Path = pathlib.Path("runs/summarise")
    """Where everything is left; the same folder again resumes where it stopped."""
    data: pathlib.Path = pathlib.Path("runs/data")
    """Where the docstrings are kept once they have been harvested."""
    seed: int = 0
    """Of every draw."""
    seeds: int = 1
    """Policies that each method trains, whose seeds are this one and the next ones;
    prompts, votes and judges are the same for all. A ranking needs several."""
    text: docstrings.Text = docstrings.Text()
    judges: alignment.Judges = alignment.Judges()
    training: alignment.Training = alignment.Training()
    evaluation: alignment.Evaluation = alignment.Evaluation()
    settings: dict[str, alignment.Settings] = dataclasses.field(
        default_factory=choices.chosen_settings
    )

    def runs(self, name: str) -> dict[int, str]:
        """Where each seed's run of a method is kept, below the output folder."""
        if self.seeds == 1:
            return {self.seed: name}
        numbers = range(self.seed, self.seed + self.seeds)
        return {seed: f"{name}-seed{seed}" for seed in numbers}

    def offline(self) -> list[str]:
        """Those of the methods that learn from the judges' votes at some stage."""
        return [
            name
            for name in self.methods
            if alignment.rounds.learns_from_data(name, self.settings[name].arguments)
        ]

    def prompts_needed(self) -> tuple[tuple[str, str, int], ...]:
        """How many prompts of which split every setting asks for."""
        held_out, evaluation = self.judges.num_held_out, self.evaluation
        looks = evaluation.num_validation_prompts
        return (
            ("train", "judges.num-prompts", self.judges.num_prompts),
            ("train", "training.batch-size", self.training.batch_size),
            ("validation", "judges.num-held-out", held_out),
            ("validation", "evaluation.num-validation-prompts", looks),
            ("test", "evaluation.num-prompts", evaluation.num_prompts),
        )

    def recorded(self) -> dict:
        """Every setting that results depend on, for the output folder.

        The start policy is known by its name and a hash of its files, so that another
        one in the same place is noticed.
        """
        policy = alignment.folder_fingerprint(self.policy)
        record = dataclasses.asdict(self) | {"policy": policy}
        record["settings"] = {name: record["settings"][name] for name in self.methods}
        del record["output"], record["data"]
        return record


def check(config: Config) -> None:
    """Requires settings that the job can be done with, before any of it is done.

    Raises:
      ValueError: naming the method or the setting, its value, and what it must be.
    """
    if not config.methods:
        known = ", ".join(config.settings)
        raise ValueError(f"--methods names no method; known are {known}.")
    for name in config.methods:
        settings = config.settings.get(name, alignment.Settings())
        alignment.rounds.stages(name, settings.arguments)
        command_line.require(f"settings.{name}.learning_rate", settings.learning_rate)
    command_line.require("seeds", config.seeds)
    command_line.require_seed(config.seed, config.seeds)
    for group in ("text", "judges", "training", "evaluation"):
        command_line.require_all(getattr(config, group), group, at_least=_AT_LEAST_TWO)
    votes = config.judges.num_prompts * config.judges.num_pairings
    if votes < 2 * config.judges.batch_size:
        raise ValueError(
            f"--judges.batch-size is {config.judges.batch_size}; a judge is trained "
            f"for two batches or more, and there are {votes} prompts with a pairing."
        )
    offline = config.offline()
    if offline and config.training.batch_size > config.judges.num_prompts:
        raise ValueError(
            f"{offline[0]} learns from the judges' votes: --training.batch-size is "
            f"{config.training.batch_size}, and --judges.num-prompts "
            f"{config.judges.num_prompts}; the first is at most the second."
        )


_AT_LEAST_TWO = ("num_steps", "num_prompts", "num_validation_prompts")


def require_trained(config: Config, arguments: Sequence[str]) -> None:
    """Refuses settings of rows that are not trained, which would have no effect.

    Raises:
      ValueError: naming the option and its row.
    """
    for argument in arguments:
        option = argument.split("=")[0]
        parts = option.removeprefix("--").replace("-", "_").split(".")
        if option.startswith("--settings.") and parts[1] not in config.methods:
            raise ValueError(
                f"{option} is given, and {parts[1]} is not among the --methods; leave "
                "it out, or train the row."
            )


def to_parse(config: Config, arguments: Sequence[str]) -> Config:
    """The job before its command line is read: with the settings that --help shows.

    Those are of the rows that the command line names, in whatever place, and else of
    the rows that the job has by default. `--methods all` has a folder of its own.
    """
    options = [argument.split(".") for argument in arguments]
    words = {option[1].replace("-", "_") for option in options if len(option) > 2}
    named = [name for name in config.settings if name in words.union(arguments)]
    if ALL in arguments:
        output = config.output.with_name(f"{config.output.name}-{ALL}")
        named = list(config.settings)
        config = dataclasses.replace(config, output=output)
    shown = {name: config.settings[name] for name in named or config.methods}
    return dataclasses.replace(config, settings=shown)


def parsed(config: Config) -> Config:
    """The job after its command line has been read: every row has its settings."""
    settings = choices.chosen_settings() | config.settings
    methods = tuple(settings) if config.methods == (ALL,) else config.methods
    return dataclasses.replace(config, methods=methods, settings=settings)


def quick() -> Config:
    """A fifth of the updates, for a first impression."""
    return Config(
        output=pathlib.Path("runs/summarise-quick"),
        judges=alignment.Judges(num_prompts=512, num_held_out=128),
        training=alignment.Training(num_steps=12, save_every=6, evaluate_every=6),
        evaluation=alignment.Evaluation(num_prompts=128, num_validation_prompts=64),
    )


def smoke() -> Config:
    """Two steps of one method, nearly all of it compiling: does it run?

    Prompts are the standard library's, and taken sixteen at a time everywhere, so that
    each program is compiled once.
    """
    return Config(
        methods=("ipo_md",),
        output=pathlib.Path("runs/summarise-smoke"),
        text=docstrings.Text(packages="standard_library"),
        judges=alignment.Judges(num_prompts=16, num_held_out=16, batch_size=16),
        training=alignment.Training(
            num_steps=2, batch_size=16, save_every=1, evaluate_every=2
        ),
        evaluation=alignment.Evaluation(
            num_prompts=16, num_validation_prompts=16, num_samples=3
        ),
    )
