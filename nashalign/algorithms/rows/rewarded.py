"""Rows that learn from rewards by policy gradient, and by imitating the best of n."""

from nashalign import losses
from nashalign.algorithms import authors, objectives
from nashalign.algorithms.authors import policy, reference
from nashalign.algorithms.columns import draw, epochs
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import policy_gradients, statistics, surrogates
from nashalign.algorithms.objectives.selection import best_and_worst
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    clip,
    decay,
    num_epochs,
    num_responses,
    share,
    tau,
    weight,
)
from nashalign.algorithms.settings import OURS

_TRL = "TRL's"

# The critic is a linear head on the policy's states, which it reads and does not
# train; every epoch is one step on the whole batch.
PPO = Row(
    "ppo",
    "PPO",
    "Ouyang et al. 2022, arXiv:2203.02155",
    Method(
        members=draw(policy),
        annotation="reward",
        loss=surrogates.proximal_policy,
        statistics=(("values", statistics.values),),
        heads=(("critic", statistics.critic),),
        step=epochs("num_epochs"),
    ),
    settings=(
        tau(0.05, _TRL),
        clip(_TRL),
        share("trace", "decay of an advantage over tokens", 0.95, _TRL),
        weight("value", "the critic's error", 0.1, _TRL),
        num_epochs(4, _TRL),
    ),
    departures=(
        "the critic is a linear head on the policy's states, behind a "
        "stop-gradient; the paper's is a network of its own",
        "advantages are not whitened",
        "an epoch is one step on the whole batch, without minibatches",
        "no pretraining gradients are mixed in",
    ),
    exactness="exact without whitening",
)

ROWS = (
    Row(
        "rl",
        "RL",
        "Calandriello et al. 2024, arXiv:2403.08635",
        Method(
            members=draw(policy, 2),
            annotation="reward",
            loss=policy_gradients.against_others,
        ),
        settings=(tau(0.05),),
        departures=(
            "two responses are each other's baseline; the paper's is not known here",
        ),
    ),
    # The paper's k; its beta is 0.03 on summaries (from memory).
    Row(
        "rloo",
        "RLOO",
        "Ahmadian et al. 2024, arXiv:2402.14740",
        Method(
            members=draw(policy, "num_responses"),
            annotation="reward",
            loss=policy_gradients.penalised_against_others,
        ),
        settings=(tau(0.03, "the paper's, from memory"), num_responses(4)),
    ),
    PPO,
    # The paper's beta follows from n.
    Row(
        "bonbon",
        "BoNBoN",
        "Gui et al. 2024, arXiv:2406.00832",
        Method(
            members=draw(reference, "num_responses"),
            annotation="reward",
            loss=objectives.shared(
                "likelihood",
                objectives.likelihood,
                objectives.chosen(losses.ipo, objectives.best_of_n_tau),
            ),
            select=best_and_worst,
        ),
        settings=(
            weight("likelihood", "the likelihood", 0.005),
            num_responses(8),
        ),
        departures=(
            "the pair loss is IPO's, as in the paper; its released code has the "
            "logistic",
            "responses of the reference are drawn during training, not once before it",
        ),
    ),
    # J-BOND: two samples of an anchor that follows the policy. The paper's decay is
    # 1 - .02; tau is its gamma.
    Row(
        "bond",
        "BOND",
        "Sessa et al. 2024, arXiv:2407.14622",
        Method(
            members=draw(policy),
            opponents=draw(reference, 2),
            annotation="reward",
            loss=policy_gradients.best_of_n_divergence,
            refresh=(("reference", "policy", authors.decaying),),
        ),
        settings=(
            tau(1.0, OURS),
            share("backward", "weight of the backward divergence", 0.5),
            decay(0.98),
        ),
        departures=(
            "the weight of the additional KL, tau, is ours",
            "the backward reward has no baseline",
        ),
    ),
)
