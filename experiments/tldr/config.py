"""Settings of the protocol: those of the paper, and a size at which it is tried."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import tyro

from nashalign import algorithms, alignment, data, options

METHODS = ("online_ipo", "ipo_md", "online_dpo", "nash_md_pg", "online_slic")
"""What meets the policy of reinforcement learning, `rl`, in the order of the table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """Values among which validation prompts decide."""

    rl_taus: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
    """Of `rl`, whose policy with the highest win rate over the start policy the others
    are held against."""
    taus: tuple[float, ...] = (0.1, 0.5, 1.0, 5.0, 10.0)
    """Of all others but Nash-MD-PG."""
    nash_taus: tuple[float, ...] = (0.005, 0.008, 0.01, 0.02)
    """Of Nash-MD-PG, whose regularisation is of another scale (Munos et al. 2023)."""
    mixes: tuple[float, ...] = (0.125, 0.25)
    """Of those that mix with the reference."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The paper's protocol: imitate, fit judges, choose by validation, compare."""

    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of the model that everything begins with; T5-large there."""
    posts: pathlib.Path = tyro.MISSING
    """Filtered TL;DR posts with their summaries, of format `tldr_prompts`."""
    comparisons: pathlib.Path = tyro.MISSING
    """Comparisons of `summarize_from_feedback`, of format `tldr`."""
    articles: pathlib.Path = tyro.MISSING
    """Articles that are written about, of format `xsum`."""
    output: pathlib.Path = pathlib.Path("runs/tldr")
    """Where everything is left; the same folder again resumes where it stopped."""
    methods: tuple[str, ...] = METHODS
    """Rows that are compared with `rl`."""
    seed: int = 0
    """Of every draw; the runs that are compared have this one and the next ones."""
    seeds: int = 3
    """Policies that each method is compared with."""
    text: alignment.Text = alignment.Text(
        prompt_length=448, response_length=64, too_long="beginning"
    )
    splits: alignment.Splits = alignment.Splits(validation=0.05, test=0.05)
    grid: Grid = Grid()
    rate: float = 1e-4
    """Peak learning rate of policies."""
    nash_rate: float = 3e-5
    """Of Nash-MD-PG."""
    imitation_steps: int = 4000
    """Updates on the posts' own summaries; the papers do not say how many."""
    judge: alignment.JudgeTraining = alignment.JudgeTraining(batch_size=32)
    training: alignment.Training = alignment.Training(
        num_steps=30_000,
        batch_size=32,
        optimizer="adafactor",
        schedule="constant",
        save_every=2000,
        evaluate_every=2000,
    )
    evaluation: alignment.Evaluation = alignment.Evaluation(
        num_prompts=2000, num_validation_prompts=2000
    )
    lora: alignment.Adapters = alignment.Adapters()

    def recorded(self) -> dict[str, Any]:
        """Every setting that results depend on; files are known by their content."""
        record: dict[str, Any] = dataclasses.asdict(self)
        record["policy"] = alignment.folder_fingerprint(self.policy)
        for name in ("posts", "comparisons", "articles"):
            record[name] = data.fingerprint(getattr(self, name))
        del record["output"]
        return record

    def check(self) -> None:
        """Requires settings that the protocol can be gone through with.

        Raises:
          ValueError: naming the option, its value, and what it must be.
        """
        options.require_seed(self.seed, self.seeds)
        for name in ("seeds", "rate", "nash_rate", "imitation_steps"):
            options.require(name, getattr(self, name))
        if unknown := set(self.methods) - set(METHODS):
            raise ValueError(
                f"--methods has {', '.join(sorted(unknown))}; the paper's are "
                f"{', '.join(METHODS)}."
            )
        least = ("num_prompts", "num_validation_prompts")
        for group in ("text", "grid", "judge", "training", "evaluation", "lora"):
            options.require_all(getattr(self, group), group, at_least=least)

    def trials(self, name: str) -> list[alignment.Settings]:
        """Returns the settings of a method among which validation prompts decide."""
        kind: Any = alignment.settings_type(name)
        known = {own.name for own in algorithms.find(name).settings}
        taus: Mapping[str, tuple[float, ...]] = {
            "rl": self.grid.rl_taus,
            "nash_md_pg": self.grid.nash_taus,
        }
        rate = self.nash_rate if name == "nash_md_pg" else self.rate
        mixes = self.grid.mixes if "mix" in known else (None,)
        return [
            kind(
                learning_rate=rate,
                tau=tau,
                **({} if mix is None else {"mix": mix}),
            )
            for tau in taus.get(name, self.grid.taus)
            for mix in mixes
        ]


def smoke(config: Config) -> Config:
    """Returns two updates of everything: does it run?

    Args:
      config: whose model and data are used.
    """
    return dataclasses.replace(
        config,
        methods=("ipo_md",),
        seeds=1,
        text=alignment.Text(prompt_length=48, response_length=8, too_long="beginning"),
        splits=alignment.Splits(validation=0.3, test=0.3),
        grid=Grid(rl_taus=(0.05,), taus=(1.0,), mixes=(0.125,)),
        imitation_steps=2,
        judge=alignment.JudgeTraining(batch_size=8),
        training=alignment.Training(
            num_steps=2, batch_size=8, save_every=2, evaluate_every=2
        ),
        evaluation=alignment.Evaluation(num_prompts=8, num_validation_prompts=8),
    )
