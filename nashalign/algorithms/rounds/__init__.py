"""Rounds: what a run is divided into, and what each of them learns from."""

from nashalign.algorithms.rounds.dimensions import InTurn
from nashalign.algorithms.rounds.easy_first import EasyFirst, reward_gap
from nashalign.algorithms.rounds.own_judgement import (
    JudgedByItself,
    best_against_worst,
    drawn_scores,
)
from nashalign.algorithms.rounds.regeneration import Regenerated, regenerate
from nashalign.algorithms.rounds.round import (
    DIMENSIONS,
    PREFERENCE,
    RESPONSES,
    REWARD,
    TEXTS,
    Context,
    Dimension,
    Round,
    Rounds,
    divide,
    first,
    needs,
    take,
)
from nashalign.algorithms.rounds.self_rewards import SelfRewarded, length_corrected
from nashalign.algorithms.rounds.tree_search import Searched, step_examples

__all__ = [
    "DIMENSIONS",
    "PREFERENCE",
    "RESPONSES",
    "REWARD",
    "Context",
    "Dimension",
    "EasyFirst",
    "InTurn",
    "JudgedByItself",
    "Regenerated",
    "Round",
    "Rounds",
    "Searched",
    "SelfRewarded",
    "TEXTS",
    "best_against_worst",
    "divide",
    "drawn_scores",
    "first",
    "length_corrected",
    "needs",
    "regenerate",
    "reward_gap",
    "step_examples",
    "take",
]
