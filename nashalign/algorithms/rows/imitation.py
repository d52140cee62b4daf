"""Rows that learn from what is said of a data set's responses, and from its authors.

Rewards weigh, filter or condition likelihoods; degrees of corruption are told apart;
and what a data set's authors wrote wins over what the policy writes (SPIN).
"""

from nashalign import losses
from nashalign.algorithms import authors, objectives, rounds
from nashalign.algorithms.authors import data, iterate
from nashalign.algorithms.columns import draw
from nashalign.algorithms.conditioning import Conditioning
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    chosen,
    contrastive,
    prompting,
    selection,
    statistics,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.customary import (
    CUSTOMARY,
    SECOND_HAND,
    WRITES_EVERY_STEP,
    dividing_tau,
    follow,
    num_responses,
    period,
    weight,
)
from nashalign.algorithms.settings import FINITE, NOT_NEGATIVE, OURS, SEVERAL, Setting

_HU = "Hu et al. 2023, arXiv:2308.12050"
_LEVELS = Conditioning("lowest", "highest")
_ENDS = (
    Setting(
        name="lowest",
        meaning="reward at which the first level begins",
        range=FINITE,
        default=-1.0,
        source=OURS,
    ),
    Setting(
        name="highest",
        meaning="reward at which the last level ends",
        range=FINITE,
        default=1.0,
        source=OURS,
    ),
)
_FOLLOWING = (("iterate", "policy", authors.every_period),)

ROWS = (
    # The best of K of the data set's responses to each prompt.
    Row(
        "filtered",
        "filtering alignment",
        _HU,
        Method(
            members=draw(data, "num_responses"),
            annotation="reward",
            loss=objectives.likelihood,
            select=selection.best,
        ),
        settings=(num_responses(4, OURS),),
        departures=(
            "keeps the best of each prompt; the paper also filters by a threshold",
        ),
    ),
    Row(
        "rwr",
        "reward-weighted regression",
        _HU,
        Method(
            members=draw(data),
            annotation="reward",
            loss=objectives.likelihood,
            weight=selection.exponential,
            batch=(("largest", selection.largest_reward),),
        ),
        # In units of the reward, which the paper normalises over its data set.
        settings=(dividing_tau(1.0, OURS),),
        departures=(
            "rewards are not normalised over the data set, and weights not clipped, "
            "but divided by the largest of the batch",
        ),
        exactness="exact without the batch normalisation",
    ),
    Row(
        "conditional",
        "conditional alignment",
        _HU,
        Method(
            members=draw(data),
            annotation="none",
            loss=objectives.likelihood,
            prompts=prompting.on_own_reward,
            conditioning=_LEVELS,
        ),
        settings=_ENDS,
        conditions=(_LEVELS.in_order,),
        departures=(
            "rewards are told by one of a few levels; the paper prints two decimals",
            "rewards are not normalised over the data set",
        ),
    ),
    Row(
        "reward_augmented",
        "reward-augmented DPO",
        "Zhang et al. 2024, arXiv:2410.08067",
        Method(
            members=draw(data, 2),
            annotation="preference",
            loss=contrastive(losses.dpo),
            prompts=prompting.on_each_reward,
            conditioning=_LEVELS,
        ),
        settings=(dividing_tau(0.01), *_ENDS),
        conditions=(_LEVELS.in_order,),
        departures=(
            "scores are told by one of a few levels, behind the prompt; the paper's "
            "are in a system message, from 1 to 10",
            "labels are not smoothed; a recipe of the paper's smooths them by 0.3",
        ),
    ),
    Row(
        "preference_degree",
        "self-supervised PO (degree)",
        "Li et al. 2024, arXiv:2409.17791",
        Method(
            members=draw(data, 2),
            opponents=draw(data, 2),
            given=2,
            annotation="preference",
            loss=added(
                contrastive(losses.dpo), "degree", objectives.degree_of_corruption
            ),
            prompts=prompting.with_corrupted_responses,
            statistics=(("degrees", statistics.degrees),),
            heads=(("degree", statistics.DegreeHead("num_degrees")),),
        ),
        settings=(
            dividing_tau(0.1, CUSTOMARY),
            weight("degree", "telling degrees of corruption apart", 0.1, OURS),
            Setting(
                name="num_degrees",
                meaning="degrees of corruption",
                range=SEVERAL,
                default=4,
                source=OURS,
            ),
        ),
        departures=(
            SECOND_HAND,
            "key content is taken as the rarest tokens; the paper's extractor finds "
            "key phrases",
            "a response has one degree, by its example's number; the paper makes "
            "several of one response",
            "number of degrees and the weight of telling them apart are ours",
        ),
    ),
    # A dimension of preference a period: the labels of the data set change with it,
    # and what the earlier dimensions have taught (iterate over reference) is retained.
    # From memory of the paper's equation.
    Row(
        "sequential_po",
        "SPO (sequential)",
        "Lou et al. 2024, arXiv:2405.12739",
        Method(
            members=draw(data, 2),
            annotation="preference",
            loss=contrastive(losses.dpo),
            anchor=authors.extrapolated,
            refresh=_FOLLOWING,
        ),
        settings=(
            dividing_tau(0.1, CUSTOMARY),
            Setting(
                name="retain",
                meaning="how far the iterate's log-ratio is carried on",
                range=NOT_NEGATIVE,
                default=0.5,
                source=OURS,
            ),
            period(300, OURS),
        ),
        departures=(
            SECOND_HAND,
            "the order of the dimensions is ours",
            "one `retain` for all dimensions",
            "what the dimensions before have taught counts together, iterate over "
            "reference; the paper weighs each",
        ),
        rounds=rounds.InTurn(),
    ),
    # 50,000 prompts at 64 a batch are 781 updates an epoch.
    Row(
        "spin",
        "SPIN",
        "Chen et al. 2024, arXiv:2401.01335",
        Method(
            members=draw(data) + draw(iterate),
            annotation="none",
            loss=chosen(losses.dpo),
            anchor=iterate,
            refresh=_FOLLOWING,
        ),
        settings=(dividing_tau(0.1), period(781)),
        departures=(WRITES_EVERY_STEP,),
    ),
    # `follow` 1 is SPIN.
    Row(
        "alpha_spin",
        "alpha-SPIN",
        "Alami et al. 2024, arXiv:2404.04291",
        Method(
            members=draw(data) + draw(iterate),
            annotation="none",
            loss=chosen(losses.dpo),
            anchor=authors.following,
            refresh=_FOLLOWING,
        ),
        settings=(dividing_tau(0.1), follow(0.5, OURS), period(781)),
        departures=(
            "the opponent is the last iterate alone; the paper also mixes older ones",
            WRITES_EVERY_STEP,
            "the value of `follow` is ours",
        ),
    ),
)
