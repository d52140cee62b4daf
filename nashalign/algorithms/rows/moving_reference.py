"""DPO on a data set's pairs, measured from a reference that follows the policy.

What is logged as the log-ratio is from the reference that has moved.
"""

from nashalign import losses
from nashalign.algorithms import authors
from nashalign.algorithms.authors import data
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import contrastive
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    CUSTOMARY,
    FROM_MEMORY,
    SOFT_LABELS,
    dividing_tau,
    period,
    share,
)

_GORBATOVSKI = "Gorbatovski et al. 2024, arXiv:2404.09656"
_TRL = "that of TRL"


def _following(rule):
    """DPO whose reference moves by a rule."""
    return Method(
        members=draw(data, 2),
        annotation="preference",
        loss=contrastive(losses.dpo),
        refresh=(("reference", "policy", rule),),
    )


ROWS = (
    Row(
        "tr_dpo",
        "TR-DPO (soft)",
        _GORBATOVSKI,
        _following(authors.partly_every_period),
        settings=(
            dividing_tau(0.1, CUSTOMARY),
            share(
                "share",
                "share of the way that the reference moves",
                0.6,
                FROM_MEMORY,
            ),
            period(512, _TRL),
        ),
        departures=(
            SOFT_LABELS,
            "how often the reference moves part of the way is as in TRL; the paper's "
            "period is not known here",
        ),
    ),
    # All of the way: the soft one's `share` of 1.
    Row(
        "tr_dpo_hard",
        "TR-DPO (hard)",
        _GORBATOVSKI,
        _following(authors.every_period),
        settings=(dividing_tau(0.1, CUSTOMARY), period(512, FROM_MEMORY)),
        departures=(SOFT_LABELS,),
    ),
)
