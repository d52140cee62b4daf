"""Rows that learn from rewards by clipped surrogates, without a critic."""

from nashalign.algorithms.authors import policy
from nashalign.algorithms.columns import draw, epochs
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import surrogates
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    CUSTOMARY,
    clip,
    num_epochs,
    num_responses,
    tau,
)

_K3 = (
    "the gradient of the k3 penalty is that of the estimate as written: on the "
    "policy's own responses, of the forward KL of next tokens, not of the KL of "
    "responses"
)

ROWS = (
    Row(
        "grpo",
        "GRPO",
        "Shao et al. 2024, arXiv:2402.03300",
        Method(
            members=draw(policy, "num_responses"),
            annotation="reward",
            loss=surrogates.group_relative(in_deviations=True, per_token=True),
            step=epochs("num_epochs"),
        ),
        settings=(tau(0.04), clip(CUSTOMARY), num_responses(64), num_epochs(1)),
        departures=(
            "the standard deviation is that of a sample, over K - 1, with a floor of "
            "1e-4; the paper says neither",
            _K3,
            "rewards are of whole responses; the paper also has rewards of steps",
            "the reference stays; in the paper's iterations it follows the policy",
        ),
    ),
    Row(
        "dr_grpo",
        "Dr. GRPO",
        "Liu et al. 2025, arXiv:2503.20783",
        Method(
            members=draw(policy, "num_responses"),
            annotation="reward",
            loss=surrogates.group_relative(in_deviations=False, per_token=False),
            step=epochs("num_epochs"),
        ),
        settings=(
            tau(0.0),
            clip(CUSTOMARY),
            num_responses(8, "the paper's, from memory"),
            num_epochs(1, "the paper's, from memory"),
        ),
        departures=(
            "tokens are summed, where the paper divides the sum by a constant, the "
            "longest response: a matter of the learning rate",
            _K3,
        ),
    ),
    Row(
        "reinforce_plus_plus",
        "REINFORCE++",
        "Hu et al. 2025, arXiv:2501.03262",
        Method(
            members=draw(policy),
            annotation="reward",
            loss=surrogates.batch_normalised,
            batch=(("moments", surrogates.moments_of_returns),),
            step=epochs("num_epochs"),
        ),
        settings=(tau(0.01, CUSTOMARY), clip(CUSTOMARY), num_epochs(1, CUSTOMARY)),
        departures=(
            "written from memory of the paper",
            "an epoch is one step on the whole batch, without minibatches",
            "tokens are summed within a response; implementations take their mean, of "
            "a response or of the batch",
            "rewards are neither clipped nor scaled before they are normalised",
        ),
        exactness="exact without the batch normalisation",
    ),
)
