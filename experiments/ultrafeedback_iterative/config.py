"""Settings of the protocol: those of the papers, and a size at which it is tried."""

import dataclasses
import pathlib
from typing import Any

import tyro

from nashalign import algorithms, alignment, data, options

METHODS = ("sppo", "inpo", "dno_prct", "comal")
"""Rows whose papers go over UltraFeedback in iterations."""


def settings(rate: float = 5e-7) -> dict[str, alignment.Settings]:
    """Returns the rows' own settings, at the papers' learning rate.

    Args:
      rate: of all.
    """
    return {name: alignment.settings_type(name)(learning_rate=rate) for name in METHODS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(alignment.Several):
    """Three iterations over thirds of the prompts, by several methods."""

    methods: tuple[str, ...] = METHODS
    """Rows that go over the prompts in iterations."""
    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of an instruct model, with its chat template."""
    prompts: pathlib.Path = tyro.MISSING
    """UltraFeedback's prompts, of format `ultrafeedback_prompts`."""
    judge: pathlib.Path = tyro.MISSING
    """Folder of a learned judge with the policy's tokenizer; `nashalign train-judge`
    makes one of UltraFeedback's pairs. Wu et al. 2024 asked PairRM."""
    output: pathlib.Path = pathlib.Path("runs/ultrafeedback")
    """Where everything is left; the same folder again resumes where it stopped."""
    iterations: int = 3
    """Parts of the prompts; each is seen once, by an iterate that moves behind it."""
    text: alignment.Text = alignment.Text(
        prompt_length=512, response_length=512, chat=True
    )
    splits: alignment.Splits = alignment.Splits(validation=0.01, test=0.02)
    training: alignment.Training = alignment.Training(
        batch_size=64, microbatches=16, save_every=100
    )
    evaluation: alignment.Evaluation = alignment.Evaluation(
        num_prompts=800, num_validation_prompts=400
    )
    settings: dict[str, alignment.Settings] = dataclasses.field(
        default_factory=settings
    )

    def recorded(self) -> dict[str, Any]:
        """Every setting that results depend on; files are known by their content."""
        record = super().recorded()
        for name in ("policy", "judge"):
            record[name] = alignment.folder_fingerprint(getattr(self, name))
        record["prompts"] = data.fingerprint(self.prompts)
        del record["output"]
        return record

    def check(self) -> None:
        """Requires settings that the protocol can be gone through with.

        Raises:
          ValueError: naming the option, its value, and what it must be.
        """
        super().check()
        options.require("iterations", self.iterations)
        for name in self.methods:
            if name not in METHODS:
                raise ValueError(
                    f"--methods has {name}; iterations are of {', '.join(METHODS)}."
                )

    def of_parts(self, num_prompts: int) -> "Config":
        """Returns a job whose iterates move behind each part of the prompts.

        Every prompt is drawn once, in an order of the seed's, so that the updates of
        one iteration and those of another have no prompt in common.

        Args:
          num_prompts: in the training split.

        Raises:
          ValueError: a part has fewer prompts than an update.
        """
        period = num_prompts // self.iterations // self.training.batch_size
        if not period:
            raise ValueError(
                f"a part of the {num_prompts} prompts has "
                f"{num_prompts // self.iterations}, and an update "
                f"--training.batch-size {self.training.batch_size}; lower it, or give "
                "more prompts."
            )
        own = {}
        for name, chosen in self.settings.items():
            if name not in self.methods:
                continue
            known = {setting.name for setting in algorithms.find(name).settings}
            changed: dict[str, Any] = {"period": period}
            if "num_inner" in known:
                # Its reference moves behind each part, its iterate within.
                inner = min(4, period)
                changed = {"period": period // inner, "num_inner": inner}
            own[name] = dataclasses.replace(chosen, **changed)
        updates = period * self.iterations
        training = dataclasses.replace(
            self.training, num_steps=updates, evaluate_every=period
        )
        return dataclasses.replace(self, settings=own, training=training)


def smoke(config: Config) -> Config:
    """Returns one update an iteration: does it run?

    Args:
      config: whose model, prompts and judge are used.
    """
    return dataclasses.replace(
        config,
        methods=config.methods[:1],
        iterations=2,
        text=dataclasses.replace(config.text, prompt_length=48, response_length=8),
        splits=alignment.Splits(validation=0.2, test=0.2),
        training=alignment.Training(batch_size=8, save_every=1),
        evaluation=alignment.Evaluation(num_prompts=4, num_validation_prompts=4),
        settings=settings(1e-4),
    )
