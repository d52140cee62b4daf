"""Counted comparisons: of tables, of single pairs, and drawn again."""

import numpy as np
import pytest

from nashalign import evaluation
from nashalign.evaluation import tallies


def table_and_pairs():
    """A full table, and the same as comparisons of two policies each, turned about."""
    rng = np.random.default_rng(0)
    table = np.full((9, 3, 3), 0.5)
    first, second, preferred, names = [], [], [], []
    clusters = [0, 0, 0, 1, 1, 2, 2, 2, 2]
    for row in range(9):
        for i, j in evaluation.pairs_of(3):
            table[row, i, j] = rng.integers(0, 3) / 2
            table[row, j, i] = 1 - table[row, i, j]
            a, b = (i, j) if rng.random() < 0.5 else (j, i)
            first.append(a), second.append(b)
            preferred.append(table[row, a, b]), names.append(clusters[row])
    return table, clusters, evaluation.Pairs(first, second, preferred, names)


def test_pairs_have_the_win_rates_and_the_tally_of_the_table_that_they_are_of():
    table, clusters, pairs = table_and_pairs()
    whole = evaluation.win_rate_matrix(table, clusters=clusters)
    found = evaluation.win_rates_of_pairs(pairs, 3)
    np.testing.assert_allclose(found.mean, whole.mean)
    np.testing.assert_allclose(found.half_width, whole.half_width)
    ours, theirs = (
        evaluation.tally_pairs(pairs, 3),
        evaluation.tally_table(table, clusters),
    )
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(ours.wins[:, off], theirs.wins[:, off])
    np.testing.assert_allclose(ours.counts[:, off], theirs.counts[:, off])


def test_draws_of_pairs_are_those_of_the_table():
    table, clusters, pairs = table_and_pairs()
    drawn = [
        evaluation.game_draws(own, num_draws=50)
        for own in (
            evaluation.tally_pairs(pairs, 3),
            evaluation.tally_table(table, clusters),
        )
    ]
    np.testing.assert_allclose(*drawn)
    assert len(np.unique(drawn[0][:, 0, 1])) > 3


def test_a_draw_takes_whole_clusters_as_many_as_there_are():
    wins = np.zeros((3, 2, 2))
    wins[:, 0, 1] = [1, 10, 100]
    tally = evaluation.Tally(wins, wins + wins.swapaxes(1, 2))
    found = tallies.redraw(tally, 400, np.random.default_rng(0)).wins[:, 0, 1]
    digits = np.stack([found // 100, found // 10 % 10, found % 10])
    np.testing.assert_array_equal(digits.sum(0), 3)
    np.testing.assert_allclose(digits.mean(1), 1, atol=0.15)


def test_a_pair_that_nobody_was_asked_about_is_even_and_has_no_interval():
    wins = np.zeros((2, 3, 3))
    np.testing.assert_array_equal(tallies.rates(wins, wins), 0.5)
    pairs = evaluation.Pairs([0, 0], [1, 1], [1.0, 0.0])
    with pytest.raises(ValueError, match="policies 0 and 2 are compared on 0 prompts"):
        evaluation.win_rates_of_pairs(pairs, 3)


@pytest.mark.parametrize(
    "pairs, said",
    [
        (evaluation.Pairs([0], [0], [0.5]), "comparison 0 is of policies 0 and 0"),
        (evaluation.Pairs([0, 0], [1, 3], [1, 1]), "comparison 1 is of policies 0 and"),
        (evaluation.Pairs([0], [1], [1.5]), r"preferred\[0\] is 1.5"),
        (evaluation.Pairs([0], [1], [np.nan]), r"preferred\[0\] is nan"),
    ],
)
def test_what_is_no_comparison_is_refused(pairs, said):
    with pytest.raises(ValueError, match=said):
        evaluation.tally_pairs(pairs, 3)
