"""Rows that learn from the responses of a data set.

Where an example brings no labels along, the annotator is asked about its responses.
"""

from nashalign import losses
from nashalign.algorithms import objectives, players, prompting, statistics
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import added, contrastive, times
from nashalign.algorithms.players import data, iterate, nothing, policy
from nashalign.algorithms.selection import (
    best,
    exponential,
    largest_reward,
    likelihood_power,
    mean_log_weight,
)

_HU = "Hu et al. 2023, arXiv:2308.12050"
_SHARIFNASSAB = "Sharifnassab et al. 2024, arXiv:2405.00747"
_ZENG = "Zeng et al. 2024, arXiv:2404.11999"


def _pairs(title, paper, loss, settings, **columns):
    """A row on pairs of a data set, compared by the annotator."""
    return Method(
        title=title,
        paper=paper,
        authors=(data, data),
        num_members=2,
        annotation="preference",
        loss=loss,
        settings=settings,
        **{"divides_by_tau": True} | columns,
    )


_SOFT = contrastive(losses.soft, None, alpha="alpha")


def _soft(title, loss, settings, **columns):
    """Soft preference optimisation, with KL on a response of the policy."""
    return Method(
        title=title,
        paper=_SHARIFNASSAB,
        loss=loss,
        regulariser=times("tau", objectives.divergence_of_opponent),
        settings={"alpha": 1.0, "tau": 0.1} | settings,
        anchor=nothing,
        statistics=(("kl", statistics.reverse_kl),),
        **{
            "authors": (data, data, policy),
            "num_members": 2,
            "annotation": "preference",
        }
        | columns,
    )


ROWS: dict[str, Method] = {
    "sft": Method(
        title="SFT",
        paper="Ouyang et al. 2022, arXiv:2203.02155",
        authors=(data,),
        num_members=1,
        annotation="none",
        loss=objectives.likelihood,
        settings={},
    ),
    "dpo": _pairs(
        "DPO (offline)",
        "Rafailov et al. 2023, arXiv:2305.18290",
        contrastive(losses.dpo),
        {"tau": 0.1},
    ),
    "cdpo": _pairs(
        "cDPO",
        "Chowdhury et al. 2024, arXiv:2403.00409",
        contrastive(losses.cdpo, flip="flip"),
        {"tau": 0.1, "flip": 0.1},
    ),
    "rdpo": _pairs(
        "rDPO",
        "Chowdhury et al. 2024, arXiv:2403.00409",
        contrastive(losses.rdpo, flip="flip"),
        {"tau": 0.1, "flip": 0.1},
    ),
    # The paper has bandits only; its public implementations take 0.1.
    "ipo": _pairs(
        "IPO (offline)",
        "Azar et al. 2023, arXiv:2310.12036",
        contrastive(losses.ipo),
        {"tau": 0.1},
    ),
    # The likelihood's weight is not in the paper: ours. Its term is the winner's.
    "slic_hf": _pairs(
        "SLiC-HF",
        "Zhao et al. 2023, arXiv:2305.10425",
        added(
            contrastive(losses.hinge, None, delta="margin"),
            "likelihood",
            objectives.winners_likelihood,
        ),
        {"margin": 1.0, "likelihood": 0.1},
        anchor=nothing,
        divides_by_tau=False,
    ),
    # The policy's own response is to the same prompt, and one a pair: the paper samples
    # other prompts, now and then. The KL is that of the next-token distributions along
    # it, whose gradient leaves out that of the prefixes. tau is ours.
    "soft_po": _soft("soft PO", _SOFT, {}),
    # The paper's weight is not public in full: a power of the pair's likelihood.
    "soft_po_weighted": _soft(
        "soft PO (weighted)",
        _SOFT,
        {"power": 0.1},
        weight=likelihood_power,
        batch=(("mean_log_weight", mean_log_weight),),
        exactness="exact without the batch normalisation",
    ),
    "soft_po_ranked": _soft(
        "soft PO (ranked)",
        objectives.choice,
        {"num_responses": 4},
        authors=(data,) * 4 + (policy,),
        num_members=4,
        annotation="reward",
    ),
    "tdpo1": _pairs(
        "TDPO1",
        _ZENG,
        objectives.token_level_dpo(detached=False),
        {"tau": 0.1},
        statistics=(("kl", statistics.forward_kl),),
    ),
    "tdpo2": _pairs(
        "TDPO2",
        _ZENG,
        objectives.token_level_dpo(detached=True),
        {"tau": 0.1, "alpha": 0.5},
        statistics=(("kl", statistics.forward_kl),),
    ),
    # The best of K of the data set's responses to each prompt.
    "filtered": Method(
        title="filtering alignment",
        paper=_HU,
        authors=(data,) * 4,
        num_members=4,
        annotation="reward",
        loss=objectives.likelihood,
        settings={"num_responses": 4},
        select=best,
    ),
    # The paper normalises rewards over its data set; tau is in units of the reward.
    "rwr": Method(
        title="reward-weighted regression",
        paper=_HU,
        authors=(data,),
        num_members=1,
        annotation="reward",
        loss=objectives.likelihood,
        settings={"tau": 1.0},
        weight=exponential,
        batch=(("largest", largest_reward),),
        exactness="exact without the batch normalisation",
        divides_by_tau=True,
    ),
    # Rewards are told by one of `Setup.levels`, where the paper prints two decimals.
    "conditional": Method(
        title="conditional alignment",
        paper=_HU,
        authors=(data,),
        num_members=1,
        annotation="none",
        loss=objectives.likelihood,
        settings={"lowest": -1.0, "highest": 1.0},
        prompts=prompting.on_own_reward,
    ),
    # The paper's beta; its recipe also smooths labels by 0.3 (cDPO).
    "reward_augmented": _pairs(
        "reward-augmented DPO",
        "Zhang et al. 2024, arXiv:2410.08067",
        contrastive(losses.dpo),
        {"tau": 0.01, "lowest": -1.0, "highest": 1.0},
        prompts=prompting.on_each_reward,
    ),
    # Degrees, their number and the weight of telling them apart are ours: the paper's
    # are not public.
    "preference_degree": Method(
        title="self-supervised PO (degree)",
        paper="Li et al. 2024, arXiv:2409.17791",
        authors=(data,) * 4,
        num_members=2,
        annotation="preference",
        loss=added(contrastive(losses.dpo), "degree", objectives.degree_of_corruption),
        settings={"tau": 0.1, "degree": 0.1, "num_degrees": 4},
        prompts=prompting.with_corrupted_responses,
        statistics=(("degrees", statistics.degrees),),
        heads=(("degree", statistics.degree_head(4)),),
        divides_by_tau=True,
    ),
    # A dimension of preference a period: the labels of the data set change with it,
    # and what the earlier dimensions have taught (iterate over reference) is retained.
    # From memory of the paper's equation; one `retain` for all dimensions is ours.
    "sequential_po": _pairs(
        "SPO (sequential)",
        "Lou et al. 2024, arXiv:2405.12739",
        contrastive(losses.dpo),
        {"tau": 0.1, "retain": 0.5, "period": 300},
        anchor=players.extrapolated,
        refresh=(("iterate", "policy", players.every_period),),
    ),
    # 50,000 prompts at 64 a batch are 781 updates an epoch.
    "spin": Method(
        title="SPIN",
        paper="Chen et al. 2024, arXiv:2401.01335",
        authors=(data, iterate),
        num_members=2,
        annotation="none",
        loss=objectives.chosen(losses.dpo),
        settings={"tau": 0.1, "period": 781},
        anchor=iterate,
        refresh=(("iterate", "policy", players.every_period),),
        divides_by_tau=True,
    ),
    # `follow` 1 is SPIN. Its value, and a history of length one, are ours.
    "alpha_spin": Method(
        title="alpha-SPIN",
        paper="Alami et al. 2024, arXiv:2404.04291",
        authors=(data, iterate),
        num_members=2,
        annotation="none",
        loss=objectives.chosen(losses.dpo),
        settings={"tau": 0.1, "follow": 0.5, "period": 781},
        anchor=players.following,
        refresh=(("iterate", "policy", players.every_period),),
        divides_by_tau=True,
    ),
}
