"""Annotators: who says which of two responses is better."""

from nashalign.preferences.annotators import (
    PairAnnotator,
    ScoreAnnotator,
    check_preferred,
)
from nashalign.preferences.game import GamePreference, GameReward, locate
from nashalign.preferences.models import (
    PairwiseModel,
    RewardModel,
    init_params,
    vote_loss,
)
from nashalign.preferences.population import (
    Population,
    PopulationAnnotator,
    best_attainable_accuracy,
    intransitive_share,
    three_reviewers,
)
from nashalign.preferences.reviewers import style, terse, thorough

__all__ = [
    "GamePreference",
    "GameReward",
    "PairAnnotator",
    "PairwiseModel",
    "Population",
    "PopulationAnnotator",
    "RewardModel",
    "ScoreAnnotator",
    "best_attainable_accuracy",
    "check_preferred",
    "init_params",
    "intransitive_share",
    "locate",
    "style",
    "terse",
    "thorough",
    "three_reviewers",
    "vote_loss",
]
