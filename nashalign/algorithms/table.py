"""The table of methods: one row each, with the settings its paper leaves open.

The defaults are the papers' own where a paper trained language models with them; on
another preference they are a place to start. `eta` is always the mirror-descent step:
INPO's own eta is its inverse. Periods are those of the papers' outer iterations,
counted in updates; where a paper gives none, the row says so.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable

from nashalign import losses
from nashalign.algorithms.method import (
    Method,
    against_opponents,
    against_others,
    against_the_rest,
    average,
    contrastive,
    decaying,
    every_period,
    every_stage,
    inverse_eta,
    iterate,
    mixture,
    policy,
    proximal,
    reference,
    regression,
    to_win_rates,
)

_CALANDRIELLO = "Calandriello et al. 2024, arXiv:2403.08635"
_MUNOS = "Munos et al. 2023, arXiv:2312.00886"

# What a setting must be, in words and as a test.
RULES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "tau": ("must be finite and >= 0", lambda value: 0 <= value < math.inf),
    "mix": (
        "is the weight on the reference, in [0, 1]",
        lambda value: 0 <= value <= 1,
    ),
    "eta": ("must be positive and finite", lambda value: 0 < value < math.inf),
    "decay": ("is the share of the past, in [0, 1]", lambda value: 0 <= value <= 1),
    "period": ("counts updates, >= 1", lambda value: value >= 1 and value % 1 == 0),
    "num_inner": ("counts periods, >= 1", lambda value: value >= 1 and value % 1 == 0),
}

TABLE: dict[str, Method] = {
    "rl": Method(
        title="RL",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="reward",
        loss=against_others,
        divides_by_tau=False,
        settings={"tau": 0.05},
    ),
    "online_dpo": Method(
        title="DPO",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.dpo),
        divides_by_tau=True,
        settings={"tau": 5.0},
    ),
    "online_slic": Method(
        title="SLiC",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.slic),
        divides_by_tau=True,
        settings={"tau": 10.0},
    ),
    "online_ipo": Method(
        title="IPO",
        paper=_CALANDRIELLO,
        authors=(policy, policy),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo),
        divides_by_tau=True,
        settings={"tau": 1.0},
    ),
    "nash_md_pg": Method(
        title="Nash-MD-PG",
        paper=_MUNOS,
        authors=(policy, mixture),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        divides_by_tau=False,
        settings={"tau": 0.008, "mix": 0.125},
    ),
    "ipo_md": Method(
        title="IPO-MD",
        paper=_CALANDRIELLO,
        authors=(mixture, mixture),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo),
        divides_by_tau=True,
        settings={"tau": 1.0, "mix": 0.125},
    ),
    # Nash-MD-PG with mix 0 and 1, as rows of their own: the paper's SP and BR.
    "self_play_pg": Method(
        title="self-play PG",
        paper=_MUNOS,
        authors=(policy, policy),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        divides_by_tau=False,
        settings={"tau": 0.008},
    ),
    "best_response_pg": Method(
        title="best-response PG",
        paper=_MUNOS,
        authors=(policy, reference),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        divides_by_tau=False,
        settings={"tau": 0.008},
    ),
    "nash_ema_pg": Method(
        title="Nash-EMA-PG",
        paper=_MUNOS,
        authors=(policy, average),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        divides_by_tau=False,
        settings={"tau": 0.008, "decay": 0.999},
        refresh=(("average", decaying),),
    ),
    # Each response's reward is its win rate over the others of its prompt. The number
    # of responses is not the paper's, whose experiments are not on language.
    "spo": Method(
        title="SPO",
        paper="Swamy et al. 2024, arXiv:2401.04056",
        authors=(policy,) * 4,
        num_members=4,
        annotation="preference",
        loss=against_the_rest,
        divides_by_tau=False,
        settings={"tau": 0.0},
    ),
    # Algorithm 1, which trains on every response; the paper's runs kept the best and
    # the worst of five. 20,000 prompts at 64 a batch are 312 updates an iteration.
    "sppo": Method(
        title="SPPO",
        paper="Wu et al. 2024, arXiv:2405.00675",
        authors=(iterate,) * 5,
        num_members=5,
        annotation="preference",
        loss=to_win_rates,
        divides_by_tau=False,
        settings={"eta": 1000.0, "period": 312},
        anchor=iterate,
        refresh=(("iterate", every_period),),
    ),
    # The paper's eta 0.005 and tau eta / 3; 20,000 prompts at 128 a batch.
    "inpo": Method(
        title="INPO",
        paper="Zhang et al. 2024, arXiv:2407.00617",
        authors=(iterate, iterate),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo, inverse_eta),
        divides_by_tau=False,
        settings={"tau": 0.005 / 3, "eta": 200.0, "period": 156},
        anchor=proximal,
        refresh=(("iterate", every_period),),
    ),
    # INPO as the inner solver; the paper's eta 0.002 and tau eta / 3, the reference
    # moved every 12 of its iterations. Their length is not given: INPO's.
    "comal": Method(
        title="COMAL",
        paper="Liu et al. 2024, arXiv:2410.23223",
        authors=(iterate, iterate),
        num_members=2,
        annotation="preference",
        loss=contrastive(losses.ipo, inverse_eta),
        divides_by_tau=False,
        settings={"tau": 0.002 / 3, "eta": 500.0, "period": 156, "num_inner": 12},
        anchor=proximal,
        refresh=(("iterate", every_period), ("reference", every_stage)),
    ),
    "rebel": Method(
        title="REBEL",
        paper="Gao et al. 2024, arXiv:2404.16767",
        authors=(iterate, iterate),
        num_members=2,
        annotation="reward",
        loss=regression,
        divides_by_tau=False,
        settings={"eta": 1.0, "period": 1},
        anchor=iterate,
        refresh=(("iterate", every_period),),
    ),
    # Policy gradient held to a magnet that follows; tau and period are not the paper's.
    "mpo": Method(
        title="MPO (magnetic)",
        paper="Wang et al. 2024, arXiv:2410.16714",
        authors=(policy, policy),
        num_members=1,
        annotation="preference",
        loss=against_opponents,
        divides_by_tau=False,
        settings={"tau": 0.05, "period": 300},
        refresh=(("reference", every_period),),
    ),
}


def configure(name: str, **settings: float) -> Method:
    """Returns a row of the table with its settings replaced and checked.

    Args:
      name: a key of `TABLE`.
      **settings: any of the row's own.

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
    for setting, value in method.settings.items():
        rule, good = RULES[setting]
        if not good(value):
            raise ValueError(f"{name}: {setting} {rule}, not {value}.")
    if method.divides_by_tau and method.tau == 0:
        raise ValueError(f"{name} divides by tau: give a tau > 0, not 0.")
    weight = method.settings.get("eta", 0.0) * method.tau
    if method.anchor is proximal and weight > 1:
        raise ValueError(
            f"{name}: eta * tau weighs the reference in the anchor, at most 1, not "
            f"{weight:.6g}; eta is the mirror-descent step, not its inverse."
        )
    return method


def _near(word, known):
    """A sentence that names what was probably meant, or all there is."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" Known: {', '.join(known)}."
