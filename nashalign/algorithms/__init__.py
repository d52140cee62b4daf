"""Algorithms: methods as rows of a table, trained by one pure update."""

from nashalign.algorithms import (
    authors,
    columns,
    objectives,
    ratios,
    readings,
    rounds,
    settings,
)
from nashalign.algorithms.columns import Draw, Step, draw, epochs, extragradient, plain
from nashalign.algorithms.conditioning import Conditioning
from nashalign.algorithms.memory import Memory
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives import (
    labels,
    policy_gradients,
    regressions,
    selection,
    statistics,
)
from nashalign.algorithms.rollouts import expected_rollout, rollout
from nashalign.algorithms.rounds import (
    Context,
    Dimension,
    Round,
    first,
    length_corrected,
    regenerate,
    reward_gap,
    step_examples,
    take,
)
from nashalign.algorithms.row import Row
from nashalign.algorithms.rows.loading import load_row
from nashalign.algorithms.rows.table import TABLE, configure, find, register
from nashalign.algorithms.settings import Range, Setting
from nashalign.algorithms.state import (
    Setup,
    State,
    init,
    looking,
    next_stage,
    on_base,
    trained,
    without_base,
)
from nashalign.algorithms.update import annotate, ask, label, learn, update
from nashalign.algorithms.weighing import effective_sample_size, group_losses

__all__ = [
    "TABLE",
    "Conditioning",
    "Context",
    "Dimension",
    "Draw",
    "Memory",
    "Method",
    "Range",
    "Round",
    "Row",
    "Setting",
    "Setup",
    "State",
    "Step",
    "annotate",
    "ask",
    "columns",
    "configure",
    "draw",
    "effective_sample_size",
    "epochs",
    "expected_rollout",
    "extragradient",
    "find",
    "first",
    "group_losses",
    "readings",
    "init",
    "label",
    "labels",
    "learn",
    "length_corrected",
    "load_row",
    "looking",
    "next_stage",
    "on_base",
    "objectives",
    "plain",
    "authors",
    "policy_gradients",
    "ratios",
    "regenerate",
    "register",
    "regressions",
    "reward_gap",
    "rollout",
    "rounds",
    "step_examples",
    "selection",
    "settings",
    "statistics",
    "take",
    "trained",
    "update",
    "without_base",
]
