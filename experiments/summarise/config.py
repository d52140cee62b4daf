"""Settings of the main job, and its three sizes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Self

from experiments import docstrings
from experiments.summarise import settings as choices
from nashalign import alignment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(alignment.Several):
    """A summariser aligned to a population of reviewers by several methods."""

    methods: tuple[str, ...] = choices.MEASURED
    """Rows of the table of methods (`python -m nashalign.algorithms` prints it), in the
    order in which they are trained; or all of them."""
    policy: pathlib.Path = docstrings.START_POLICY
    """Hugging Face folder of the start policy: a Llama model with its tokenizer."""
    output: pathlib.Path = pathlib.Path("runs/summarise")
    """Where everything is left; the same folder again resumes where it stopped."""
    data: pathlib.Path = pathlib.Path("runs/data")
    """Where the docstrings are kept once they have been harvested."""
    text: docstrings.Text = docstrings.Text()
    judges: alignment.Judges = alignment.Judges()
    evaluation: alignment.Evaluation = alignment.Evaluation()
    settings: dict[str, alignment.Settings] = dataclasses.field(
        default_factory=choices.chosen_settings
    )

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

    def recorded(self) -> dict[str, Any]:
        """Every setting that results depend on; the start policy is known by a hash."""
        policy = alignment.folder_fingerprint(self.policy)
        record = super().recorded() | {"policy": policy}
        del record["output"], record["data"]
        return record

    def shown(self, arguments: Sequence[str]) -> Self:
        """Returns the job before its command line is read.

        `--methods all` has a folder of its own.
        """
        output = self.output
        if alignment.ALL in arguments:
            output = output.with_name(f"{output.name}-{alignment.ALL}")
        return dataclasses.replace(super().shown(arguments), output=output)

    def check(self) -> None:
        """Requires settings that the job can be done with, before any of it is done.

        Raises:
          ValueError: naming the method or the setting, its value, and what it must be.
        """
        super().check()
        self.judges.check()
        offline = self.offline()
        if offline and self.training.batch_size > self.judges.num_prompts:
            raise ValueError(
                f"{offline[0]} learns from the judges' votes: --training.batch-size is "
                f"{self.training.batch_size}, and --judges.num-prompts "
                f"{self.judges.num_prompts}; the first is at most the second."
            )


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

    Prompts are the standard library's, and few of them, as many at a time wherever
    the same is done, so that each program is compiled once.
    """
    return Config(
        methods=("ipo_md",),
        output=pathlib.Path("runs/summarise-smoke"),
        text=docstrings.Text(packages="standard_library"),
        judges=alignment.Judges(num_prompts=16, num_held_out=16, batch_size=8),
        training=alignment.Training(
            num_steps=2, batch_size=8, save_every=1, evaluate_every=2
        ),
        evaluation=alignment.Evaluation(
            num_prompts=8, num_validation_prompts=8, num_samples=3
        ),
    )
