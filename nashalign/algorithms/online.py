"""Rows that learn from pairs of their own responses, compared or scored online."""

from nashalign import losses
from nashalign.algorithms import objectives, players, regressions
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import added, chosen, contrastive, shared
from nashalign.algorithms.players import (
    better,
    data,
    greedy,
    iterate,
    mixture,
    policy,
    reference,
    worse,
)
from nashalign.algorithms.selection import (
    best_and_worst,
    finished_best_and_worst,
    own_rewards,
    ranking,
    replayed,
    reward_gap,
    verdict,
)

_CALANDRIELLO = "Calandriello et al. 2024, arXiv:2403.08635"
_GUO = "Guo et al. 2024, arXiv:2402.04792"
_DING = "Ding et al. 2024, arXiv:2406.15567"


def _online(title, paper, loss, settings, **columns):
    """A row on pairs of the policy's own responses, compared by the annotator."""
    return Method(
        title=title,
        paper=paper,
        loss=loss,
        settings=settings,
        **{
            "authors": (policy, policy),
            "num_members": 2,
            "annotation": "preference",
            "divides_by_tau": True,
        }
        | columns,
    )


_DPO = contrastive(losses.dpo)
_FOLLOWING = (("iterate", "policy", players.every_period),)

ROWS: dict[str, Method] = {
    "online_dpo": _online("DPO", _CALANDRIELLO, _DPO, {"tau": 5.0}),
    "online_slic": _online(
        "SLiC", _CALANDRIELLO, contrastive(losses.slic), {"tau": 10.0}
    ),
    "online_ipo": _online("IPO", _CALANDRIELLO, contrastive(losses.ipo), {"tau": 1.0}),
    "ipo_md": _online(
        "IPO-MD",
        _CALANDRIELLO,
        contrastive(losses.ipo),
        {"tau": 1.0, "mix": 0.125},
        authors=(mixture, mixture),
    ),
    # OAIF: an annotator's verdict, as hard labels; the online rows above are its soft
    # form. The annotator is an LLM in the paper, and whoever is given here.
    "oaif_dpo": _online("OAIF (DPO)", _GUO, _DPO, {"tau": 0.1}, label=verdict),
    "oaif_ipo": _online(
        "OAIF (IPO)", _GUO, contrastive(losses.ipo), {"tau": 1.0}, label=verdict
    ),
    "oaif_slic": _online(
        "OAIF (SLiC)", _GUO, contrastive(losses.slic), {"tau": 0.002}, label=verdict
    ),
    # The paper's judge is the policy itself, prompted: give such an annotator. All
    # responses are compared with one more, the baseline. Number and tau are ours.
    "osp": _online(
        "OSP",
        "Zhai et al. 2024, arXiv:2405.14103",
        objectives.ranked_pairs,
        {"tau": 0.1, "num_responses": 3},
        authors=(policy,) * 4,
        num_members=3,
    ),
    # The policy answers a prompt for a good and one for a bad answer; the gap between
    # them shrinks. Its schedule is ours: the paper's is not public.
    "self_prompting": _online(
        "prompting-only self-rewarding",
        "Xu et al. 2024, arXiv:2409.17534",
        chosen(losses.dpo),
        {"tau": 0.1, "gap": 1.0, "half_life": 1000.0},
        authors=(better, worse),
        annotation="none",
    ),
    # The anchor is the policy that writes; both move together. Phases are ours.
    "bpo": _online(
        "BPO",
        "Xu et al. 2024, arXiv:2406.12168",
        _DPO,
        {"tau": 0.1, "period": 300},
        authors=(iterate, iterate),
        label=verdict,
        anchor=iterate,
        refresh=_FOLLOWING,
    ),
    # Which prompts are answered anew is decided between rounds (`recipes.regenerate`).
    # The sharpness of the weight is ours.
    "optune": _online(
        "OPTune",
        "Chen et al. 2024, arXiv:2406.07657",
        _DPO,
        {"tau": 0.1, "sharpness": 1.0},
        authors=(data, data),
        annotation="reward",
        label=ranking,
        weight=reward_gap,
        exactness="exact without the regeneration",
    ),
    # D and P: where the pair and its label come from, the data set or the policy; R: a
    # label of the annotator's. The rest of each is DPO on the data set's pairs.
    "sail_ddp": _online(
        "SAIL-DDP",
        _DING,
        shared("share", objectives.self_labelled(sampled=False), _DPO),
        {"tau": 0.1, "share": 0.4, "rho": 0.2},
        authors=(data, data),
        label=verdict,
    ),
    "sail_dpp": _online(
        "SAIL-DPP",
        _DING,
        shared(
            "share",
            objectives.self_labelled(sampled=True),
            objectives.last_pair(_DPO),
        ),
        {"tau": 0.1, "share": 0.3, "rho": 0.2},
        authors=(policy, policy, data, data),
        num_members=4,
        annotation="data",
        label=verdict,
    ),
    "sail_dpr": _online(
        "SAIL-DPR",
        _DING,
        shared("share", objectives.sampled_dpo, objectives.last_pair(_DPO)),
        {"tau": 0.1, "share": 0.3, "rho": 0.3},
        authors=(policy, policy, data, data),
        num_members=4,
        label=verdict,
    ),
    # The greedy response of the iterate joins the data set's pair; its likelihood is
    # pushed down. A quarter of UltraFeedback is 120 updates of 128.
    "selm": _online(
        "SELM",
        "Zhang et al. 2024, arXiv:2405.19332",
        added(chosen(losses.dpo), "alpha", objectives.first_candidate),
        {"tau": 0.01, "alpha": 0.001, "period": 120},
        authors=(greedy, data, data),
        num_members=3,
        label=verdict,
        select=best_and_worst,
        anchor=iterate,
        refresh=_FOLLOWING,
    ),
    "xpo": _online(
        "XPO",
        "Xie et al. 2024, arXiv:2405.21046",
        added(_DPO, "alpha", objectives.optimism(1)),
        {"tau": 0.1, "alpha": 1e-5},
        authors=(policy, reference),
        label=verdict,
    ),
    # `follow` 0 is the paper's anchor, the reference; 1 is its script's, the iterate.
    # 20,000 prompts at 128 a batch are 156 updates an iteration.
    "iterative_dpo": _online(
        "iterative DPO (GSHF)",
        "Xiong et al. 2023, arXiv:2312.11456",
        chosen(losses.dpo),
        {"tau": 0.1, "follow": 0.0, "period": 156, "num_responses": 8},
        authors=(iterate,) * 8,
        num_members=8,
        annotation="reward",
        select=best_and_worst,
        anchor=players.following,
        refresh=_FOLLOWING,
    ),
    "rebel": _online(
        "REBEL",
        "Gao et al. 2024, arXiv:2404.16767",
        regressions.reward_regression,
        {"eta": 1.0, "period": 1},
        authors=(iterate, iterate),
        annotation="reward",
        anchor=iterate,
        refresh=_FOLLOWING,
        divides_by_tau=False,
    ),
    # The reward is the log-ratio that the last round has learnt, less a penalty a token
    # (`recipes.length_corrected` finds the paper's). A share of the pairs is replayed
    # from the data set. Responses that were cut are not chosen; the paper also drops
    # prompts of which less than half of them are left, and the shortest and longest.
    # 300 updates a round, as in the paper, which begins with a policy made by DPO.
    "dice": _online(
        "DICE",
        "Chen et al. 2024, arXiv:2406.09760",
        shared(
            "replay",
            objectives.last_pair(_DPO),
            chosen(losses.dpo),
        ),
        {
            "tau": 0.1,
            "replay": 0.5,
            "penalty": 0.0,
            "period": 300,
            "num_responses": 16,
        },
        authors=(iterate,) * 16 + (data, data),
        num_members=18,
        annotation="data",
        label=own_rewards,
        select=replayed(finished_best_and_worst),
        anchor=iterate,
        refresh=(("previous", "iterate", players.every_period), *_FOLLOWING),
        exactness="exact without the search for the penalty",
    ),
    # Its update is DPO's. What is its own is the search that its examples come from:
    # step pairs of a tree, labelled by visits (`recipes.searched`).
    "mcts_dpo": _online(
        "MCTS-DPO",
        "Xie et al. 2024, arXiv:2405.00451",
        _DPO,
        {"tau": 0.1},
        authors=(data, data),
        exactness="exact without the search",
    ),
}
