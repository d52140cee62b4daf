"""Judges of given pairs: trained on some prompts, and measured on others."""

import dataclasses
import pathlib
from typing import Any, Literal

import jax
import numpy as np

from nashalign import evaluation, policies, preferences, terminal
from nashalign.alignment import asking, fitting, optimizers, texts, votes
from nashalign.alignment import task as tasks
from nashalign.alignment.adapters import Adapters, with_adapters
from nashalign.alignment.runs import Dtype, Training

_PAIR = ((0, 1),)
_STAGE = 60
# Of a head on a language model as it is, and of adapters, which begin at zero.
_WHOLE_RATE, _ADAPTERS_RATE = 2e-5, 2e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeTraining:
    """How a judge learns from pairs."""

    num_epochs: int = 1
    """How often the pairs are read; more than once or twice, and they are learnt by
    heart."""
    batch_size: int = 16
    """Pairs of an update."""
    learning_rate: float | None = None
    """Peak of the optimizer's schedule; by default 2e-5, and 2e-4 of adapters."""
    optimizer: optimizers.Rule = "adam"
    """What a gradient becomes, clipped to norm 1."""
    remat: bool = True
    """Whether the backward pass computes each layer again instead of keeping it, which
    takes less memory."""
    compute_dtype: Dtype | None = None
    """In what the judge computes; by default bfloat16 on an accelerator."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Committee:
    """How many judges are trained, and how they become one."""

    size: int = 1
    """Judges, each with a head, an order of the pairs and adapters of its own."""
    combine: Literal["mean", "worst_case", "average_weights"] = "mean"
    """All are asked, and their mean or the least of their rewards is the answer; or one
    is asked whose parameters are the mean of theirs (Rame et al. 2024)."""

    def check(self, kind: str) -> None:
        """Requires that judges of a kind can be combined so.

        Raises:
          ValueError: pairwise models have no rewards, whose least there would be.
        """
        if kind == "preference" and self.combine == "worst_case":
            raise ValueError(
                "--committee.combine worst_case is the least of rewards, and a model "
                "of --kind preference has none; combine by mean or average_weights."
            )


def train_judges(
    pairs: texts.TextTask,
    kind: str,
    how: JudgeTraining,
    *,
    num_judges: int = 1,
    lora: Adapters | None = None,
    folder: pathlib.Path,
    seed: int = 0,
    mesh: jax.sharding.Mesh | None = None,
) -> list[fitting.Judge]:
    """Trains judges on the training pairs, or resumes their runs where they stopped.

    Args:
      pairs: prompts with pairs, and the policy that judges begin with.
      kind: `"preference"`, a model that reads both responses, or `"reward"`, one whose
        differences of rewards are log-odds.
      how: size and rate of the updates.
      num_judges: how many, which differ in their seeds.
      lora: adapters that are trained in the place of whole policies; they are merged.
      folder: where the runs are kept.
      seed: of the first judge; the others have the next ones.
      mesh: the devices; all of them by default.

    Raises:
      ValueError: a pair does not fit the context.
    """
    _require_context(pairs.task, kind)
    voted = _votes(pairs, "train")
    if (cut := voted.responses.truncated.mean()) > 0:
        terminal.console().print(
            f"{cut:.1%} of the responses are longer than the --text.response-length of "
            f"{pairs.task.decoding.max_length} tokens, and judged by their beginnings"
        )
    judges = []
    for number in range(num_judges):
        own = seed + number
        start = _begun(pairs.task, lora or Adapters(), how, own)
        judge = fitting.fit(
            start,
            kind,
            voted,
            _PAIR,
            fitting.Fitting(
                batch_size=how.batch_size,
                learning_rate=_rate(how, lora),
                num_epochs=how.num_epochs,
                rule=how.optimizer,
            ),
            eos_id=pairs.task.tokenizer.closing_id,
            key=tasks.stage_key(own, _STAGE),
            folder=folder / str(number + 1),
            seed=own,
            mesh=mesh,
            name=f"{kind} model" + (f" {number + 1}" if num_judges > 1 else ""),
        )
        judges.append(_merged(judge, start, pairs.task.start.policy))
    return judges


def measure_judge(
    judge: preferences.Annotator, pairs: texts.TextTask, split: str = "test"
) -> evaluation.Calibration:
    """Returns how often a judge is right on pairs, and whether it knows how often.

    Args:
      judge: whom to ask; where it has rewards alone, their differences are log-odds.
      pairs: prompts with pairs.
      split: whose.

    Raises:
      ValueError: the split has fewer than two prompts.
    """
    voted = _votes(pairs, split)
    clusters = list(pairs.task.prompts[split].clusters)
    return evaluation.measure_calibration(
        asking.compare_pairs(judge, voted.prompts, voted.responses),
        np.asarray(voted.votes)[:, 0, 1],
        clusters=clusters,
    )


def _votes(pairs: texts.TextTask, split: str) -> votes.Votes:
    """The pairs of a split as votes on the responses to its prompts."""
    found = pairs.pairs(split)
    preference: Any = found.preference  # pairs have one
    return votes.Votes(
        prompts=found.prompts,
        responses=found.responses,
        preference=preference,
        votes=preference,
    )


def _begun(task: tasks.Task, lora: Adapters, how: JudgeTraining, seed: int):
    """What a judge begins with: the policy, as it is to be computed."""
    own = Training(remat=how.remat, compute_dtype=how.compute_dtype)
    start = with_adapters(task, lora, own, seed).start
    memory = own.memory_on(jax.default_backend())
    policy = start.policy if memory.remat else start.policy.without_remat
    policy = policies.computing_in(policy or start.policy, memory.compute_dtype)
    return dataclasses.replace(start, policy=policy)


def _rate(how: JudgeTraining, lora: Adapters | None) -> float:
    """The learning rate that is asked for, or the usual one."""
    if how.learning_rate is not None:
        return how.learning_rate
    adapted = lora is not None and lora.rank is not None
    return _ADAPTERS_RATE if adapted else _WHOLE_RATE


def _merged(judge: fitting.Judge, start: policies.Pretrained, policy: policies.Policy):
    """The judge without adapters of its own, as a folder of a judge holds it."""
    own = judge.params["policy"]
    if start.lora is not None:
        own = policies.lora.merged(own, start.lora)
    params = {**judge.params, "policy": own}
    return dataclasses.replace(judge, params=params, policy=policy)


def _require_context(task: tasks.Task, kind: str) -> None:
    """Requires that whatever a judge reads at once fits its context."""
    response = task.decoding.max_length + 1  # An end token closes what was cut.
    most = task.prompt_length + response * (2 if kind == "preference" else 1)
    if most > task.start.policy.context:
        responses = "two responses" if kind == "preference" else "a response"
        raise ValueError(
            f"a model of --kind {kind} reads a prompt of {task.prompt_length} tokens "
            f"and {responses} of {response} at once, which exceeds the "
            f"{task.start.policy.context} of the context of {task.folder}; lower "
            "--text.response-length or --text.prompt-length."
        )
