"""Rows that learn from pairs of a data set and measure them from no reference.

Margins are of log-likelihoods, by the token or of the whole response; none of these
rows holds a frozen policy, or passes responses through one.
"""

from nashalign import losses
from nashalign.algorithms import objectives, ratios
from nashalign.algorithms.authors import data, nothing
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import added, contrastive
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    FROM_MEMORY,
    SOFT_LABELS,
    dividing_tau,
    weight,
)
from nashalign.algorithms.settings import NOT_NEGATIVE, Setting


def _pairs(loss, **columns):
    """A method on pairs of a data set, without frozen policies."""
    return Method(
        members=draw(data, 2),
        annotation="preference",
        loss=loss,
        anchor=nothing,
        keeps=(),
        **columns,
    )


ROWS = (
    # tau is the paper's beta, from 2 to 2.5, and gamma .3 to .6 of it.
    Row(
        "simpo",
        "SimPO",
        "Meng et al. 2024, arXiv:2405.14734",
        _pairs(
            contrastive(losses.simpo, gamma="gamma"),
            ratio=ratios.averaged,
        ),
        settings=(
            dividing_tau(2.0, FROM_MEMORY),
            Setting(
                name="gamma",
                meaning="margin that is asked for, tau times a difference of mean "
                "log-likelihoods",
                range=NOT_NEGATIVE,
                default=1.0,
                source=FROM_MEMORY,
                unit="nats",
            ),
        ),
        departures=(
            SOFT_LABELS,
            "pairs are a data set's; the paper also ranks samples of the SFT policy",
        ),
    ),
    # The paper's other bound, KL(data || policy) below a number, became the likelihood.
    Row(
        "cpo",
        "CPO",
        "Xu et al. 2024, arXiv:2401.08417",
        _pairs(
            added(contrastive(losses.dpo), "likelihood", objectives.winners_likelihood),
        ),
        settings=(
            dividing_tau(0.1, FROM_MEMORY),
            weight("likelihood", "the winner's likelihood", 1.0, FROM_MEMORY),
        ),
        departures=(
            SOFT_LABELS,
            "the likelihood is the whole response's, as in the paper's equation; "
            "public implementations take its mean over the tokens of a batch",
        ),
    ),
    Row(
        "orpo",
        "ORPO",
        "Hong et al. 2024, arXiv:2403.07691",
        _pairs(
            added(
                objectives.winners_mean_likelihood,
                "odds",
                contrastive(losses.dpo, objectives.unit_tau),
            ),
            ratio=ratios.odds,
        ),
        settings=(weight("odds", "the ratio of odds", 0.1, FROM_MEMORY),),
        departures=(
            SOFT_LABELS,
            "the likelihood is the mean over the winner's own tokens; the prompt's are "
            "not learnt, as they are in some implementations",
        ),
    ),
)
