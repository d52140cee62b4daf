"""Rows that learn from rewards by policy gradient, and by imitating the best of n."""

from nashalign import losses
from nashalign.algorithms import objectives, players, policy_gradients, statistics
from nashalign.algorithms.method import Method
from nashalign.algorithms.players import policy, reference
from nashalign.algorithms.selection import best_and_worst

ROWS: dict[str, Method] = {
    "rl": Method(
        title="RL",
        paper="Calandriello et al. 2024, arXiv:2403.08635",
        authors=(policy, policy),
        num_members=2,
        annotation="reward",
        loss=policy_gradients.against_others,
        settings={"tau": 0.05},
    ),
    # The paper's k; its beta is 0.03 on summaries (from memory).
    "rloo": Method(
        title="RLOO",
        paper="Ahmadian et al. 2024, arXiv:2402.14740",
        authors=(policy,) * 4,
        num_members=4,
        annotation="reward",
        loss=policy_gradients.penalised_against_others,
        settings={"tau": 0.03, "num_responses": 4},
    ),
    # Settings are TRL's defaults. The critic is a linear head on the policy's states,
    # which it reads and does not train, where the paper has a network of its own; every
    # epoch is one step on the whole batch, and advantages are not whitened.
    "ppo": Method(
        title="PPO",
        paper="Ouyang et al. 2022, arXiv:2203.02155",
        authors=(policy,),
        num_members=1,
        annotation="reward",
        loss=policy_gradients.proximal_policy,
        settings={
            "tau": 0.05,
            "clip": 0.2,
            "trace": 0.95,
            "value": 0.1,
            "num_epochs": 4,
        },
        statistics=(("values", statistics.values),),
        heads=(("critic", statistics.critic),),
        exactness="exact without whitening",
    ),
    # The paper's n and alpha, and its beta, which follows from n. Its released code
    # takes the logistic loss where the paper has IPO's.
    "bonbon": Method(
        title="BoNBoN",
        paper="Gui et al. 2024, arXiv:2406.00832",
        authors=(reference,) * 8,
        num_members=8,
        annotation="reward",
        loss=objectives.shared(
            "likelihood",
            objectives.likelihood,
            objectives.chosen(losses.ipo, objectives.best_of_n_tau),
        ),
        settings={"likelihood": 0.005, "num_responses": 8},
        select=best_and_worst,
    ),
    # J-BOND: two samples of an anchor that follows the policy. beta and the anchor's
    # decay, 1 - .02, are the paper's; tau, its gamma, is ours.
    "bond": Method(
        title="BOND",
        paper="Sessa et al. 2024, arXiv:2407.14622",
        authors=(policy, reference, reference),
        num_members=1,
        annotation="reward",
        loss=policy_gradients.best_of_n_divergence,
        settings={"tau": 1.0, "backward": 0.5, "decay": 0.98},
        refresh=(("reference", "policy", players.decaying),),
    ),
}
