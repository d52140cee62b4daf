"""What became of a policy: win rates, the game among policies, divergence, reports.

Takes arrays and texts, never models: whoever samples and asks the annotators composes
these functions.
"""

from nashalign.evaluation.divergence import (
    kl_to_reference,
    response_length,
    truncated_share,
)
from nashalign.evaluation.empirical_game import EmpiricalGame, empirical_game
from nashalign.evaluation.intervals import Interval, mean_interval
from nashalign.evaluation.length_control import (
    LengthControlled,
    length_controlled_win_rate,
)
from nashalign.evaluation.win_rates import preference_table, win_rate_matrix

__all__ = [
    "EmpiricalGame",
    "Interval",
    "LengthControlled",
    "empirical_game",
    "kl_to_reference",
    "length_controlled_win_rate",
    "mean_interval",
    "preference_table",
    "response_length",
    "truncated_share",
    "win_rate_matrix",
]
