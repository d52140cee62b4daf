"""Table 2 of the paper that the main job reproduces, as data.

Mean preference of the row's policy over the column's by a PaLM 2 judge on 2,000 XSum
prompts, for policies of 770M parameters, and above the diagonal the standard deviation
over the nine pairings of three seeds a method. It has no row for the start policy.
"""

import math

from nashalign import evaluation

_ = math.nan

TABLE_2 = evaluation.Published(
    source="Calandriello et al. 2024, table 2 (arXiv:2403.08635)",
    methods=("IPO", "IPO-MD", "DPO", "Nash-MD-PG", "SLiC", "RL"),
    mean=(
        (0.500, 0.515, 0.608, 0.621, 0.608, 0.791),
        (0.485, 0.500, 0.600, 0.608, 0.594, 0.778),
        (0.392, 0.400, 0.500, 0.520, 0.493, 0.727),
        (0.379, 0.392, 0.480, 0.500, 0.479, 0.729),
        (0.392, 0.406, 0.507, 0.521, 0.500, 0.728),
        (0.209, 0.222, 0.273, 0.271, 0.272, 0.500),
    ),
    std=(
        (_, 0.024, 0.038, 0.030, 0.025, 0.012),
        (_, _, 0.028, 0.026, 0.020, 0.004),
        (_, _, _, 0.041, 0.040, 0.020),
        (_, _, _, _, 0.029, 0.020),
        (_, _, _, _, _, 0.010),
        (_, _, _, _, _, _),
    ),
    spread="± std over 9 pairings of seeds",
    note=(
        "± standard deviation over nine pairings of seeds; the paper has no start "
        "policy."
    ),
)
"""Mean preference of row over column and its standard deviation; NaN: not printed."""
