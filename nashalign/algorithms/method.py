"""The mechanism of a method: what the one update does, and with which settings.

A method says which prompts are used, who writes a prompt's responses, which of them the
policy is trained on and which are opponents, what the annotator is asked and how its
answer is read, which responses are kept and how much they count, what margins are
measured from, the loss of a group, what a gradient becomes, and when frozen policies
move. What describes it - name, paper, what its settings mean - is its `Row`.
"""

import dataclasses
from typing import Any

from nashalign.algorithms import authors, columns, ratios
from nashalign.algorithms.columns import (
    Author,
    BatchStatistic,
    Counted,
    Draw,
    Head,
    Label,
    Loss,
    Prompting,
    Ratio,
    Refresh,
    Selection,
    Settings,
    Statistic,
    Step,
    Weight,
)
from nashalign.algorithms.conditioning import Conditioning
from nashalign.types import Array, Numeric, pytree

ANNOTATIONS = ("preference", "reward", "none", "data")


def _static(default: Any = dataclasses.MISSING) -> Any:
    """A field that is part of the structure."""
    return dataclasses.field(default=default, metadata={"static": True})


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """What an update does; the mechanism of a `Row`.

    Settings are leaves of the pytree and everything else is its structure, so that one
    compiled update serves every value of the settings, and every row of one structure.

    Attributes:
      members: who writes the responses that the loss trains on, in order (`draw`).
      opponents: who writes those that members meet.
      annotation: what the annotator is asked: `"preference"`, `"reward"`, `"none"`, or
        `"data"`, which is the preference between the data set's responses alone. Where
        a data set's examples bring the answer along, nobody is asked.
      loss: `(method, groups) -> [B, G]`, one number a group, of `groups.log_probs`.
      settings: name -> value; the row's defaults, where it makes the method.
      prompts: `(method, setup, batch) -> batch`, which prompts are used.
      conditioning: the level of a reward that the policy is shown behind a prompt;
        None where it is shown none.
      given: how many responses an example has, where `prompts` makes others of them;
        None where it has as many as the row takes from a data set.
      label: `(method, groups) -> groups`, how the answer is read.
      select: `(method, groups) -> groups`, which responses become members, and which
        groups are kept.
      weight: `(method, groups) -> [B, G]`, how much a group counts; never trained
        through, and never in the denominator.
      regulariser: `(method, groups) -> [B, G]`, added to the loss as it is weighed;
        what a group counts does not change it.
      anchor: what log-ratios are measured from: real weights over frozen policies.
      ratio: `(log_ratios, mask) -> array`, what those of a response's tokens become.
      keeps: frozen policies that are kept though no author, anchor or refresh names
        them: what a loss or a statistic reads, and what `log_ratio` is measured from.
        A row without a reference keeps none, and has no such metric.
      statistics: name -> `(setup, players, frozen, hidden, groups) -> array`, what the
        loss reads besides log-probabilities.
      batch: name -> `(method, groups, reduce) -> array`, statistics of the whole batch,
        among `groups.statistics` for weight and loss; never trained through.
      heads: name -> `(key, policy) -> parameters`, trained beside the policy.
      refresh: `(name, source, rule)`: when a frozen policy moves, and to which.
      step: what a gradient becomes: `plain`, `extragradient`, `epochs(...)`.
    """

    members: tuple[Draw, ...] = _static()
    opponents: tuple[Draw, ...] = _static(())
    annotation: str = _static()
    loss: Loss = _static()
    settings: dict[str, Numeric] = dataclasses.field(default_factory=dict)
    prompts: Prompting = _static(columns.as_given)
    conditioning: Conditioning | None = _static(None)
    given: int | None = _static(None)
    label: Label = _static(columns.as_answered)
    select: Selection = _static(columns.all_members)
    weight: Weight = _static(columns.equal)
    regulariser: Loss = _static(columns.unheld)
    anchor: Author = _static(authors.reference)
    ratio: Ratio = _static(ratios.summed)
    keeps: tuple[str, ...] = _static(("reference",))
    statistics: tuple[tuple[str, Statistic], ...] = _static(())
    batch: tuple[tuple[str, BatchStatistic], ...] = _static(())
    heads: tuple[tuple[str, Head], ...] = _static(())
    refresh: tuple[tuple[str, str, Refresh], ...] = _static(())
    step: Step = _static(columns.plain)

    @property
    def tau(self) -> Numeric:
        """Strength of the regularisation towards the reference.

        Raises:
          KeyError: the row declares no setting `tau`.
        """
        return self.settings["tau"]

    @property
    def mix(self) -> Numeric:
        """Weight on the reference in the mixture; 0 without one."""
        return self.settings.get("mix", 0.0)

    @property
    def authors(self) -> tuple[Author, ...]:
        """Who writes each response of a prompt, the members' first, in order."""
        drawn = (*self.members, *self.opponents)
        return tuple(d.author for d in drawn for _ in range(d.number))

    @property
    def num_members(self) -> int:
        """How many of a prompt's responses, the first, are members."""
        return sum(drawn.number for drawn in self.members)

    @property
    def mixes(self) -> bool:
        """Whether some response is written by the mixture."""
        return authors.mixture in self.authors

    @property
    def num_data(self) -> int:
        """How many responses of a prompt come from a data set."""
        return self.authors.count(authors.data)

    @property
    def num_given(self) -> int:
        """How many responses an example of the data set must have."""
        return self.num_data if self.given is None else self.given

    @property
    def remakes_examples(self) -> bool:
        """Whether the row learns from other prompts than those it is given."""
        return self.prompts is not columns.as_given

    @property
    def num_epochs(self) -> Numeric:
        """Optimizer steps on a batch."""
        return 1 if self.step.epochs is None else self.settings[self.step.epochs]

    @property
    def writers(self) -> tuple[str, ...]:
        """Names of the policies that some author looks at, sorted."""
        names = {n for a in self.authors for n in a(self.example_settings)}
        return tuple(sorted(names - {"data"}))

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen policies that the method needs, sorted."""
        names = {authors.base(name) for name in self.writers}
        names |= {*self.keeps, *self.anchor(self.example_settings)}
        names |= {name for name, _, _ in self.refresh}
        names |= {source for _, source, _ in self.refresh}
        return tuple(sorted(names - {"policy"}))

    @property
    def still(self) -> tuple[str, ...]:
        """Names of the frozen policies that no step moves, sorted."""
        moving = {name for name, _, _ in self.refresh} | {"ahead"}
        return tuple(name for name in self.frozen if name not in moving)

    @property
    def precomputed(self) -> tuple[str, ...]:
        """Names of frozen policies whose log-probabilities examples may bring along.

        They are those that no step moves, where the row reads the responses of a data
        set alone, and behind the prompts that it has them for.
        """
        as_they_are = self.num_data == len(self.authors) and not self.remakes_examples
        return self.still if as_they_are else ()

    @property
    def example_settings(self) -> Settings:
        """The settings before the first step, to learn which policies are named."""
        return {"step": 0, **self.settings}

    def at(self, step: Array) -> "Method":
        """The method at a step of the run, for what follows a schedule."""
        return dataclasses.replace(self, settings={**self.settings, "step": step})

    def with_settings(self, settings: Settings) -> "Method":
        """The method with these values, and the sizes that they say."""
        return dataclasses.replace(
            self,
            settings=dict(settings),
            members=tuple(drawn.counted(settings) for drawn in self.members),
            opponents=tuple(drawn.counted(settings) for drawn in self.opponents),
            heads=tuple(
                (name, head.counted(settings) if isinstance(head, Counted) else head)
                for name, head in self.heads
            ),
        )
