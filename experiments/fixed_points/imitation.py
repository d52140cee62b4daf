"""Where rows rest that imitate a data set: all of it, its best, or what is asked."""

import numpy as np

from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Entry

# Four reviewers of whom one or two give a response each of three scores.
_GIVEN = np.array([[0, 1, 2, y % 3] for y in range(game.SIZE)])
_GIVEN = np.stack([np.roll(row, y) for y, row in enumerate(_GIVEN)], 1)
LEVELLED = game.game(rewards=np.array([-0.8, 0.0, 0.8])[_GIVEN])
SHARES = np.stack([(_GIVEN == level).mean(0) for level in range(3)])


def filtered(seen):
    """The law of the best of the data set's responses."""
    number = seen.settings["num_responses"]
    return theory.law_of_best(seen.data, seen.rewards, number)


def best_of_own(seen, iterate):
    """Dong et al. 2023: the law of the best of K of the iterate's responses."""
    return theory.law_of_best(iterate, seen.rewards, seen.settings["num_responses"])


def given_level(seen):
    """The data set's distribution over responses that were given each score."""
    joint = seen.data * SHARES
    return joint / joint.sum(1, keepdims=True)


def asked_for_level(seen):
    """DPO on which of two responses was given the score: Bradley-Terry's model of it.

    A pair is shown under the score of each; y wins under a score with the weight of
    its own share of that score, and so does z.
    """
    return theory.tilted(seen.at_levels, np.log(SHARES) / seen.tau)


def self_play(seen, iterate):
    """Chen et al. 2024: the iterate, moved towards the data by 1 / tau."""
    follow = seen.settings.get("follow", 1.0)
    anchor = theory.mixed((iterate, follow), (seen.reference, 1 - follow))
    return theory.tilted(anchor, np.log(seen.data / iterate) / seen.tau)


ENTRIES = (
    Entry(
        row="sft",
        # Where there are rewards, so that nobody passes who filters or weighs by them.
        game=game.SCORED,
        prediction="the data set's distribution",
        predict=lambda seen: seen.data,
    ),
    Entry(
        row="filtered",
        settings={"num_responses": 3},
        game=game.REWARDED,
        prediction="the best of 3: F(r)^3 - F(r-)^3",
        predict=filtered,
    ),
    Entry(
        row="raft",
        settings={"num_responses": 2},
        game=game.REWARDED,
        prediction="twice the best of 2 of the iterate",
        predict=theory.repeated(2, best_of_own),
        num_periods=2,
        num_steps=6000,
        learning_rate=0.02,
    ),
    Entry(
        row="rwr",
        settings={"tau": 0.8},
        game=game.REWARDED,
        prediction="data exp(r / tau)",
        predict=lambda seen: theory.tilted(seen.data, seen.rewards / seen.tau),
    ),
    Entry(
        row="conditional",
        settings={"lowest": -1.0, "highest": 1.0},
        game=LEVELLED,
        prediction="under each score, the data that was given it",
        predict=given_level,
        under_levels=True,
        from_examples=True,
        num_steps=1200,
    ),
    Entry(
        row="reward_augmented",
        settings={"tau": 0.7, "lowest": -1.0, "highest": 1.0},
        game=LEVELLED,
        prediction="under each score, reference Pr(score given y)^(1 / tau)",
        predict=asked_for_level,
        note="at tau 1, Bayes' rule: the reference, given the score",
        under_levels=True,
        from_examples=True,
        num_steps=600,
    ),
    Entry(
        row="spin",
        settings={"tau": 2.0},
        game=game.CYCLIC,
        prediction="twice iterate (data / iterate)^(1 / tau)",
        predict=theory.repeated(2, self_play),
        num_periods=2,
    ),
    Entry(
        row="alpha_spin",
        settings={"tau": 2.0, "follow": 0.6},
        game=game.CYCLIC,
        prediction="twice anchor (data / iterate)^(1 / tau)",
        predict=theory.repeated(2, self_play),
        num_periods=2,
    ),
)
