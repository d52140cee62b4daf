"""The paper's table: as it is printed, of methods that the library has."""

import numpy as np
import pytest

from experiments.summarise import paper
from nashalign import algorithms, evaluation


def test_the_papers_table_is_antisymmetric():
    mean, std = np.array(paper.TABLE_2.mean), np.array(paper.TABLE_2.std)
    np.testing.assert_allclose(mean + mean.T, 1.0, atol=1e-12)
    np.testing.assert_array_equal(np.isfinite(std), np.triu(np.ones((6, 6), bool), 1))


@pytest.mark.parametrize(
    "row, column, mean, std",
    [("IPO", "RL", 0.791, 0.012), ("DPO", "Nash-MD-PG", 0.520, 0.041)],
)
def test_the_papers_numbers_are_the_papers(row, column, mean, std):
    assert paper.TABLE_2.win_rate(row, column) == (mean, std)
    assert paper.TABLE_2.win_rate(row, evaluation.START) is None


def test_the_papers_methods_are_rows_and_come_first_in_tables():
    assert set(paper.TABLE_2.methods) <= {
        row.title for row in algorithms.TABLE.values()
    }
    assert paper.TABLE_2.methods == evaluation.METHODS


def test_a_table_names_the_paper_below_our_numbers():
    names = ["start", *paper.TABLE_2.methods]
    caption = evaluation.win_rate_caption("prompts", names, paper.TABLE_2)
    assert caption.endswith(
        "Lower line: Calandriello et al. 2024, table 2 (arXiv:2403.08635) ± standard "
        "deviation over nine pairings of seeds; the paper has no start policy."
    )
