"""What a comparison is given: policies, judges, and what is said of the prompts."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from nashalign import algorithms, evaluation, policies, preferences
from nashalign.alignment import examples, logs
from nashalign.alignment.runs import Aligned
from nashalign.alignment.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What aligned policies are compared on."""

    num_prompts: int = 512
    """Test prompts."""
    num_validation_prompts: int = 128
    """Validation prompts of the learning curves."""
    num_samples: int = 10
    """Test prompts shown with every policy's response."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """A policy and how it came about.

    Attributes:
      params: its parameters; None where training has diverged.
      key: of its method in the table of methods; None for the start policy.
      settings: of its method.
      learns: what it learns from, in words.
      suffix: what it is shown after a prompt.
      seconds: its training time; None for the start policy.
      tokens_per_second: of responses in training; None for the start policy.
      optimizer_steps: taken in training; None for the start policy.
      diverged: the update at which its training was given up.
    """

    params: policies.Params | None = None
    key: str | None = None
    settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    learns: str = ""
    suffix: Sequence[int] = ()
    seconds: float | None = None
    tokens_per_second: float | None = None
    optimizer_steps: int | None = None
    diverged: int | None = None


def contestant(
    row: algorithms.Row | str, settings: Settings, aligned: Aligned
) -> Contestant:
    """Returns a trained policy as one of a comparison, with what its log says of it.

    Args:
      row: of its method.
      settings: of its method.
      aligned: what `align` has returned.
    """
    return Contestant(
        params=aligned.params,
        key=row if isinstance(row, str) else row.name,
        settings=settings.own,
        learns=examples.kind(aligned.method),
        suffix=aligned.suffix,
        seconds=logs.seconds(aligned.folder),
        tokens_per_second=logs.tokens_per_second(aligned.folder),
        optimizer_steps=logs.optimizer_steps(aligned.folder),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """Who judges a comparison.

    Attributes:
      name: of the first judge, in titles.
      judge: the first judge, whose verdicts the summary is about.
      learned: a learned judge, whose win rates stand beside them; None without one.
      kinds: of voters, each a judge of its own, whose win rates over the start policy
        have a column each.
    """

    name: str
    judge: preferences.PreferenceAnnotator
    learned: preferences.PreferenceAnnotator | None = None
    kinds: Mapping[str, preferences.PreferenceAnnotator] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pages:
    """What a comparison says of its prompts, and of where its numbers come from.

    Attributes:
      fingerprint: of data and judges, below every table; nothing where it is empty.
      identify: example id -> what others know the prompt by.
      part: example id -> name of the part of the prompts that it is of; None without.
      sample: example id -> the prompt's own fields of `evaluation.Sample`; None where
        it is not to be shown.
      description: what stands above the samples.
      response: what a response is called.
      language: in which prompts are written, for their Markdown.
      voter: what one of the panel's kinds is a kind of.
      published: win rates that others have published, to stand below ours.
      known: variance of a run's win rate over seeds, from elsewhere, for where there is
        one seed a method.
    """

    fingerprint: str = ""
    identify: Callable[[int], str] | None = None
    part: Callable[[int], str] | None = None
    sample: Callable[[int], Mapping[str, str] | None] | None = None
    description: str = ""
    response: str = "response"
    language: str = ""
    voter: str = "voter"
    published: evaluation.Published | None = None
    known: evaluation.Variance | None = None
