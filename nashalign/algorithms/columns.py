"""What the columns of a row are: how each is called, and what it is by default.

A column is a pure function, or a frozen value that can be called: equal by value, so
that methods made twice are one structure and share a compiled program. A value says
what it is by its `formula`, a function by its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import chex
import jax.numpy as jnp

from nashalign.types import Array, Examples, Groups, Numeric, Prompts

if TYPE_CHECKING:
    from nashalign import policies
    from nashalign.algorithms.method import Method
    from nashalign.algorithms.state import Setup

Settings = Mapping[str, Numeric]
# Parameters by name: of what is trained, or of frozen policies.
Players = Mapping[str, Any]
# Sums a pytree over devices.
Reduce = Callable[[Any], Any]


class Author(Protocol):
    """Who writes, or what is measured from: a geometric mixture of named policies."""

    def __call__(self, settings: Settings, /) -> dict[str, Numeric]:
        """Returns each policy's weight, by its name; the names never change."""
        ...


class Loss(Protocol):
    """What the policy is trained by."""

    def __call__(self, method: Method, groups: Groups, /) -> Array:
        """Returns one number a group, `[B, G]`, of `groups.log_probs`."""
        ...


class Weight(Protocol):
    """How much groups count; never trained through, and never in the denominator."""

    def __call__(self, method: Method, groups: Groups, /) -> Array:
        """Returns one number a group, `[B, G]`, at least 0."""
        ...


class Selection(Protocol):
    """Which responses become members, and which groups are kept."""

    def __call__(self, method: Method, groups: Groups, /) -> Groups:
        """Returns the annotated groups with other members, opponents or `kept`."""
        ...


class Label(Protocol):
    """How an annotator's answer is read."""

    def __call__(self, method: Method, groups: Groups, /) -> Groups:
        """Returns the groups with another preference, or other rewards."""
        ...


class Prompting(Protocol):
    """Which prompts are used, and with what behind them."""

    def __call__(
        self, method: Method, setup: Setup, batch: Prompts | Examples, /
    ) -> Prompts | Examples:
        """Returns what is answered, or learnt from, in the place of the batch."""
        ...


class Ratio(Protocol):
    """What the log-ratios of a response's tokens become."""

    def __call__(self, log_ratios: Array, mask: Array, /) -> Array:
        """Returns one number a response `[..., N]` from `[..., N, T]` of each."""
        ...


class Statistic(Protocol):
    """What a loss reads besides log-probabilities."""

    def __call__(
        self,
        setup: Setup,
        players: Players,
        frozen: Players,
        hidden: Array,
        groups: Groups,
        /,
    ) -> Array:
        """Returns an array whose first axes are `[B, N]`; see `statistics`."""
        ...


class BatchStatistic(Protocol):
    """A statistic of the whole batch; never trained through."""

    def __call__(self, method: Method, groups: Groups, reduce: Reduce, /) -> Array:
        """Returns an array that is the same on every device."""
        ...


class Head(Protocol):
    """What is trained beside the policy."""

    def __call__(
        self, key: chex.PRNGKey, policy: policies.Policy, /
    ) -> policies.Params:
        """Returns its first parameters."""
        ...


class Refresh(Protocol):
    """When a frozen policy moves, and how far."""

    def __call__(
        self,
        settings: Settings,
        step: Array,
        frozen: Array,
        source: Array,
        /,
    ) -> Array:
        """Returns a leaf of its parameters after a step."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A column, or a part of one, whose size is a setting of the row."""

    def counted(self, settings: Settings) -> Any:
        """Returns it with the size that the settings say."""
        ...


@dataclasses.dataclass(frozen=True)
class Draw:
    """So many responses of one author; `draw` makes them.

    Attributes:
      author: who writes.
      number: how many.
      setting: the setting that the number is; None where the row fixes it.
    """

    author: Author
    number: int
    setting: str | None = None

    def counted(self, settings: Settings) -> Draw:
        """Returns it with as many responses as its setting says."""
        if self.setting is None:
            return self
        return dataclasses.replace(self, number=int(settings[self.setting]))


def draw(author: Author, number: int | str = 1) -> tuple[Draw, ...]:
    """Returns responses of an author, to be added to those of others.

    Args:
      author: who writes, of `authors`.
      number: how many responses, at least 1; or the name of the setting that says so.
    """
    if isinstance(number, str):
        return (Draw(author, 0, number),)
    return (Draw(author, number),)


@dataclasses.dataclass(frozen=True)
class Step:
    """What a gradient becomes.

    Attributes:
      formula: in words.
      looks_ahead: whether the first gradient moves `ahead`, and the second, taken at
        the same place against `ahead` and on draws of its own, moves the policy.
      epochs: the setting that is the number of optimizer steps on a batch. What losses
        read of the players before the first of them is in `groups.statistics`, under
        `"old_log_probs"` and `"old_"` before each statistic. None for one step.
    """

    formula: str
    looks_ahead: bool = False
    epochs: str | None = None


plain = Step("plain")
extragradient = Step("extragradient", looks_ahead=True)


def epochs(setting: str = "num_epochs") -> Step:
    """Several optimizer steps on every batch, as many as the setting says."""
    return Step(f"{setting} optimizer steps an update", epochs=setting)


def as_given(method: Method, setup: Setup, batch: Prompts | Examples):
    """Prompts are used as they come."""
    del method, setup
    return batch


def as_answered(method: Method, groups: Groups) -> Groups:
    """What the annotator says is what the loss reads."""
    del method
    return groups


def all_members(method: Method, groups: Groups) -> Groups:
    """Every member is kept."""
    del method
    return groups


def equal(method: Method, groups: Groups) -> Array:
    """Every group counts the same."""
    del method
    return jnp.ones(groups.members.shape[:2], groups.probability.dtype)


def unheld(method: Method, groups: Groups) -> Array:
    """Nothing is added to what the row weighs."""
    del method
    return jnp.zeros(groups.members.shape[:2], groups.probability.dtype)


def formula(column: Any) -> str:
    """Returns what a column is, in words: its formula, or the name of the function."""
    found = getattr(column, "formula", None)
    return (
        getattr(column, "__name__", str(column)).replace("_", " ")
        if (found is None)
        else found
    )
