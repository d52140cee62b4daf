"""What became of a policy: win rates, the game among policies, divergence, reports.

Takes arrays and texts, never models: whoever samples and asks the annotators composes
these functions.
"""

from nashalign.evaluation.audit import Audit, Orders, audit_judge
from nashalign.evaluation.audit_report import (
    audit_figure,
    audit_markdown,
    audit_rows,
)
from nashalign.evaluation.calibration import (
    Calibration,
    measure_calibration,
    reliability_figure,
)
from nashalign.evaluation.curves import learning_curves_figure
from nashalign.evaluation.empirical_game import (
    EmpiricalGame,
    GameShares,
    empirical_game,
    game_draws,
    game_shares,
    shares_of,
)
from nashalign.evaluation.figures import (
    Figure,
    finish_axes,
    save_figure,
    styles,
    win_rate_figure,
)
from nashalign.evaluation.frontier import frontier_figure, pool_seeds
from nashalign.evaluation.game_figures import gap_figure, simplex_figure
from nashalign.evaluation.intervals import Interval, Variance, mean_interval
from nashalign.evaluation.kl import (
    kl_to_reference,
    prompt_log_ratios,
    response_length,
    truncated_share,
)
from nashalign.evaluation.layout import METHODS, START, order
from nashalign.evaluation.length_control import (
    LengthControlled,
    length_controlled_win_rate,
)
from nashalign.evaluation.published import Published
from nashalign.evaluation.ranking import ranking_figure
from nashalign.evaluation.rating_figure import rating_figure
from nashalign.evaluation.ratings import Ratings, bradley_terry, rate
from nashalign.evaluation.samples import Sample, samples_markdown
from nashalign.evaluation.samples_page import write_samples_html
from nashalign.evaluation.seeds import (
    average_runs,
    of_mean,
    pooled_variance,
    seed_intervals,
    widen,
)
from nashalign.evaluation.summary import Summary, summary_caption
from nashalign.evaluation.summary_tables import (
    parts_table,
    summary_markdown,
    summary_table,
    write_summary_csv,
)
from nashalign.evaluation.tables import (
    markdown_table,
    share,
    win_rate_caption,
    win_rate_markdown,
    win_rate_table,
)
from nashalign.evaluation.tallies import (
    Pairs,
    Tally,
    tally_pairs,
    tally_table,
    win_rates_of_pairs,
)
from nashalign.evaluation.transitivity import (
    Transitivity,
    certain_cycles,
    transitivity,
    transitivity_sentences,
)
from nashalign.evaluation.win_rate_files import read_win_rate_csv, write_win_rate_csv
from nashalign.evaluation.win_rates import (
    pairs_of,
    preference_table,
    win_rate_matrix,
)

__all__ = [
    "Audit",
    "Calibration",
    "EmpiricalGame",
    "Figure",
    "GameShares",
    "Interval",
    "LengthControlled",
    "METHODS",
    "Orders",
    "Pairs",
    "Published",
    "Ratings",
    "START",
    "Sample",
    "Summary",
    "Tally",
    "Transitivity",
    "Variance",
    "audit_judge",
    "audit_figure",
    "audit_markdown",
    "audit_rows",
    "average_runs",
    "bradley_terry",
    "certain_cycles",
    "empirical_game",
    "finish_axes",
    "frontier_figure",
    "game_draws",
    "game_shares",
    "gap_figure",
    "kl_to_reference",
    "learning_curves_figure",
    "length_controlled_win_rate",
    "markdown_table",
    "mean_interval",
    "measure_calibration",
    "of_mean",
    "order",
    "pairs_of",
    "parts_table",
    "pool_seeds",
    "pooled_variance",
    "preference_table",
    "prompt_log_ratios",
    "ranking_figure",
    "rate",
    "rating_figure",
    "read_win_rate_csv",
    "reliability_figure",
    "response_length",
    "samples_markdown",
    "save_figure",
    "seed_intervals",
    "share",
    "shares_of",
    "simplex_figure",
    "styles",
    "summary_caption",
    "summary_markdown",
    "summary_table",
    "tally_pairs",
    "tally_table",
    "transitivity",
    "transitivity_sentences",
    "truncated_share",
    "widen",
    "win_rate_caption",
    "win_rate_figure",
    "win_rate_markdown",
    "win_rate_matrix",
    "win_rate_table",
    "win_rates_of_pairs",
    "write_samples_html",
    "write_summary_csv",
    "write_win_rate_csv",
]
