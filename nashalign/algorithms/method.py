"""A method as data: one row of the table.

A row says which prompts are used, who writes a prompt's responses, which of them the
policy is trained on and which are opponents, what the annotator is asked and how its
answer is read, which responses are kept and how much they count, what margins are
measured from, the loss of a group, and when frozen policies move. The update
(`update.py`) is shared; a new paper is a new row.
"""

import dataclasses
from collections.abc import Callable

import chex
import jax.numpy as jnp

from nashalign.algorithms import players
from nashalign.algorithms.players import Refresh, Settings, Weights
from nashalign.types import Groups, pytree

Loss = Callable[["Method", Groups], chex.Array]


def as_given(method, setup, batch):
    """Prompts are used as they come."""
    del method, setup
    return batch


def as_answered(method, groups):
    """What the annotator says is what the loss reads."""
    del method
    return groups


def all_members(method, groups):
    """Every member is kept."""
    del method
    return groups


def equal(method, groups):
    """Every group counts the same."""
    return jnp.ones(groups.members.shape[:2], groups.probability.dtype)


def unheld(method, groups):
    """Nothing is added to what the row weighs."""
    return jnp.zeros(groups.members.shape[:2], groups.probability.dtype)


def _static(default=dataclasses.MISSING):
    """A field that is part of the structure."""
    return dataclasses.field(default=default, metadata={"static": True})


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One way of aligning a policy; a row of `TABLE`.

    Settings are leaves of the pytree, so that one compiled update serves every value of
    them.

    Attributes:
      title: the method's name in its paper.
      paper: authors, year, arXiv number.
      authors: who writes each response of a prompt, in order (`players.py`).
      num_members: how many of them, the first, the loss trains on; the rest are
        opponents of a member.
      annotation: what the annotator is asked: `"preference"`, `"reward"`, `"none"`, or
        `"data"`, which is the preference between the data set's responses alone. Where
        a data set's examples bring the answer along, nobody is asked.
      loss: `(method, groups) -> [B, G]`, one number per group, of `groups.log_probs`.
      settings: what the paper leaves to choose, name -> value (`settings.py`).
      prompts: `(method, setup, batch) -> batch`, which prompts are used.
      label: `(method, groups) -> groups`, how the answer is read.
      select: `(method, groups) -> groups`, which responses become members, and which
        groups are kept.
      weight: `(method, groups) -> [B, G]`, how much a group counts; never trained
        through, and never in the denominator.
      regulariser: `(method, groups) -> [B, G]`, added to the loss as it is weighed;
        what a group counts does not change it.
      anchor: what margins are measured from: real weights over frozen policies.
      statistics: name -> `(setup, players, frozen, hidden, groups) -> array`, what the
        loss reads besides log-probabilities.
      batch: name -> `(method, groups, reduce) -> array`, statistics of the whole batch,
        among `groups.statistics` for weight and loss; never trained through.
      heads: name -> `(key, policy) -> parameters`, trained beside the policy.
      refresh: `(name, source, rule)`: when a frozen policy moves, and to which.
      extragradient: whether a step looks ahead: the first gradient moves `ahead`, the
        second, taken at the same place against `ahead` and on draws of its own, moves
        the policy.
      divides_by_tau: whether tau must be > 0 rather than >= 0.
      exactness: how far the enumerated update is the expected one: `"exact"`,
        `"exact without ..."` or `"sampled only"`.
      departures: what the paper does that the row does not, one line each.
    """

    title: str = _static()
    paper: str = _static()
    authors: tuple[Weights, ...] = _static()
    num_members: int = _static()
    annotation: str = _static()
    loss: Loss = _static()
    settings: dict[str, chex.Numeric]
    prompts: Callable = _static(as_given)
    label: Callable[["Method", Groups], Groups] = _static(as_answered)
    select: Callable[["Method", Groups], Groups] = _static(all_members)
    weight: Loss = _static(equal)
    regulariser: Loss = _static(unheld)
    anchor: Weights = _static(players.reference)
    statistics: tuple[tuple[str, Callable], ...] = _static(())
    batch: tuple[tuple[str, Callable], ...] = _static(())
    heads: tuple[tuple[str, Callable], ...] = _static(())
    refresh: tuple[tuple[str, str, Refresh], ...] = _static(())
    extragradient: bool = _static(False)
    divides_by_tau: bool = _static(False)
    exactness: str = _static("exact")
    departures: tuple[str, ...] = _static(())

    @property
    def tau(self) -> chex.Numeric:
        """Strength of the regularisation towards the reference; 0 without one."""
        return self.settings.get("tau", 0.0)

    @property
    def mix(self) -> chex.Numeric:
        """Weight on the reference in the mixture; 0 without one."""
        return self.settings.get("mix", 0.0)

    @property
    def mixes(self) -> bool:
        """Whether some response is written by the mixture."""
        return players.mixture in self.authors

    @property
    def num_data(self) -> int:
        """How many responses of a prompt come from a data set."""
        return self.authors.count(players.data)

    @property
    def writers(self) -> tuple[str, ...]:
        """Names of the policies that some author looks at, sorted."""
        names = {n for a in self.authors for n in a(self.example_settings)}
        return tuple(sorted(names - {"data"}))

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen policies, the reference always among them, sorted."""
        names = {players.base(name) for name in self.writers}
        names |= {"reference", *self.anchor(self.example_settings)}
        names |= {name for name, _, _ in self.refresh}
        names |= {source for _, source, _ in self.refresh}
        return tuple(sorted(names - {"policy"}))

    @property
    def example_settings(self) -> Settings:
        """The settings before the first step, to learn which policies are named."""
        return {"step": 0, **self.settings}

    def at(self, step: chex.Array) -> "Method":
        """The row at a step of the run, for what follows a schedule."""
        return dataclasses.replace(self, settings={**self.settings, "step": step})
