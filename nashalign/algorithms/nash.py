"""Rows that look for the Nash policy of a preference."""

from nashalign import losses
from nashalign.algorithms import players, regressions
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    chosen,
    contrastive,
    inverse_eta,
    own_tau,
)
from nashalign.algorithms.players import (
    ahead,
    average,
    data,
    iterate,
    mixture,
    policy,
    previous,
    proximal,
    reference,
    rival,
)
from nashalign.algorithms.policy_gradients import against_opponents, against_the_rest
from nashalign.algorithms.selection import clear_best_and_worst

_MUNOS = "Munos et al. 2023, arXiv:2312.00886"
_ROSSET = "Rosset et al. 2024, arXiv:2404.03715"
_FOLLOWING = (("iterate", "policy", players.every_period),)


def _gradient(title, opponent, settings, **columns):
    """The policy gradient of a response's win rate over an opponent."""
    return Method(
        title=title,
        settings=settings,
        **{
            "paper": _MUNOS,
            "authors": (policy, opponent),
            "num_members": 1,
            "annotation": "preference",
            "loss": against_opponents,
        }
        | columns,
    )


def _iterated(title, paper, loss, settings, **columns):
    """A row on pairs that the iterate has written; the iterate follows every period."""
    return Method(
        title=title,
        paper=paper,
        loss=loss,
        settings=settings,
        **{
            "authors": (iterate, iterate),
            "num_members": 2,
            "annotation": "preference",
            "anchor": iterate,
            "refresh": _FOLLOWING,
        }
        | columns,
    )


ROWS: dict[str, Method] = {
    "nash_md_pg": _gradient("Nash-MD-PG", mixture, {"tau": 0.008, "mix": 0.125}),
    # Nash-MD-PG with mix 0 and 1, as rows of their own: the paper's SP and BR.
    "self_play_pg": _gradient("self-play PG", policy, {"tau": 0.008}),
    "best_response_pg": _gradient("best-response PG", reference, {"tau": 0.008}),
    "nash_ema_pg": _gradient(
        "Nash-EMA-PG",
        average,
        {"tau": 0.008, "decay": 0.999},
        refresh=(("average", "policy", players.decaying),),
    ),
    # Each response's reward is its win rate over the others of its prompt. The number
    # of responses is not the paper's, whose experiments are not on language.
    "spo": _gradient(
        "SPO",
        policy,
        {"tau": 0.0, "num_responses": 4},
        paper="Swamy et al. 2024, arXiv:2401.04056",
        authors=(policy,) * 4,
        num_members=4,
        loss=against_the_rest,
    ),
    # Algorithm 1, which trains on every response; the paper's runs kept the best and
    # the worst of five. 20,000 prompts at 64 a batch are 312 updates an iteration.
    "sppo": _iterated(
        "SPPO",
        "Wu et al. 2024, arXiv:2405.00675",
        regressions.win_rate_regression,
        {"eta": 1000.0, "period": 312, "num_responses": 5},
        authors=(iterate,) * 5,
        num_members=5,
    ),
    # The regression of algorithm 1, with win rates over four more responses in the
    # place of expectations; what the sample makes of them shrinks the step a little.
    # 20,000 prompts at 64 a batch, and the paper's beta, whose inverse eta is.
    "dno": _iterated(
        "DNO",
        _ROSSET,
        regressions.win_rate_gap_entropy,
        {"eta": 10.0, "period": 312},
        authors=(iterate,) * 6,
    ),
    # Algorithm 2: the teacher's answer is the data set's. `margin` is in win rate; the
    # paper's filter is on a rubric of six points.
    "dno_prct": _iterated(
        "DNO-Prct",
        _ROSSET,
        chosen(losses.dpo),
        {"tau": 0.1, "margin": 0.3, "period": 312, "num_responses": 5},
        authors=(iterate,) * 5 + (data,),
        num_members=6,
        select=clear_best_and_worst,
        divides_by_tau=True,
    ),
    # The paper's eta 0.005 and tau eta / 3; 20,000 prompts at 128 a batch.
    "inpo": _iterated(
        "INPO",
        "Zhang et al. 2024, arXiv:2407.00617",
        contrastive(losses.ipo, inverse_eta),
        {"tau": 0.005 / 3, "eta": 200.0, "period": 156},
        anchor=proximal,
    ),
    # SPPO's loss, with both divergences from the reference as in the paper's code. With
    # the reverse one alone, the square of the log-ratio, the step is a mirror step with
    # the reference in its anchor. Both weights are ours.
    "rspo": _iterated(
        "RSPO",
        "Tang et al. 2025, arXiv:2503.00030",
        added(
            added(
                regressions.win_rate_regression, "pull", regressions.squared_log_ratio
            ),
            "forward",
            regressions.inverse_ratio,
        ),
        {
            "eta": 1000.0,
            "pull": 0.1,
            "forward": 0.1,
            "period": 312,
            "num_responses": 5,
        },
        authors=(iterate,) * 5,
        num_members=5,
    ),
    # INPO as the inner solver; the paper's eta 0.002 and tau eta / 3, the reference
    # moved every 12 of its iterations. Their length is not given: INPO's.
    "comal": _iterated(
        "COMAL",
        "Liu et al. 2024, arXiv:2410.23223",
        contrastive(losses.ipo, inverse_eta),
        {"tau": 0.002 / 3, "eta": 500.0, "period": 156, "num_inner": 12},
        anchor=proximal,
        refresh=(*_FOLLOWING, ("reference", "policy", players.every_stage)),
    ),
    # Optimistic multiplicative weights. A third and a fourth response stand for the
    # iterate and the one before it; the paper's pairwise loss is not public. eta and
    # period are ours.
    "onpo": _iterated(
        "ONPO",
        "Zhang et al. 2025, arXiv:2502.16852",
        regressions.optimistic_regression,
        {"eta": 10.0, "period": 156},
        authors=(iterate, iterate, iterate, previous),
        refresh=(("previous", "iterate", players.every_period), *_FOLLOWING),
    ),
    # Two gradients at one place: the second against where the first has led. The
    # paper's tau, and pairs of the policy's own, as in its runs on language models.
    "egpo": Method(
        title="EGPO",
        paper="Zhou et al. 2025, arXiv:2503.08942",
        authors=(policy, policy, ahead),
        num_members=2,
        annotation="preference",
        loss=regressions.gap_regression(own_tau),
        settings={"tau": 0.1},
        extragradient=True,
        divides_by_tau=True,
    ),
    # Two proximal steps from one centre: against the iterate, then against what came
    # of it. eta and the length of a step are ours.
    "nash_mirror_prox": _iterated(
        "Nash mirror prox",
        "Tiapkin et al. 2025, arXiv:2505.19731",
        regressions.gap_regression(inverse_eta),
        {"tau": 0.1, "eta": 1.0, "period": 100},
        authors=(iterate, iterate, rival),
        anchor=proximal,
        refresh=(
            ("iterate", "policy", players.every_other_period),
            ("rival", "policy", players.every_period),
        ),
    ),
    # Policy gradient held to a magnet that follows; tau and period are not the paper's.
    "mpo": _gradient(
        "MPO (magnetic)",
        policy,
        {"tau": 0.05, "period": 300},
        paper="Wang et al. 2024, arXiv:2410.16714",
        refresh=(("reference", "policy", players.every_period),),
    ),
    # The paper's eta 0.0075, of which this is the inverse; a third of the anchor is the
    # reference, the rest its history's, by default the last iterate alone.
    "mnpo": _iterated(
        "multiplayer NPO",
        "Wu et al. 2025, arXiv:2509.23102",
        contrastive(losses.ipo, inverse_eta),
        {"tau": 0.0025, "eta": 1 / 0.0075, "recent": 1.0, "period": 156},
        anchor=players.historical,
        refresh=(("previous", "iterate", players.every_period), *_FOLLOWING),
    ),
}
