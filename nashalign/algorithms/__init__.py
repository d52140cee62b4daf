"""Algorithms: methods as rows of a table, trained by one pure update."""

from nashalign.algorithms import (
    groups,
    objectives,
    players,
    policy_gradients,
    regressions,
    selection,
)
from nashalign.algorithms.method import Method
from nashalign.algorithms.recipes import (
    RECIPES,
    Recipe,
    Stage,
    length_corrected,
    mixed_po,
    regenerate,
    reward_gap,
    searched,
    take,
)
from nashalign.algorithms.rollouts import expected_rollout, rollout
from nashalign.algorithms.settings import SETTINGS
from nashalign.algorithms.state import Setup, State, init, looking, next_stage
from nashalign.algorithms.table import TABLE, configure
from nashalign.algorithms.update import annotate, learn, update
from nashalign.algorithms.weighing import effective_sample_size, group_losses

__all__ = [
    "RECIPES",
    "SETTINGS",
    "TABLE",
    "Method",
    "Recipe",
    "Setup",
    "Stage",
    "State",
    "annotate",
    "configure",
    "effective_sample_size",
    "expected_rollout",
    "group_losses",
    "groups",
    "init",
    "learn",
    "length_corrected",
    "looking",
    "mixed_po",
    "next_stage",
    "objectives",
    "players",
    "policy_gradients",
    "regenerate",
    "regressions",
    "reward_gap",
    "rollout",
    "searched",
    "selection",
    "take",
    "update",
]
