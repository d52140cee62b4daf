"""What every setting of a row is, and the door at which its values are checked."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from nashalign import checks
from nashalign.algorithms.method import Method
from nashalign.algorithms.players import historical, proximal


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting that rows leave open.

    Attributes:
      meaning: what it is, with its unit.
      must: what its values must be, in words that follow its name.
      good: whether a value is.
    """

    meaning: str
    must: str
    good: Callable[[float], bool]


def _positive(meaning: str) -> Setting:
    return Setting(
        meaning, "must be positive and finite", lambda value: 0 < value < math.inf
    )


def _not_negative(meaning: str) -> Setting:
    return Setting(
        meaning, "must be finite and >= 0", lambda value: 0 <= value < math.inf
    )


def _finite(meaning: str) -> Setting:
    return Setting(meaning, "must be finite", math.isfinite)


def _share(meaning: str) -> Setting:
    return Setting(meaning, "must be in [0, 1]", lambda value: 0 <= value <= 1)


def _count(meaning: str, least: int = 1) -> Setting:
    return Setting(
        meaning,
        f"must be a whole number, at least {least}",
        lambda value: least <= value < math.inf and value % 1 == 0,
    )


SETTINGS: dict[str, Setting] = {
    "alpha": _not_negative("weight of the second term, or softness of a choice"),
    "backward": _share("weight of the backward divergence"),
    "clip": _positive("how far a ratio of probabilities may move from 1"),
    "decay": _share("share of the past in a running mean of parameters"),
    "degree": _not_negative("weight of telling degrees of corruption apart"),
    "eta": _positive("step of mirror descent, nats for a win rate of 1 over 0"),
    "flip": Setting(
        "rate of wrong labels",
        "must be in [0, 1/2)",
        lambda value: 0 <= value < 0.5,
    ),
    "follow": _share("weight on the iterate, the rest on the reference"),
    "forward": _not_negative("weight of the reference's ratio to the policy"),
    "gap": _share("weight on the conditioned policy at first"),
    "half_life": _positive("updates in which the gap is halved"),
    "highest": _finite("reward at which the last level ends"),
    "likelihood": _not_negative("weight of the likelihood"),
    "lowest": _finite("reward at which the first level begins"),
    "margin": _not_negative("margin asked for, nats, or gap of win rates"),
    "mix": _share("weight on the reference in the mixture"),
    "num_degrees": _count("degrees of corruption", 2),
    "num_epochs": _count("optimizer steps on a batch"),
    "num_inner": _count("periods after which the reference moves"),
    "num_responses": _count("responses to a prompt that are trained on", 2),
    "penalty": _finite("taken from the reward for each token"),
    "period": _count("updates after which the iterate moves"),
    "power": _finite("exponent of a pair's likelihood in its weight"),
    "pull": _not_negative("weight of the squared log-ratio from the reference"),
    "recent": _share("weight on the last iterate, the rest on the one before"),
    "replay": _share("share of the data set's pairs"),
    "retain": _not_negative("how far the iterate's log-ratio is carried on"),
    "rho": _not_negative("weight of the gradient through the row's own labels"),
    "share": _share("share of the row's own term, the rest is DPO's"),
    "sharpness": _not_negative("of a weight, per unit of the gap of rewards"),
    "tau": _not_negative("strength of the regularisation"),
    "trace": _share("decay of an advantage over tokens"),
    "value": _not_negative("weight of the critic's error"),
}


def check(name: str, method: Method) -> None:
    """Requires settings in their ranges, and not at odds with each other.

    Raises:
      TypeError: naming the row and a setting that is not one number.
      ValueError: naming the row, the setting, its value and what it must be.
    """
    for setting, value in method.settings.items():
        if np.ndim(checks.numeric(value, f"{name}: {setting}")):
            raise TypeError(
                f"{name}: {setting} must be one number, not {np.size(value)} of them"
            )
        if not SETTINGS[setting].good(value):
            raise ValueError(
                f"{name}: {setting} {SETTINGS[setting].must}, not {value}."
            )
    if method.divides_by_tau and method.tau == 0:
        raise ValueError(f"{name} divides by tau: give a tau > 0, not 0.")
    weight = method.settings.get("eta", 0.0) * method.tau
    if method.anchor in (proximal, historical) and weight > 1:
        raise ValueError(
            f"{name}: eta * tau weighs the reference in the anchor, at most 1, not "
            f"{weight:.6g}; eta is the mirror-descent step, not its inverse."
        )
    low, high = (method.settings.get(end) for end in ("lowest", "highest"))
    if low is not None and not low < high:
        raise ValueError(f"{name}: lowest is {low}; it must be below highest, {high}.")
