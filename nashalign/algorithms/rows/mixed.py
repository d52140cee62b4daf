"""Mixed preference optimisation: DPO on easy pairs, then PPO on difficult ones."""

import dataclasses
import math

from nashalign.algorithms import rounds
from nashalign.algorithms.rows.offline import DPO
from nashalign.algorithms.rows.rewarded import PPO
from nashalign.algorithms.settings import OURS, POSITIVE, Range, Setting

_THRESHOLD = Range(
    "must be at least 0, or minus infinity",
    lambda value: value >= 0 or value == -math.inf,
)

ROWS = (
    # An infinite threshold is PPO alone, and minus infinity DPO alone.
    dataclasses.replace(
        PPO,
        name="mixed_po",
        title="mixed PO",
        paper="Gou and Nguyen 2024, arXiv:2403.19443",
        settings=(
            Setting(
                name="threshold",
                meaning="least gap of an easy pair's rewards",
                unit="of the reward",
                range=_THRESHOLD,
                default=1.0,
                source=OURS,
            ),
            Setting(
                name="dpo_tau",
                meaning="strength of DPO's regularisation, which it divides by",
                range=POSITIVE,
                default=0.1,
                source=OURS,
            ),
            *PPO.settings,
        ),
        departures=(
            "the threshold between easy and difficult pairs is ours: the paper's is "
            "not public",
            "pairs that the reward contradicts by more than the threshold are left "
            "out; what the paper does with them is not public",
            "the share of updates of each stage, and the settings of both, are ours",
            "the optimizer begins again with the second stage; the paper's is not "
            "known here",
            *(f"DPO: {line}" for line in DPO.departures),
            *(f"PPO: {line}" for line in PPO.departures),
        ),
        rounds=rounds.EasyFirst(DPO.method, tau="dpo_tau"),
    ),
)
