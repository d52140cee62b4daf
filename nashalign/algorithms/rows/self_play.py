"""Rows that look for the Nash policy of a preference by policy gradient."""

from nashalign.algorithms import authors
from nashalign.algorithms.authors import average, mixture, policy, reference
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives.policy_gradients import (
    against_opponents,
    against_the_rest,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import decay, mix, num_responses, period, tau
from nashalign.algorithms.settings import OURS

_MUNOS = "Munos et al. 2023, arXiv:2312.00886"


def _gradient(opponent, **columns):
    """The policy gradient of a response's win rate over an opponent."""
    return Method(
        members=draw(policy),
        opponents=draw(opponent),
        annotation="preference",
        loss=against_opponents,
        **columns,
    )


GRADIENTS = (
    Row(
        "nash_md_pg",
        "Nash-MD-PG",
        _MUNOS,
        _gradient(mixture),
        settings=(tau(0.008), mix(0.125)),
    ),
    # Nash-MD-PG with mix 0 and 1, as rows of their own: the paper's SP and BR.
    Row(
        "self_play_pg",
        "self-play PG",
        _MUNOS,
        _gradient(policy),
        settings=(tau(0.008),),
    ),
    Row(
        "best_response_pg",
        "best-response PG",
        _MUNOS,
        _gradient(reference),
        settings=(tau(0.008),),
    ),
    Row(
        "nash_ema_pg",
        "Nash-EMA-PG",
        _MUNOS,
        _gradient(average, refresh=(("average", "policy", authors.decaying),)),
        settings=(tau(0.008), decay(0.999)),
        departures=(
            "a running mean of parameters; the paper's recursion, as it is printed, "
            "would stay where it starts",
        ),
    ),
    # Each response's reward is its win rate over the others of its prompt.
    Row(
        "spo",
        "SPO",
        "Swamy et al. 2024, arXiv:2401.04056",
        Method(
            members=draw(policy, "num_responses"),
            annotation="preference",
            loss=against_the_rest,
        ),
        settings=(tau(0.0, OURS), num_responses(4, OURS)),
        departures=(
            "the policy step is a plain policy gradient; the paper leaves it to any RL",
            "number of responses and tau are ours: the paper's runs are not on "
            "language",
        ),
    ),
)

# Policy gradient held to a magnet that follows.
MAGNETIC = Row(
    "mpo",
    "MPO (magnetic)",
    "Wang et al. 2024, arXiv:2410.16714",
    _gradient(policy, refresh=(("reference", "policy", authors.every_period),)),
    settings=(tau(0.05, OURS), period(300, OURS)),
    departures=(
        "no proximal KL(policy, iterate): the magnet alone holds the policy",
        "advantages are a response's; the paper's are a token's",
        "tau and period are ours",
    ),
)
