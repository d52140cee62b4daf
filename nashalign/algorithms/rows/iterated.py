"""Rows whose pairs, or whose anchor, are the iterate's, which follows the policy."""

import dataclasses

from nashalign import losses
from nashalign.algorithms import authors, objectives, rounds
from nashalign.algorithms.authors import data, greedy, iterate
from nashalign.algorithms.columns import draw
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    added,
    chosen,
    contrastive,
    last_pair,
    regressions,
    shared,
)
from nashalign.algorithms.objectives.labels import own_rewards, verdict
from nashalign.algorithms.objectives.selection import (
    best,
    best_and_worst,
    distinct_best_and_worst,
    finished_best_and_worst,
    replayed,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows import offline
from nashalign.algorithms.rows.customary import (
    FROM_MEMORY,
    ONE_PROMPT_SET,
    WRITES_EVERY_STEP,
    dividing_tau,
    eta,
    follow,
    num_responses,
    period,
    share,
    weight,
)
from nashalign.algorithms.settings import COUNT, FINITE, OURS, Setting

_DPO = contrastive(losses.dpo)
_FOLLOWING = (("iterate", "policy", authors.every_period),)


def _anchored(loss, **columns):
    """A method whose margins are measured from the iterate."""
    return Method(loss=loss, anchor=iterate, refresh=_FOLLOWING, **columns)


# The anchor is the policy that writes; both move together.
BPO = Row(
    "bpo",
    "BPO",
    "Xu et al. 2024, arXiv:2406.12168",
    _anchored(_DPO, members=draw(iterate, 2), annotation="preference", label=verdict),
    settings=(dividing_tau(0.1), period(300, OURS)),
    departures=(
        "one policy; the paper trains an ensemble of adapters and merges it",
        "two responses a prompt; the paper draws 12 and takes 2 of them",
        "the length of a phase is ours",
    ),
)

# The greedy response of the iterate joins the data set's pair; its likelihood is
# pushed down. A quarter of UltraFeedback is 120 updates of 128.
SELM = Row(
    "selm",
    "SELM",
    "Zhang et al. 2024, arXiv:2405.19332",
    _anchored(
        added(chosen(losses.dpo), "alpha", objectives.first_candidate),
        members=draw(greedy) + draw(data, 2),
        annotation="preference",
        label=verdict,
        select=best_and_worst,
    ),
    settings=(
        dividing_tau(0.01),
        weight("alpha", "the log-ratio of the iterate's own response", 0.001),
        period(120),
    ),
    departures=(
        "no epoch of DPO comes first",
        "labels are the annotator's verdicts; the paper ranks three with PairRM",
    ),
)

SCORED = (
    # `follow` 0 is the paper's anchor, the reference; 1 is its script's, the iterate.
    # 20,000 prompts at 128 a batch are 156 updates an iteration.
    Row(
        "iterative_dpo",
        "iterative DPO (GSHF)",
        "Xiong et al. 2023, arXiv:2312.11456",
        Method(
            members=draw(iterate, "num_responses"),
            annotation="reward",
            loss=chosen(losses.dpo),
            select=best_and_worst,
            anchor=authors.following,
            refresh=_FOLLOWING,
        ),
        settings=(dividing_tau(0.1), follow(0.0), period(156), num_responses(8)),
        departures=(
            "no uncertainty bonus and no second agent: the paper's practical recipe "
            "alone",
            ONE_PROMPT_SET,
        ),
    ),
    # The anchor is the policy that writes. A winner's likelihood is by the token, and a
    # prompt whose responses are all equally good teaches nothing.
    Row(
        "iterative_rpo",
        "iterative RPO",
        "Pang et al. 2024, arXiv:2404.19733",
        _anchored(
            added(chosen(losses.dpo), "likelihood", objectives.mean_likelihood),
            members=draw(iterate, "num_responses"),
            annotation="reward",
            select=distinct_best_and_worst,
        ),
        settings=(
            dividing_tau(0.1, FROM_MEMORY),
            weight("likelihood", "the winner's mean likelihood", 1.0, FROM_MEMORY),
            period(5000, FROM_MEMORY),
            num_responses(30, FROM_MEMORY),
        ),
        departures=(
            "the reward is whoever's is given; the paper's is whether an answer is "
            "right",
            "one pair a prompt, best and worst; the paper takes ten of right and wrong",
            WRITES_EVERY_STEP,
        ),
    ),
    # With one response, likelihood of what the iterate writes.
    Row(
        "raft",
        "RAFT",
        "Dong et al. 2023, arXiv:2304.06767",
        Method(
            members=draw(iterate, "num_responses"),
            annotation="reward",
            loss=objectives.likelihood,
            select=best,
            refresh=_FOLLOWING,
        ),
        settings=(
            period(300, OURS),
            dataclasses.replace(
                num_responses(8, "ours; the paper has up to 32"), range=COUNT
            ),
        ),
        departures=(
            "no KL penalty in the reward, which the paper has as an option",
            WRITES_EVERY_STEP,
            ONE_PROMPT_SET,
        ),
    ),
    Row(
        "rebel",
        "REBEL",
        "Gao et al. 2024, arXiv:2404.16767",
        _anchored(
            regressions.reward_regression,
            members=draw(iterate, 2),
            annotation="reward",
        ),
        settings=(eta(1.0), period(1)),
        departures=("no KL penalty in the reward; code of the paper's subtracts one",),
    ),
    # The reward is the log-ratio that the last round has learnt, less a penalty a
    # token. A share of the pairs is replayed from the data set. Responses that were
    # cut are not chosen. 300 updates a round, as in the paper, which begins with a
    # policy made by DPO.
    Row(
        "dice",
        "DICE",
        "Chen et al. 2024, arXiv:2406.09760",
        Method(
            members=draw(iterate, "num_responses") + draw(data, 2),
            annotation="data",
            loss=shared("replay", last_pair(_DPO), chosen(losses.dpo)),
            label=own_rewards,
            select=replayed(finished_best_and_worst),
            anchor=iterate,
            refresh=(("previous", "iterate", authors.every_period), *_FOLLOWING),
        ),
        settings=(
            dividing_tau(0.1),
            share("replay", "share of the data set's pairs", 0.5),
            Setting(
                name="penalty",
                meaning="taken from the reward for each token",
                unit="nats",
                range=FINITE,
                default=0.0,
                source="none; a round finds its own",
            ),
            period(300),
            num_responses(16),
        ),
        departures=(
            "the penalty is a token's; the paper's is a character's",
            "every step replays a share of the pairs, to the same prompts; the paper "
            "mixes two disjoint sets of prompts",
            "a prompt is left out with fewer than two finished responses, not eight; "
            "the shortest and longest are kept",
        ),
        exactness="exact without the search for the penalty",
        rounds=rounds.SelfRewarded(offline.DPO.method),
    ),
    # A round is a stage of DPO on pairs that the iterate writes, and judges by a text.
    Row(
        "self_rewarding",
        "self-rewarding",
        "Yuan et al. 2024, arXiv:2401.10020",
        Method(members=draw(data, 2), annotation="preference", loss=_DPO),
        settings=(
            dividing_tau(0.1, FROM_MEMORY),
            Setting(
                name="num_rounds",
                meaning="times that the policy writes, judges and is trained on it",
                range=COUNT,
                default=2,
                source=FROM_MEMORY,
            ),
            Setting(
                name="num_prompts",
                meaning="prompts that the policy writes to in a round",
                range=COUNT,
                default=512,
                source=OURS,
            ),
            num_responses(4),
            Setting(
                name="num_draws",
                meaning="draws of the policy's answer whose mean is a response's score",
                range=COUNT,
                default=3,
            ),
        ),
        departures=(
            "the update is DPO's: the policy writes and judges between rounds",
            "the first round begins with the policy that is given; the paper first "
            "fine-tunes it on instructions and on examples of judging",
            "prompts are the task's; the paper's policy writes new ones from examples",
            "the five points are described in words of our own, and the number alone "
            "is drawn, of its tokens; the paper's judge first writes its reasons, and "
            "the number is read from what it has written",
            "responses are drawn at the run's temperature, not at .7 with a top-p of "
            ".9",
        ),
        exactness="exact without the judging",
        rounds=rounds.JudgedByItself(),
    ),
)
