"""Losses made of losses: of a pair's margin, sums, shares, and other members.

All are frozen values, equal by value, that say what they are by their formula.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable

import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from nashalign.algorithms import readings
from nashalign.algorithms.columns import Loss, Settings, formula
from nashalign.algorithms.method import Method
from nashalign.types import Array, Groups, Numeric

# What the tau of a pair loss is, from the method's settings.
Tau = Callable[[Settings], Numeric]


def own_tau(settings: Settings) -> Numeric:
    """The tau of a pair loss is that of the method."""
    return settings["tau"]


def inverse_eta(settings: Settings) -> Numeric:
    """The tau of a pair loss is the inverse of a mirror-descent step."""
    return 1 / settings["eta"]


def unit_tau(settings: Settings) -> Numeric:
    """The pair loss takes margins as they are."""
    del settings
    return 1.0


def best_of_n_tau(settings: Settings) -> Numeric:
    """BoNBoN's: 1 / (2 (n - 1) (1 + 1/2 + ... + 1 / (n - 1))), n the `num_responses`.

    Then IPO's target is the margin that the best-of-n policy has between best and
    worst, in expectation.
    """
    number = jnp.asarray(settings["num_responses"], float)
    # The sum of the first n - 1 inverses, for any n: it may be traced.
    harmonic = jax.scipy.special.digamma(number) + np.euler_gamma
    return 1 / (2 * (number - 1) * harmonic)


@dataclasses.dataclass(frozen=True)
class Contrastive:
    """The loss of a comparison from a loss of its margin and preference.

    Attributes:
      pair_loss: `(margin, preferred, *, ...)`, of `losses`.
      tau: what its `tau` is; None where it takes none.
      settings: its other arguments, and the method's settings that they are.
      first_has_won: whether the first member has won, whoever says so.
    """

    pair_loss: Callable[..., Array]
    tau: Tau | None = own_tau
    settings: tuple[tuple[str, str], ...] = ()
    first_has_won: bool = False

    @property
    def formula(self) -> str:
        """The pair loss, and its tau where that is not the method's."""
        other = self.tau not in (None, own_tau)
        name = formula(self.pair_loss) + (f" ({formula(self.tau)})" if other else "")
        return name + (", the first has won" if self.first_has_won else "")

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        given = {name: method.settings[own] for name, own in self.settings}
        if self.tau is not None:
            given["tau"] = self.tau(method.settings)
        margin = readings.margin(method, groups)
        won = self.first_has_won
        preferred = jnp.ones_like(margin) if won else readings.preferred(groups)
        return self.pair_loss(margin, preferred, **given)


def contrastive(
    pair_loss: Callable[..., Array], tau: Tau | None = own_tau, **settings: str
) -> Contrastive:
    """The loss of a comparison from a loss of its margin and preference.

    Args:
      pair_loss: `(margin, preferred, *, ...)`, of `losses`.
      tau: what its `tau` is; None where it takes none.
      **settings: its other arguments, by the names of the method's settings.
    """
    return Contrastive(pair_loss, tau, tuple(sorted(settings.items())))


def chosen(pair_loss: Callable[..., Array], tau: Tau = own_tau) -> Contrastive:
    """The loss of a pair whose first member has won, whoever says so."""
    return Contrastive(pair_loss, tau, first_has_won=True)


@dataclasses.dataclass(frozen=True)
class Sum:
    """Losses, each times a coefficient of the settings.

    Attributes:
      terms: losses, in order.
      coefficients: one for each, in words, and as a function of the settings; None
        for 1.
    """

    terms: tuple[Loss, ...]
    coefficients: tuple["Coefficient | None", ...]

    @property
    def formula(self) -> str:
        """The sum, with the names of the settings."""
        pairs = zip(self.coefficients, self.terms, strict=True)
        shown = [f"{c.formula} * {_term(t)}" if c else formula(t) for c, t in pairs]
        return " + ".join(shown)

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        pairs = zip(self.coefficients, self.terms, strict=True)
        values = [
            c(method.settings) * t(method, groups) if c else t(method, groups)
            for c, t in pairs
        ]
        return functools.reduce(operator.add, values)


@dataclasses.dataclass(frozen=True)
class Coefficient:
    """A setting of the method, or what is left of 1."""

    setting: str
    rest: bool = False

    @property
    def formula(self) -> str:
        """With the setting's name."""
        return f"(1 - {self.setting})" if self.rest else self.setting

    def __call__(self, settings: Settings) -> Numeric:
        """See the class."""
        value = settings[self.setting]
        return 1 - value if self.rest else value


def added(first: Loss, coefficient: str, second: Loss) -> Sum:
    """One loss, plus a setting of the method times another."""
    return Sum((first, second), (None, Coefficient(coefficient)))


def shared(share: str, first: Loss, second: Loss) -> Sum:
    """A setting's share of one loss, and the rest of another."""
    return Sum((first, second), (Coefficient(share), Coefficient(share, rest=True)))


def times(coefficient: str, loss: Loss) -> Sum:
    """A setting of the method times a loss."""
    return Sum((loss,), (Coefficient(coefficient),))


@dataclasses.dataclass(frozen=True)
class LastPair:
    """A loss of a pair, on the last two members."""

    loss: Loss

    @property
    def formula(self) -> str:
        """The loss, and of which pair."""
        return f"{formula(self.loss)} of the last pair"

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        members = groups.members[..., -2:]
        return self.loss(method, dataclasses.replace(groups, members=members))


def last_pair(loss: Loss) -> LastPair:
    """A loss of a pair, on the last two members."""
    return LastPair(loss)


def _term(loss):
    """A loss as a factor: a sum of several is in brackets."""
    several = isinstance(loss, Sum) and len(loss.terms) > 1
    return f"({formula(loss)})" if several else formula(loss)
