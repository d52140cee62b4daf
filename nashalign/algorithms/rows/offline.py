"""Rows that learn from pairs of a data set.

Where an example brings no labels along, the annotator is asked about its responses.
"""

from nashalign import losses
from nashalign.algorithms import objectives
from nashalign.algorithms.authors import data, nothing, policy
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    contrastive,
    selection,
    statistics,
    times,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    SOFT_LABELS,
    dividing_tau,
    num_responses,
    tau,
    weight,
)
from nashalign.algorithms.settings import (
    FINITE,
    NOT_NEGATIVE,
    OURS,
    RATE,
    Setting,
)

_CHOWDHURY = "Chowdhury et al. 2024, arXiv:2403.00409"
_SHARIFNASSAB = "Sharifnassab et al. 2024, arXiv:2405.00747"
_ZENG = "Zeng et al. 2024, arXiv:2404.11999"

_FLIP = Setting(name="flip", meaning="rate of wrong labels", range=RATE, default=0.1)
_ALPHA = Setting(
    name="alpha",
    meaning="softness of a choice: the power of the likelihoods that are compared",
    range=NOT_NEGATIVE,
    default=1.0,
)
_SOFT = contrastive(losses.soft, None, alpha="alpha")
# The policy's own response is to the same prompt, and one a pair.
_OF_SOFT_PO = (
    "the KL is along one response to each pair's own prompt; the paper samples other "
    "prompts now and then",
    "the gradient of the KL leaves out that of the prefixes",
    "the weight of the KL is ours",
)


def _pairs(loss, **columns):
    """A method on pairs of a data set, compared by the annotator."""
    return Method(members=draw(data, 2), annotation="preference", loss=loss, **columns)


def _soft(loss, **columns):
    """Soft preference optimisation of the data set's, with KL on the policy's own."""
    regulariser = times("tau", objectives.divergence_of_opponent)
    return Method(
        opponents=draw(policy),
        loss=loss,
        regulariser=regulariser,
        anchor=nothing,
        statistics=(("kl", statistics.reverse_kl),),
        **columns,
    )


LIKELIHOOD = (
    Row(
        "sft",
        "SFT",
        "Ouyang et al. 2022, arXiv:2203.02155",
        Method(members=draw(data), annotation="none", loss=objectives.likelihood),
    ),
)

DPO = Row(
    "dpo",
    "DPO (offline)",
    "Rafailov et al. 2023, arXiv:2305.18290",
    _pairs(contrastive(losses.dpo)),
    settings=(dividing_tau(0.1),),
    departures=(SOFT_LABELS,),
)

PAIRS = (
    DPO,
    Row(
        "cdpo",
        "cDPO",
        _CHOWDHURY,
        _pairs(contrastive(losses.cdpo, flip="flip")),
        settings=(dividing_tau(0.1), _FLIP),
        departures=(SOFT_LABELS,),
    ),
    Row(
        "rdpo",
        "rDPO",
        _CHOWDHURY,
        _pairs(contrastive(losses.rdpo, flip="flip")),
        settings=(dividing_tau(0.1), _FLIP),
        departures=(SOFT_LABELS,),
    ),
    # The paper has bandits only.
    Row(
        "ipo",
        "IPO (offline)",
        "Azar et al. 2023, arXiv:2310.12036",
        _pairs(contrastive(losses.ipo)),
        settings=(dividing_tau(0.1, "that of public implementations"),),
        departures=(SOFT_LABELS, "tau is that of public implementations"),
    ),
    Row(
        "slic_hf",
        "SLiC-HF",
        "Zhao et al. 2023, arXiv:2305.10425",
        _pairs(
            added(
                contrastive(losses.hinge, None, delta="margin"),
                "likelihood",
                objectives.winners_likelihood,
            ),
            anchor=nothing,
        ),
        settings=(
            Setting(
                name="margin",
                meaning="margin of log-likelihoods that is asked for",
                unit="nats",
                range=NOT_NEGATIVE,
                default=1.0,
            ),
            weight("likelihood", "the winner's likelihood", 0.1, OURS),
        ),
        departures=(
            "pairs are a data set's; the paper also ranks samples of the SFT policy",
            "the likelihood is the winner's; the paper also takes the data set's "
            "target",
            "the weight of the likelihood is ours",
        ),
    ),
    Row(
        "soft_po",
        "soft PO",
        _SHARIFNASSAB,
        _soft(_SOFT, members=draw(data, 2), annotation="preference"),
        settings=(_ALPHA, tau(0.1, OURS)),
        departures=_OF_SOFT_PO,
    ),
    Row(
        "soft_po_weighted",
        "soft PO (weighted)",
        _SHARIFNASSAB,
        _soft(
            _SOFT,
            members=draw(data, 2),
            annotation="preference",
            weight=selection.likelihood_power,
            batch=(("mean_log_weight", selection.mean_log_weight),),
        ),
        settings=(
            _ALPHA,
            tau(0.1, OURS),
            Setting(
                name="power",
                meaning="exponent of a pair's likelihood in its weight",
                range=FINITE,
                default=0.1,
                source=OURS,
            ),
        ),
        departures=(
            "the paper's form of the weight is not public: a power of the pair's "
            "likelihood, over its geometric mean in the batch",
            *_OF_SOFT_PO,
        ),
        exactness="exact without the batch normalisation",
    ),
    Row(
        "soft_po_ranked",
        "soft PO (ranked)",
        _SHARIFNASSAB,
        _soft(
            objectives.choice,
            members=draw(data, "num_responses"),
            annotation="reward",
        ),
        settings=(_ALPHA, tau(0.1, OURS), num_responses(4, OURS)),
        departures=(
            "the annotator's choice among K is that of Bradley-Terry's model of "
            "rewards",
            *_OF_SOFT_PO,
        ),
    ),
    Row(
        "tdpo1",
        "TDPO1",
        _ZENG,
        _pairs(
            objectives.token_level_dpo(detached=False),
            statistics=(("kl", statistics.forward_kl),),
        ),
        settings=(dividing_tau(0.1),),
        departures=(SOFT_LABELS,),
    ),
    Row(
        "tdpo2",
        "TDPO2",
        _ZENG,
        _pairs(
            objectives.token_level_dpo(detached=True),
            statistics=(("kl", statistics.forward_kl),),
        ),
        settings=(
            dividing_tau(0.1),
            weight("alpha", "the difference of sequential KLs", 0.5),
        ),
        departures=(SOFT_LABELS,),
    ),
)
