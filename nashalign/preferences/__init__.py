"""Annotators: who says which of two responses is better."""

from nashalign.preferences import llm
from nashalign.preferences.annotators import (
    Annotator,
    Pairs,
    PreferenceAnnotator,
    RewardAnnotator,
    can_answer,
    check_preferred,
    check_rewards,
    finite_rewards,
    on_host,
    preferred_among,
    probabilities,
    scored_by,
)
from nashalign.preferences.answers import Answers, Store
from nashalign.preferences.ensembles import (
    Combine,
    Ensemble,
    average_weights,
    mean,
    uncertainty_weighted,
    worst_case,
)
from nashalign.preferences.folders import (
    COMBINATIONS,
    JUDGES,
    is_judge,
    load_judge,
    save_ensemble,
    save_judge,
)
from nashalign.preferences.game import GamePreference, GameReward, locate
from nashalign.preferences.lengths import LengthPenalised, length_penalty
from nashalign.preferences.models import (
    PairwiseModel,
    RewardModel,
    init_params,
    vote_loss,
)
from nashalign.preferences.population import (
    Population,
    PopulationAnnotator,
    Utility,
    best_attainable_accuracy,
)
from nashalign.preferences.text import (
    TextPreference,
    TextReward,
    text_annotator,
)

__all__ = [
    "COMBINATIONS",
    "JUDGES",
    "Annotator",
    "Answers",
    "Combine",
    "Ensemble",
    "GamePreference",
    "GameReward",
    "LengthPenalised",
    "Pairs",
    "PairwiseModel",
    "Population",
    "PopulationAnnotator",
    "PreferenceAnnotator",
    "RewardAnnotator",
    "RewardModel",
    "Utility",
    "Store",
    "TextPreference",
    "TextReward",
    "average_weights",
    "best_attainable_accuracy",
    "can_answer",
    "check_preferred",
    "check_rewards",
    "finite_rewards",
    "init_params",
    "is_judge",
    "load_judge",
    "length_penalty",
    "llm",
    "locate",
    "mean",
    "on_host",
    "preferred_among",
    "probabilities",
    "save_ensemble",
    "save_judge",
    "scored_by",
    "text_annotator",
    "uncertainty_weighted",
    "vote_loss",
    "worst_case",
]
