"""Rows that ask less of a data set than DPO does.

It need not have pairs (KTO), nor cover what the policy may come to write (chi-PO), nor
be what the policy writes (WPO).
"""

from nashalign import losses
from nashalign.algorithms import ratios
from nashalign.algorithms.authors import data
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    contrastive,
    selection,
    statistics,
    unpaired,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import SOFT_LABELS, dividing_tau, weight
from nashalign.algorithms.settings import FINITE, OURS, POSITIVE, Setting

UNPAIRED = (
    Row(
        "kto",
        "KTO",
        "Ethayarajh et al. 2024, arXiv:2402.01306",
        Method(
            members=draw(data),
            annotation="reward",
            loss=unpaired.prospect,
            label=unpaired.desirable,
            statistics=(("mismatched", unpaired.mismatched),),
            batch=(("divergence", unpaired.mismatched_divergence),),
        ),
        settings=(
            dividing_tau(0.1),
            weight("desirable", "desirable responses", 1.0),
            weight("undesirable", "undesirable responses", 1.0),
            Setting(
                name="threshold",
                meaning="reward above which a response is desirable",
                range=FINITE,
                default=0.0,
                source=OURS,
            ),
        ),
        departures=(
            "whether a response is desirable is said by its reward; where labels are 0 "
            "and 1 the threshold is 1/2",
            "mismatched responses are exchanged by neighbours in the batch; the paper "
            "shifts a batch by one",
        ),
        exactness="exact without the mean over a batch",
    ),
)

PAIRS = (
    Row(
        "chi_po",
        "chi-PO",
        "Huang et al. 2024, arXiv:2407.13399",
        Method(
            members=draw(data, 2),
            annotation="preference",
            loss=contrastive(losses.bounded_dpo, bound="bound"),
            ratio=ratios.chi,
        ),
        settings=(
            dividing_tau(0.1, OURS),
            Setting(
                name="bound",
                meaning="largest reward in size: implicit ones differ by twice that",
                range=POSITIVE,
                default=10.0,
                source=OURS,
            ),
        ),
        departures=(
            SOFT_LABELS,
            "a ratio is exponentiated up to the root of the largest number; the "
            "paper's experiments stop at exp(20), from memory",
        ),
    ),
    Row(
        "wpo",
        "WPO",
        "Zhou et al. 2024, arXiv:2406.11827",
        Method(
            members=draw(data, 2),
            annotation="preference",
            loss=contrastive(losses.dpo),
            weight=selection.sampled_likelihood,
            statistics=(("log_collision", statistics.log_collision),),
        ),
        settings=(dividing_tau(0.01, "the paper's, from memory"),),
        departures=(
            SOFT_LABELS,
            "weights may be above 1; implementations clip them there, from memory",
            "pairs are a data set's; the paper's best results add the policy's own",
        ),
    ),
)
