"""Whether a game is transitive, over draws of it."""

import numpy as np

from nashalign import evaluation


def beaten(*edges, size=3, by=0.6):
    """The preference in which one beats the other of each edge, others being ties."""
    found = np.full((size, size), 0.5)
    for i, j in edges:
        found[i, j], found[j, i] = by, 1 - by
    return found


ORDER = beaten((2, 0), (2, 1), (0, 1))
CIRCLE = beaten((0, 1), (1, 2), (2, 0))


def test_shares_count_the_draws():
    drawn = np.stack([ORDER, ORDER, CIRCLE, beaten((2, 0), (2, 1)), CIRCLE])
    found = evaluation.transitivity(drawn)
    assert found.acyclic == 3 / 5
    np.testing.assert_allclose(found.winner, [0, 0, 3 / 5])
    assert (found.ranking, found.ranking_share) == ((2, 0, 1), 2 / 5)
    assert found.cycle_share == 2 / 5
    assert found.cycle in ((0, 1, 2), (1, 2, 0), (2, 0, 1))


def test_the_other_way_round_is_another_cycle():
    found = evaluation.transitivity(np.stack([CIRCLE.T, CIRCLE.T, CIRCLE]))
    assert found.cycle == (0, 2, 1) and found.cycle_share == 2 / 3
    assert found.acyclic == 0 and found.ranking == ()


def test_equal_policies_have_a_cycle_in_every_fourth_draw():
    rng = np.random.default_rng(0)
    drawn = np.full((8000, 3, 3), 0.5)
    for i, j in evaluation.pairs_of(3):
        drawn[:, i, j] = 0.5 + 0.1 * rng.choice([-1, 1], 8000)
        drawn[:, j, i] = 1 - drawn[:, i, j]
    assert abs(evaluation.transitivity(drawn).acyclic - 0.75) < 0.02


def test_a_cycle_is_certain_where_all_its_intervals_exclude_a_tie():
    half = np.full((3, 3), 0.05)
    assert evaluation.certain_cycles(evaluation.Interval(CIRCLE, half)) == [(0, 1, 2)]
    half[1, 2] = half[2, 1] = 0.11
    assert evaluation.certain_cycles(evaluation.Interval(CIRCLE, half)) == []


def test_the_paragraph_says_the_numbers_by_name():
    names = ["a", "b", "c"]
    matrix = evaluation.Interval(CIRCLE, np.full((3, 3), 0.05))
    found = evaluation.transitivity(np.stack([ORDER, ORDER, ORDER, CIRCLE]))
    text = evaluation.transitivity_sentences(names, found, matrix, over="questions")
    for said in (
        "In 75.0% of the bootstrap draws of questions",
        "c beats every other one in 75.0% of them, and in 25.0% nobody does",
        "c > a > b (75.0%)",
        "a > b > c > a (25.0%)",
        "by more than their intervals: a > b > c > a",
    ):
        assert said in text
    wide = evaluation.Interval(CIRCLE, np.full((3, 3), 0.2))
    text = evaluation.transitivity_sentences(names, found, wide)
    assert "no cycle whose three intervals all exclude a tie" in text
