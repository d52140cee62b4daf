"""Rows that learn from pairs of the policy's own responses, compared online."""

from nashalign import losses
from nashalign.algorithms import objectives, rounds
from nashalign.algorithms.authors import (
    better,
    data,
    mixture,
    policy,
    reference,
    worse,
)
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    chosen,
    contrastive,
    last_pair,
    shared,
)
from nashalign.algorithms.objectives.labels import ranking, verdict
from nashalign.algorithms.objectives.selection import by_reward_gap
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    CUSTOMARY,
    SECOND_HAND,
    dividing_tau,
    mix,
    num_responses,
    share,
    weight,
)
from nashalign.algorithms.settings import NOT_NEGATIVE, OURS, POSITIVE, Setting

_CALANDRIELLO = "Calandriello et al. 2024, arXiv:2403.08635"
_GUO = "Guo et al. 2024, arXiv:2402.04792"
_DING = "Ding et al. 2024, arXiv:2406.15567"
_OF_GUO = (
    "the annotator is whoever is given; the paper's is an LLM, asked in both orders",
    "responses are drawn at the run's temperature, not at .9",
)
_SHARE_A_STEP = (
    "every step takes a share of each loss; the paper draws one for each example"
)
_OWN_LABELS = "labels of its own are taken in expectation; the paper draws them"
_OTHER_SIGN = (
    "the score-function term has the sign that is derived; the released code has "
    "another sign and scale"
)


_OWN = draw(policy, 2)


def _pairs(loss, members=_OWN, annotation="preference", **columns):
    """A method on pairs of the policy's own responses, compared by the annotator."""
    return Method(members=members, annotation=annotation, loss=loss, **columns)


def _of_sail(share_of_own, rho):
    """The settings of SAIL."""
    return (
        dividing_tau(0.1),
        share("share", "share of the row's own term, the rest is DPO's", share_of_own),
        weight("rho", "the gradient through the row's own labels", rho),
    )


_DPO = contrastive(losses.dpo)

ONLINE = (
    Row(
        "online_dpo",
        "DPO",
        _CALANDRIELLO,
        _pairs(_DPO),
        settings=(dividing_tau(5.0),),
    ),
    Row(
        "online_slic",
        "SLiC",
        _CALANDRIELLO,
        _pairs(contrastive(losses.slic)),
        settings=(dividing_tau(10.0),),
    ),
    Row(
        "online_ipo",
        "IPO",
        _CALANDRIELLO,
        _pairs(contrastive(losses.ipo)),
        settings=(dividing_tau(1.0),),
    ),
    Row(
        "ipo_md",
        "IPO-MD",
        _CALANDRIELLO,
        _pairs(contrastive(losses.ipo), members=draw(mixture, 2)),
        settings=(dividing_tau(1.0), mix(0.125)),
    ),
    # OAIF: an annotator's verdict, as hard labels; the online rows above are its soft
    # form.
    Row(
        "oaif_dpo",
        "OAIF (DPO)",
        _GUO,
        _pairs(_DPO, label=verdict),
        settings=(dividing_tau(0.1),),
        departures=_OF_GUO,
    ),
    Row(
        "oaif_ipo",
        "OAIF (IPO)",
        _GUO,
        _pairs(contrastive(losses.ipo), label=verdict),
        settings=(dividing_tau(1.0),),
        departures=_OF_GUO,
    ),
    Row(
        "oaif_slic",
        "OAIF (SLiC)",
        _GUO,
        _pairs(contrastive(losses.slic), label=verdict),
        settings=(dividing_tau(0.002),),
        departures=_OF_GUO,
    ),
    # All responses are compared with one more, the baseline.
    Row(
        "osp",
        "OSP",
        "Zhai et al. 2024, arXiv:2405.14103",
        _pairs(
            objectives.ranked_pairs,
            members=draw(policy, "num_responses"),
            opponents=draw(policy),
        ),
        settings=(dividing_tau(0.1, OURS), num_responses(3, OURS)),
        departures=(
            "the judge is whoever is given; in the paper it is the policy itself, "
            "prompted",
            "the strength of a pair follows Bradley-Terry's model; the paper's is not "
            "public",
            "number of responses and tau are ours",
        ),
    ),
    # The policy answers a prompt for a good and one for a bad answer; the gap between
    # them shrinks.
    Row(
        "self_prompting",
        "prompting-only self-rewarding",
        "Xu et al. 2024, arXiv:2409.17534",
        _pairs(
            chosen(losses.dpo), members=draw(better) + draw(worse), annotation="none"
        ),
        settings=(
            dividing_tau(0.1, CUSTOMARY),
            share("gap", "weight on the conditioned policy at first", 1.0, OURS),
            Setting(
                name="half_life",
                meaning="updates in which the gap is halved",
                range=POSITIVE,
                default=1000.0,
                source=OURS,
            ),
        ),
        departures=(
            SECOND_HAND,
            "conditions are token strings behind the prompt; the paper prompts in "
            "words",
            "the schedule of the gap is ours",
        ),
    ),
)

FROM_DATA = (
    Row(
        "optune",
        "OPTune",
        "Chen et al. 2024, arXiv:2406.07657",
        _pairs(
            _DPO,
            members=draw(data, 2),
            annotation="reward",
            label=ranking,
            weight=by_reward_gap,
        ),
        settings=(
            dividing_tau(0.1),
            Setting(
                name="sharpness",
                meaning="steepness of a weight",
                unit="per unit of the gap of rewards",
                range=NOT_NEGATIVE,
                default=1.0,
                source=OURS,
            ),
        ),
        departures=(
            "three rounds, before each of which half of the prompts is answered again: "
            "both numbers are ours",
            "the weight's form and sharpness are ours: the paper's are not public",
        ),
        exactness="exact without the regeneration",
        rounds=rounds.Regenerated(number=3, share=0.5),
    ),
    # D and P: where the pair and its label come from, the data set or the policy; R: a
    # label of the annotator's. The rest of each is DPO on the data set's pairs.
    Row(
        "sail_ddp",
        "SAIL-DDP",
        _DING,
        _pairs(
            shared("share", objectives.self_labelled(sampled=False), _DPO),
            members=draw(data, 2),
            label=verdict,
        ),
        settings=_of_sail(0.4, 0.2),
        departures=(_SHARE_A_STEP, _OWN_LABELS, _OTHER_SIGN),
    ),
    Row(
        "sail_dpp",
        "SAIL-DPP",
        _DING,
        _pairs(
            shared("share", objectives.self_labelled(sampled=True), last_pair(_DPO)),
            members=draw(policy, 2) + draw(data, 2),
            annotation="data",
            label=verdict,
        ),
        settings=_of_sail(0.3, 0.2),
        departures=(_SHARE_A_STEP, _OWN_LABELS, _OTHER_SIGN),
    ),
    Row(
        "sail_dpr",
        "SAIL-DPR",
        _DING,
        _pairs(
            shared("share", objectives.sampled_dpo, last_pair(_DPO)),
            members=draw(policy, 2) + draw(data, 2),
            label=verdict,
        ),
        settings=_of_sail(0.3, 0.3),
        departures=(_SHARE_A_STEP, _OTHER_SIGN),
    ),
)

OPTIMISTIC = (
    Row(
        "xpo",
        "XPO",
        "Xie et al. 2024, arXiv:2405.21046",
        _pairs(
            added(_DPO, "alpha", objectives.optimism(1)),
            members=draw(policy) + draw(reference),
            label=verdict,
        ),
        settings=(
            dividing_tau(0.1),
            weight("alpha", "the reference's response's likelihood", 1e-5),
        ),
    ),
)

SEARCHED = (
    # Its update is DPO's. What is its own is the search that its examples come from:
    # step pairs of a tree, labelled by visits.
    Row(
        "mcts_dpo",
        "MCTS-DPO",
        "Xie et al. 2024, arXiv:2405.00451",
        _pairs(_DPO, members=draw(data, 2)),
        settings=(dividing_tau(0.1),),
        departures=(
            "the update is DPO's: the search is between rounds",
            "trees of 16 visits, of steps of six tokens; the paper's are of 256, of "
            "sentences",
            "values and pairs are those of this search; the paper's judge evaluates "
            "itself and adds an outcome",
        ),
        exactness="exact without the search",
        rounds=rounds.Searched(),
    ),
)
