"""Rows that look for the Nash policy of a preference by regression."""

from typing import Any

from nashalign import losses
from nashalign.algorithms import authors
from nashalign.algorithms.authors import (
    ahead,
    data,
    iterate,
    policy,
    previous,
    proximal,
    rival,
)
from nashalign.algorithms.columns import Author, Loss, draw, extragradient
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    chosen,
    contrastive,
    inverse_eta,
    own_tau,
    regressions,
)
from nashalign.algorithms.objectives.selection import clear_best_and_worst
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    ONE_PROMPT_SET,
    WRITES_EVERY_STEP,
    dividing_tau,
    eta,
    num_responses,
    period,
    share,
    tau,
    weight,
)
from nashalign.algorithms.settings import (
    COUNT,
    NOT_NEGATIVE,
    OURS,
    Setting,
    anchor_weighs_at_most_one,
)

_ROSSET = "Rosset et al. 2024, arXiv:2404.03715"
_FOLLOWING = (("iterate", "policy", authors.every_period),)
_INPO = contrastive(losses.ipo, inverse_eta)
_TWO_SOFT = (
    "trains on two random draws with soft labels; the paper on the best and the worst "
    "of K with hard ones"
)
_LAST_KEPT = (
    "the last policy is kept; the paper takes the mixture of all or the best",
    "the last policy is kept; the paper takes the best on validation",
)


def _iterated(
    loss: Loss,
    number: int | str = 2,
    anchor: Author = iterate,
    refresh=_FOLLOWING,
    **columns: Any,
) -> Method:
    """A method on responses of the iterate, which follows every period."""
    return Method(
        members=draw(iterate, number),
        annotation="preference",
        loss=loss,
        anchor=anchor,
        refresh=refresh,
        **columns,
    )


ITERATED = (
    # Algorithm 1. 20,000 prompts at 64 a batch are 312 updates an iteration.
    Row(
        "sppo",
        "SPPO",
        "Wu et al. 2024, arXiv:2405.00675",
        _iterated(regressions.win_rate_regression, "num_responses"),
        settings=(eta(1000.0), period(312), num_responses(5)),
        departures=(
            "trains on every response, algorithm 1; the paper's runs keep the best and "
            "the worst",
            WRITES_EVERY_STEP,
            ONE_PROMPT_SET,
        ),
    ),
    # The regression of algorithm 1; what the sample makes of the win rates shrinks the
    # step a little. 20,000 prompts at 64 a batch, and the paper's beta, whose inverse
    # eta is.
    Row(
        "dno",
        "DNO",
        _ROSSET,
        _iterated(regressions.win_rate_gap_entropy, opponents=draw(iterate, 4)),
        settings=(eta(10.0), period(312)),
        departures=(
            "win rates are over four more responses, not expectations",
            _LAST_KEPT[0],
        ),
    ),
    # Algorithm 2: the teacher's answer is the data set's.
    Row(
        "dno_prct",
        "DNO-Prct",
        _ROSSET,
        Method(
            members=draw(iterate, "num_responses") + draw(data),
            annotation="preference",
            loss=chosen(losses.dpo),
            select=clear_best_and_worst,
            anchor=iterate,
            refresh=_FOLLOWING,
        ),
        settings=(
            dividing_tau(0.1),
            Setting(
                name="margin",
                meaning="least gap of a pair's win rates",
                unit="probability",
                range=NOT_NEGATIVE,
                default=0.3,
                source=OURS,
            ),
            period(312),
            num_responses(5),
        ),
        departures=(
            "no replay of earlier iterations' pairs",
            "the margin is of win rates; the paper's is on a rubric of six points",
            _LAST_KEPT[1],
        ),
    ),
    # The paper's eta 0.005 and tau eta / 3; 20,000 prompts at 128 a batch.
    Row(
        "inpo",
        "INPO",
        "Zhang et al. 2024, arXiv:2407.00617",
        _iterated(_INPO, anchor=proximal),
        settings=(tau(0.005 / 3), eta(200.0), period(156)),
        conditions=(anchor_weighs_at_most_one,),
        departures=(_TWO_SOFT, ONE_PROMPT_SET),
    ),
    # SPPO's loss, with both divergences from the reference as in the paper's code. With
    # the reverse one alone, the square of the log-ratio, the step is a mirror step with
    # the reference in its anchor.
    Row(
        "rspo",
        "RSPO",
        "Tang et al. 2025, arXiv:2503.00030",
        _iterated(
            added(
                added(
                    regressions.win_rate_regression,
                    "pull",
                    regressions.squared_log_ratio,
                ),
                "forward",
                regressions.inverse_ratio,
            ),
            "num_responses",
        ),
        settings=(
            eta(1000.0),
            weight("pull", "the squared log-ratio from the reference", 0.1, OURS),
            weight("forward", "the reference's ratio to the policy", 0.1, OURS),
            period(312),
            num_responses(5),
        ),
        departures=(
            "trains on every response; the paper's runs keep the best and the worst",
            "the weights of both divergences are ours",
        ),
    ),
    # INPO as the inner solver; the paper's eta 0.002 and tau eta / 3, the reference
    # moved every 12 of its iterations.
    Row(
        "comal",
        "COMAL",
        "Liu et al. 2024, arXiv:2410.23223",
        _iterated(
            _INPO,
            anchor=proximal,
            refresh=(*_FOLLOWING, ("reference", "policy", authors.every_stage)),
        ),
        settings=(
            tau(0.002 / 3),
            eta(500.0),
            period(156, "INPO's"),
            Setting(
                name="num_inner",
                meaning="periods after which the reference moves",
                range=COUNT,
                default=12,
            ),
        ),
        conditions=(anchor_weighs_at_most_one,),
        departures=(
            _TWO_SOFT,
            "the length of an iteration is INPO's: the paper's is open",
        ),
    ),
    # Optimistic multiplicative weights. A third and a fourth response stand for the
    # iterate and the one before it.
    Row(
        "onpo",
        "ONPO",
        "Zhang et al. 2025, arXiv:2502.16852",
        _iterated(
            regressions.optimistic_regression,
            opponents=draw(iterate) + draw(previous),
            refresh=(("previous", "iterate", authors.every_period), *_FOLLOWING),
        ),
        settings=(eta(10.0, OURS), period(156, OURS)),
        departures=(
            "a third and a fourth response stand for win rates; the paper's pairwise "
            "loss is not public",
            "eta and period are ours",
        ),
    ),
    # Two gradients at one place: the second against where the first has led. The
    # paper's tau, and pairs of the policy's own, as in its runs on language models.
    Row(
        "egpo",
        "EGPO",
        "Zhou et al. 2025, arXiv:2503.08942",
        Method(
            members=draw(policy, 2),
            opponents=draw(ahead),
            annotation="preference",
            loss=regressions.gap_regression(own_tau),
            step=extragradient,
        ),
        settings=(dividing_tau(0.1),),
        departures=(
            "both halves see the same prompts, with fresh responses and fresh answers",
            "pairs are the policy's own; the theory takes uniform ones",
            "y and z are drawn at the run's temperature, not at 2",
        ),
    ),
    # Two proximal steps from one centre: against the iterate, then against what came
    # of it.
    Row(
        "nash_mirror_prox",
        "Nash mirror prox",
        "Tiapkin et al. 2025, arXiv:2505.19731",
        _iterated(
            regressions.gap_regression(inverse_eta),
            opponents=draw(rival),
            anchor=proximal,
            refresh=(
                ("iterate", "policy", authors.every_other_period),
                ("rival", "policy", authors.every_period),
            ),
        ),
        settings=(tau(0.1), eta(1.0, OURS), period(100, OURS)),
        conditions=(anchor_weighs_at_most_one,),
        departures=(
            "a proximal step is so many steps of regression; the paper takes a few of "
            "policy gradient with a slowly moving target",
            "eta and the length of a step are ours",
        ),
    ),
)

HISTORY = (
    # The paper's eta 0.0075, of which this is the inverse; a third of the anchor is the
    # reference, the rest its history's, by default the last iterate alone.
    Row(
        "mnpo",
        "multiplayer NPO",
        "Wu et al. 2025, arXiv:2509.23102",
        _iterated(
            _INPO,
            anchor=authors.historical,
            refresh=(("previous", "iterate", authors.every_period), *_FOLLOWING),
        ),
        settings=(
            tau(0.0025),
            eta(1 / 0.0075),
            share(
                "recent",
                "weight on the last iterate, the rest on the one before",
                1.0,
            ),
            period(156),
        ),
        conditions=(anchor_weighs_at_most_one,),
        departures=(
            _TWO_SOFT,
            "the opponent is the last iterate alone, as in the paper's practical loss",
        ),
    ),
)
