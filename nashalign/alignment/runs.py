"""A run of one policy: its size, what it is given, and what comes of it."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np

from nashalign import algorithms, policies, training
from nashalign.alignment import asking, examples, optimizers, own_judge, steps
from nashalign.alignment import task as tasks
from nashalign.alignment.validation import Validation
from nashalign.types import Prompts

Tracker = training.Tracker
Dtype = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How a policy is aligned."""

    num_steps: int = 60
    """Updates of a method."""
    batch_size: int = 32
    """Prompts of an update; how many responses each has is up to the row."""
    prompt_lengths: int = 1
    """To how many different lengths the prompts of an update are padded, and responses
    where all are given, each batch to the shortest that holds it: what is drawn is the
    same, more lengths save work on padding, and each is a compilation of its own."""
    optimizer: optimizers.Rule = "adam"
    """What a gradient becomes, clipped to norm 1: Adam; AdamW, with a decay of .01;
    Adafactor, whose learning rate is relative to each array's size; Muon for the
    layers' matrices, scaled as Adam; or a plain step."""
    schedule: optimizers.Schedule = "cosine"
    """Of the learning rate, after a warm-up of a tenth of the updates: a cosine down to
    zero, or constant."""
    save_every: int = 20
    """Updates between checkpoints."""
    evaluate_every: int = 10
    """Updates between looks at the validation prompts."""
    kl_budget: float | None = None
    """Nats a response from the start policy: training ends at the first look at the
    validation prompts that finds as many. None is no limit."""
    remat: bool = True
    """Whether the backward pass computes each layer again instead of keeping it, which
    takes less memory."""
    microbatches: int = 1
    """Pieces in which a batch's responses are read for the gradient: less memory for
    one more reading. They must divide the batch."""
    pieces: int = 1
    """Pieces in which a batch is written where an annotator of text is asked on the
    host: it answers about one while the device writes the next. They must divide the
    batch."""
    ahead: bool = False
    """Whether each batch is written one update early, while an annotator on the host is
    asked about the one before: from the second update on, responses are those of the
    policy one update ago."""
    frozen_dtype: Dtype | None = None
    """In what policies are kept that stay where they are, such as the reference; by
    default bfloat16 on an accelerator, and what the policy itself is in on a CPU."""
    compute_dtype: Dtype | None = None
    """In what policies compute; by default bfloat16 on an accelerator, and what their
    parameters are in on a CPU. What is trained is kept in its own, log-probabilities
    and losses are in float32."""

    def memory_on(self, platform: str) -> algorithms.Memory:
        """Returns what is traded for memory on a kind of device.

        Args:
          platform: such as `"cpu"`.
        """
        usual = None if platform == "cpu" else "bfloat16"
        return algorithms.Memory(
            remat=self.remat,
            num_microbatches=self.microbatches,
            frozen_dtype=self.frozen_dtype or usual,
            compute_dtype=self.compute_dtype or usual,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """A policy, and where its run is kept.

    Attributes:
      params: its parameters after the last update.
      num_steps: updates that it has seen; fewer than asked for where the budget of KL
        has ended the run.
      method: of the last round.
      folder: of its logs and checkpoints, and of `best`, the policy with the highest
        win rate on the validation prompts.
      suffix: tokens that it is shown behind a prompt; none for most rows.
    """

    params: policies.Params
    num_steps: int
    method: algorithms.Method
    folder: pathlib.Path
    suffix: Sequence[int] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What stays the same through the rounds of a run; see `align`."""

    task: tasks.Task
    annotators: asking.Annotators
    training: Training
    learning_rate: float
    data_set: examples.DataSet | None
    validation: Validation | None
    mesh: jax.sharding.Mesh
    folder: pathlib.Path
    seed: int
    track: Sequence[Tracker]

    @functools.cached_property
    def base(self) -> policies.Params | None:
        """What the policies have in common on the mesh; None where all is trained."""
        params = self.task.start.params
        if not policies.lora.has_adapters(params):
            return None
        base = policies.lora.base(params)
        return jax.device_put(base, steps.sharding(base, self.mesh))

    @property
    def memory(self) -> algorithms.Memory:
        """What is traded for memory, on the devices that there are."""
        return self.training.memory_on(self.mesh.devices.flat[0].platform)

    def context(
        self, setup: algorithms.Setup, state: algorithms.State
    ) -> algorithms.Context:
        """Returns what a round may look at; what it makes is made on one device.

        Args:
          setup: of the run.
          state: where the run stands.
        """
        given = self.data_set or examples.DataSet()
        state = jax.device_put(state, jax.local_devices()[0])
        # A judge is asked for by rounds that need one (`require`).
        judge: Any = given.judge or self.annotators.get("reward")
        return algorithms.Context(
            setup=setup,
            state=state,
            given=given.sampled,
            dimensions=given.dimensions,
            score=functools.partial(asking.score, judge),
            answer=own_judge.answering(self.task, setup.policy, state.params),
            draw_prompts=self.draw_prompts,
        )

    def draw_prompts(self, begin: int, end: int) -> Prompts:
        """Returns the training prompts of some places in a shuffled, endless order."""
        number = len(self.task.prompts["train"])
        shuffled = self.task.rows("train", number, self.seed)
        rows = np.take(shuffled, np.arange(begin, end), mode="wrap")
        return self.task.batch("train", rows)
