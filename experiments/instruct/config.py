"""Settings of the job, and its sizes."""

import dataclasses
import pathlib
from typing import Any

from nashalign import algorithms, alignment

METHODS = ("online_ipo", "ipo_md", "nash_md_pg")

# Adapters start at zero, and take a rate that would tear whole policies apart.
_ADAPTERS_RATE, _WHOLE_RATE = 1e-3, 3e-5
_CHOSEN = {
    # Targets of 1 / (2 tau) = 50 nats at most, and of 10 or so at the preferences that
    # there are. At tau = .05 they were less than what eight pairs do to margins by
    # chance, and the loss mostly pulled these back.
    "online_ipo": {"tau": 0.01},
    "ipo_md": {"tau": 0.01, "mix": 0.125},
    "nash_md_pg": {"tau": 0.01, "mix": 0.125},
}


def settings(rate: float = _ADAPTERS_RATE) -> dict[str, alignment.Settings]:
    """Returns settings of all rows: the chosen ones, and the table's elsewhere.

    Args:
      rate: the learning rate of all.
    """
    return {
        name: alignment.settings_type(name)(learning_rate=rate, **_CHOSEN.get(name, {}))
        for name in algorithms.TABLE
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(alignment.Several):
    """A chat model aligned to a population of reviewers by several methods."""

    methods: tuple[str, ...] = METHODS
    """Rows of the table of methods (`python -m nashalign.algorithms` prints it), in the
    order in which they are trained."""
    policy: pathlib.Path = pathlib.Path("runs/smollm2")
    """Hugging Face folder of the start policy, with tokenizer and chat template."""
    output: pathlib.Path = pathlib.Path("runs/instruct")
    """Where everything is left; the same folder again resumes where it stopped."""
    text: alignment.Text = alignment.Text(response_length=48)
    lora: alignment.Adapters = alignment.Adapters(rank=8)
    training: alignment.Training = alignment.Training(
        num_steps=30, batch_size=8, save_every=10, evaluate_every=10, remat=False
    )
    evaluation: alignment.Evaluation = alignment.Evaluation(
        num_prompts=50, num_validation_prompts=30
    )
    settings: dict[str, alignment.Settings] = dataclasses.field(
        default_factory=settings
    )

    def recorded(self) -> dict[str, Any]:
        """Every setting that results depend on; the start policy is known by a hash."""
        policy = alignment.folder_fingerprint(self.policy)
        record = super().recorded() | {"policy": policy}
        del record["output"]
        return record

    def check(self) -> None:
        """Requires settings that the job can be done with, before any of it is done.

        Raises:
          ValueError: naming the method or the setting, its value, and what it must be.
        """
        super().check()
        for name in self.methods:
            known = {algorithms.rounds.PREFERENCE, algorithms.rounds.TEXTS}
            for need in sorted(self.needs(name) - known):
                raise ValueError(
                    f"{name} needs {need}, and reviewers say which of two answers is "
                    "better, and nothing else; choose another of the --methods."
                )
        if not (self.policy / "config.json").is_file():
            raise ValueError(
                f"--policy {self.policy} has no config.json; give the Hugging Face "
                "folder of a chat model, such as the one that python -m "
                "experiments.from_gguf writes."
            )


def whole(config: Config) -> Config:
    """Returns a job that trains all parameters, at a learning rate for them.

    Args:
      config: with adapters.
    """
    return dataclasses.replace(
        config,
        output=config.output.with_name(f"{config.output.name}-whole"),
        lora=alignment.Adapters(),
        # Beside the state of the optimizer, layers are not kept for the backward pass.
        training=dataclasses.replace(config.training, remat=True),
        settings=settings(_WHOLE_RATE),
    )


def quick() -> Config:
    """A few updates of one method, for a first impression."""
    return Config(
        methods=("online_ipo",),
        output=pathlib.Path("runs/instruct-quick"),
        training=alignment.Training(
            num_steps=6, batch_size=8, save_every=3, evaluate_every=6, remat=False
        ),
    )


def smoke() -> Config:
    """Two small updates of one method: does it run?"""
    return Config(
        methods=("ipo_md",),
        output=pathlib.Path("runs/instruct-smoke"),
        text=alignment.Text(response_length=16),
        training=alignment.Training(
            num_steps=2, batch_size=8, save_every=1, evaluate_every=2
        ),
        evaluation=alignment.Evaluation(
            num_prompts=8, num_validation_prompts=8, num_samples=3
        ),
    )
