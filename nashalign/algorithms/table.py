"""The table of methods: one row each, with the settings its paper leaves open.

The defaults of tau are the papers' own where a paper trained language models with them
(Calandriello et al. 2024, section 6); on another preference they are a place to start.
"""

import dataclasses
import difflib
import math

from nashalign import losses
from nashalign.algorithms.method import (
    Method,
    against_opponents,
    against_others,
    contrastive,
    mixture,
    policy,
)

_CALANDRIELLO = "Calandriello et al. 2024, arXiv:2403.08635"

TABLE: dict[str, Method] = {
    "rl": Method(
        title="RL",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="reward",
        loss=against_others,
        tau=0.05,
        divides_by_tau=False,
    ),
    "online_dpo": Method(
        title="DPO",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.dpo),
        tau=5.0,
        divides_by_tau=True,
    ),
    "online_slic": Method(
        title="SLiC",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.slic),
        tau=10.0,
        divides_by_tau=True,
    ),
    "online_ipo": Method(
        title="IPO",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo),
        tau=1.0,
        divides_by_tau=True,
    ),
    "nash_md_pg": Method(
        title="Nash-MD-PG",
        paper="Munos et al. 2023, arXiv:2312.00886",
        authors=(policy, mixture),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        tau=0.008,
        mix=0.125,
        divides_by_tau=False,
    ),
    "ipo_md": Method(
        title="IPO-MD",
        paper=_CALANDRIELLO,
        authors=(mixture, mixture),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo),
        tau=1.0,
        mix=0.125,
        divides_by_tau=True,
    ),
}


def configure(name: str, **settings: float) -> Method:
    """Returns a row of the table with its settings replaced and checked.

    Args:
      name: a key of `TABLE`.
      **settings: `tau` and, where the method samples from the mixture, `mix`.

    Raises:
      ValueError: the name or a setting is unknown, `tau` is not positive where the
        method divides by it (not negative elsewhere), or `mix` is outside [0, 1].
    """
    if name not in TABLE:
        raise ValueError(f"Unknown method {name!r}.{_near(name, TABLE)}")
    row = TABLE[name]
    known = ("tau", "mix") if row.mixes else ("tau",)
    for setting in settings:
        if setting not in known:
            raise ValueError(
                f"Method {name!r} has no setting {setting!r}."
                f"{_near(setting, known)} It has: {', '.join(known)}."
            )
    method = dataclasses.replace(row, **settings)
    if not math.isfinite(method.tau) or method.tau < 0:
        raise ValueError(f"{name}: tau must be finite and >= 0, not {method.tau}.")
    if method.divides_by_tau and method.tau == 0:
        raise ValueError(f"{name} divides by tau: give a tau > 0, not 0.")
    if not 0 <= method.mix <= 1:
        raise ValueError(
            f"{name}: mix is the weight on the reference, in [0, 1], not {method.mix}."
        )
    return method


def _near(word, known):
    """A sentence that names what was probably meant, or all there is."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" Known: {', '.join(known)}."
