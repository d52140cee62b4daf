"""The table of methods, and the door at which a row's settings are checked.

The rows are in `rewarded`, `offline`, `online` and `nash`, each with the settings that
its paper leaves open. The defaults are the papers' own where a paper trained language
models with them; on another preference they are a place to start. `eta` is always the
mirror-descent step: INPO's own eta is its inverse. Periods are those of the papers'
outer iterations, counted in updates; where a paper gives none, the row says so.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable

from nashalign.algorithms import nash, offline, online, rewarded
from nashalign.algorithms.method import Method
from nashalign.algorithms.players import historical, proximal

TABLE: dict[str, Method] = rewarded.ROWS | offline.ROWS | online.ROWS | nash.ROWS

Rule = tuple[str, Callable[[float], bool]]


def _share(what: str) -> Rule:
    return f"is {what}, in [0, 1]", lambda value: 0 <= value <= 1


def _count(what: str, least: int = 1) -> Rule:
    return (
        f"counts {what}, >= {least}",
        lambda value: value >= least and value % 1 == 0 and value < math.inf,
    )


_POSITIVE: Rule = ("must be positive and finite", lambda value: 0 < value < math.inf)
_NOT_NEGATIVE: Rule = ("must be finite and >= 0", lambda value: 0 <= value < math.inf)
_FINITE: Rule = ("must be finite", math.isfinite)

# What a setting must be, in words and as a test; and what it is.
RULES: dict[str, Rule] = {
    "alpha": _NOT_NEGATIVE,
    "backward": _share("the backward divergence's weight"),
    "clip": _POSITIVE,
    "decay": _share("the share of the past"),
    "degree": _NOT_NEGATIVE,
    "eta": _POSITIVE,
    "flip": ("is a rate of wrong labels, in [0, 1/2)", lambda value: 0 <= value < 0.5),
    "floor": ("is a probability, in (0, 1]", lambda value: 0 < value <= 1),
    "follow": _share("the weight on the iterate"),
    "gap": _share("the weight on the conditioned policy"),
    "half_life": _POSITIVE,
    "highest": _FINITE,
    "likelihood": _NOT_NEGATIVE,
    "lowest": _FINITE,
    "margin": _NOT_NEGATIVE,
    "mix": _share("the weight on the reference"),
    "num_degrees": _count("degrees", 2),
    "num_epochs": _count("steps on a batch"),
    "num_inner": _count("periods"),
    "num_responses": _count("responses", 2),
    "penalty": _FINITE,
    "period": _count("updates"),
    "power": _FINITE,
    "pull": _NOT_NEGATIVE,
    "recent": _share("the weight on the last iterate"),
    "replay": _share("the share of the data set's pairs"),
    "retain": _NOT_NEGATIVE,
    "rho": _NOT_NEGATIVE,
    "share": _share("the share of the row's own term"),
    "sharpness": _NOT_NEGATIVE,
    "tau": _NOT_NEGATIVE,
    "trace": _share("the decay of a trace"),
    "value": _NOT_NEGATIVE,
}


def configure(name: str, **settings: float) -> Method:
    """Returns a row of the table with its settings replaced and checked.

    Args:
      name: a key of `TABLE`.
      **settings: any of the row's own. `num_responses` changes the authors.

    Raises:
      ValueError: the name or a setting is unknown, or a setting is out of its range.
    """
    if name not in TABLE:
        raise ValueError(f"Unknown method {name!r}.{_near(name, TABLE)}")
    row = TABLE[name]
    for setting in settings:
        if setting not in row.settings:
            raise ValueError(
                f"Method {name!r} has no setting {setting!r}."
                f"{_near(setting, row.settings)} It has: {', '.join(row.settings)}."
            )
    method = dataclasses.replace(row, settings=row.settings | settings)
    _check(name, method)
    if "num_responses" in settings:
        return _with_responses(method, int(settings["num_responses"]))
    return method


def _check(name, method):
    """Raises for a setting that is out of its range, or at odds with another."""
    for setting, value in method.settings.items():
        rule, good = RULES[setting]
        if not good(value):
            raise ValueError(f"{name}: {setting} {rule}, not {value}.")
    if method.divides_by_tau and method.tau == 0:
        raise ValueError(f"{name} divides by tau: give a tau > 0, not 0.")
    weight = method.settings.get("eta", 0.0) * method.tau
    if method.anchor in (proximal, historical) and weight > 1:
        raise ValueError(
            f"{name}: eta * tau weighs the reference in the anchor, at most 1, not "
            f"{weight:.6g}; eta is the mirror-descent step, not its inverse."
        )
    low, high = (method.settings.get(end, 0.0) for end in ("lowest", "highest"))
    if low > high or (low == high and "lowest" in method.settings):
        raise ValueError(f"{name}: lowest is {low}; it must be below highest, {high}.")


def _with_responses(method, number):
    """The row with so many responses of its first author among the members."""
    first = method.authors[0]
    before = method.authors[: method.num_members].count(first)
    others = method.authors[before:]
    return dataclasses.replace(
        method,
        authors=(first,) * number + others,
        num_members=method.num_members - before + number,
    )


def _near(word, known):
    """A sentence that names what was probably meant, or all there is."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" Known: {', '.join(known)}."
