"""Settings of the experiment, and its sizes."""

import dataclasses
import pathlib
from typing import Any

from experiments import docstrings
from nashalign import alignment, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Policies that learn from one judge, told different things."""

    policy: pathlib.Path = docstrings.START_POLICY
    """Hugging Face folder of the start policy, with its tokenizer."""
    output: pathlib.Path = pathlib.Path("runs/oaif")
    """Where everything is left; the same folder again resumes where it stopped."""
    data: pathlib.Path = pathlib.Path("runs/data")
    """Where the docstrings are kept once they have been harvested."""
    text: docstrings.Text = docstrings.Text()
    seed: int = 0
    """Of every draw."""
    seeds: int = 3
    """Policies of each kind, whose seeds are this one and the next ones."""
    tau: float = 0.02
    """Of DPO, online and offline (the paper's beta)."""
    learning_rate: float = 5e-4
    """Peak of the schedule of policies."""
    num_judged: int = 3072
    """Training prompts, to each of which the start policy writes four summaries: the
    judge learns from those that an instruction decides."""
    num_held_out: int = 128
    """Validation prompts on whose summaries it is measured."""
    judge_epochs: int = 4
    """How often it reads them, under each instruction."""
    judge_rate: float = 4e-4
    """Peak of its schedule."""
    training: alignment.Training = alignment.Training()
    evaluation: alignment.Evaluation = alignment.Evaluation(num_validation_prompts=64)

    def recorded(self) -> dict[str, Any]:
        """Every setting that results depend on; the start policy is known by a hash."""
        policy = alignment.folder_fingerprint(self.policy)
        record: dict[str, Any] = dataclasses.asdict(self) | {"policy": policy}
        del record["output"], record["data"]
        return record

    def check(self) -> None:
        """Requires settings that the experiment can be done with.

        Raises:
          ValueError: naming the option, its value, and what it must be.
        """
        for name in ("tau", "learning_rate", "judge_rate", "judge_epochs", "seeds"):
            options.require(name, getattr(self, name))
        options.require_seed(self.seed, self.seeds)
        options.require("num_judged", self.num_judged, at_least=JUDGE_BATCH)
        options.require("num_held_out", self.num_held_out, at_least=2)
        for group in ("text", "training", "evaluation"):
            least = ("num_prompts", "num_validation_prompts")
            options.require_all(getattr(self, group), group, at_least=least)

    def prompts_needed(self) -> tuple[tuple[str, str, int], ...]:
        """How many prompts of which split every setting asks for."""
        looks = self.evaluation.num_validation_prompts
        return (
            ("train", "num-judged", self.num_judged),
            ("train", "training.batch-size", self.training.batch_size),
            ("validation", "num-held-out", self.num_held_out),
            ("validation", "evaluation.num-validation-prompts", looks),
            ("test", "evaluation.num-prompts", self.evaluation.num_prompts),
        )


JUDGE_BATCH = 16
"""Prompts of an update of the judge."""


def smoke() -> Config:
    """Two updates of each policy, one seed: does it run?"""
    return Config(
        output=pathlib.Path("runs/oaif-smoke"),
        text=docstrings.Text(packages="standard_library"),
        seeds=1,
        num_judged=32,
        num_held_out=8,
        judge_epochs=1,
        training=alignment.Training(
            num_steps=2, batch_size=8, save_every=1, evaluate_every=2
        ),
        evaluation=alignment.Evaluation(num_prompts=8, num_validation_prompts=8),
    )
