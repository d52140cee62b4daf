"""What a judge goes by, of judges that go by one thing."""

import itertools

import numpy as np
import pytest

from nashalign import evaluation

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(5, 50, (300, 2))
ODDS = RNG.uniform(0, 1, 300)
VOTES = (RNG.uniform(0, 1, (300, 3)) < ODDS[:, None]).astype(float)


def audited(y_first, z_first, **named):
    orders = evaluation.Orders(y_first=y_first, z_first=z_first)
    return evaluation.audit_judge(orders, LENGTHS, **named)


def test_a_judge_that_reads_the_texts_alone_has_no_position_bias():
    found = audited(ODDS, 1 - ODDS, votes=VOTES)
    assert found.first.mean == pytest.approx(0) and found.same.mean == 1
    assert found.y_first.mean == pytest.approx(ODDS.mean())
    assert found.people is not None
    assert abs(found.people.calibration.overconfidence.mean) < 0.05
    assert abs(found.longer.mean) < 2 * found.longer.half_width


def test_a_judge_that_reads_the_places_alone_agrees_with_nobody():
    sure = np.full(300, 0.7)
    found = audited(sure, sure, votes=VOTES)
    assert found.first.mean == pytest.approx(0.2)
    assert found.y_first.mean == found.z_first.mean == pytest.approx(0.7)
    assert found.same.mean == 0
    # Both orders averaged it has no preference, and its verdicts are a coin's.
    assert found.people.calibration.accuracy.mean == pytest.approx(0.5)
    assert found.longer.mean == pytest.approx(0)


def test_the_share_of_places_is_that_of_pairs_whose_verdict_turns():
    # Ten pairs by their texts, ten by their places, and ten ties in one order.
    y = np.array([0.9] * 10 + [0.8] * 10 + [0.5] * 10)
    z = np.array([0.2] * 10 + [0.8] * 10 + [0.1] * 10)
    orders = evaluation.Orders(y_first=y, z_first=z)
    found = evaluation.audit_judge(orders, LENGTHS[:30])
    assert found.same.mean == pytest.approx((10 + 0 + 5) / 30)
    assert found.people is None and found.circles is None


def test_a_judge_of_lengths_prefers_the_longer_and_people_are_held_against_it():
    longer = np.where(LENGTHS[:, 0] > LENGTHS[:, 1], 0.9, 0.1)
    longer[LENGTHS[:, 0] == LENGTHS[:, 1]] = 0.5
    shorter = [[float(p < 0.5)] for p in longer]
    found = audited(longer, 1 - longer, votes=shorter)
    assert found.longer.mean == pytest.approx(0.4)
    assert found.people.longer.mean == pytest.approx(-0.5, abs=0.02)
    assert found.people.among is None
    assert found.people.calibration.accuracy.mean < 0.05


def test_voters_agree_as_often_as_pairs_of_them_do():
    votes = [[1, 1, 0], [0.5, 1], [0, 0], [1]] * 75
    found = audited(ODDS, 1 - ODDS, votes=votes)
    wanted = []
    for own in votes:
        pairs = list(itertools.combinations(own, 2))
        if pairs:
            wanted.append(np.mean([a * b + (1 - a) * (1 - b) for a, b in pairs]))
    assert found.people.among.mean == pytest.approx(np.mean(wanted))


def test_circles_are_counted_where_there_are_three_responses():
    circle = np.array([[0.5, 0.6, 0.4], [0.4, 0.5, 0.6], [0.6, 0.4, 0.5]])
    line = np.array([[0.5, 0.6, 0.6], [0.4, 0.5, 0.6], [0.4, 0.4, 0.5]])
    pair = np.array([[0.5, 1.0], [0.0, 0.5]])
    found = audited(ODDS, 1 - ODDS, tables=[circle, line, line, pair, line])
    assert found.circles.mean == pytest.approx(1 / 4)


def test_clusters_widen_intervals():
    names = np.repeat(np.arange(60), 5)
    votes = np.repeat(VOTES[:60], 5, axis=0)
    odds = np.repeat(ODDS[:60], 5)
    alone = audited(odds, 1 - odds, votes=votes)
    found = audited(odds, 1 - odds, votes=votes, clusters=names)
    for one, other in (
        (found.y_first, alone.y_first),
        (found.people.among, alone.people.among),
        (found.people.calibration.accuracy, alone.people.calibration.accuracy),
    ):
        assert one.mean == other.mean and one.half_width > 2 * other.half_width


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"z_first": [0.5, 2.0]}, "z_first must be"),
        ({"z_first": [0.5]}, "in both orders"),
    ],
)
def test_orders_that_are_none_are_refused(change, why):
    with pytest.raises(ValueError, match=why):
        evaluation.Orders(**{"y_first": [0.5, 0.5], "z_first": [0.5, 0.5]} | change)


def test_pairs_without_lengths_or_votes_are_refused():
    orders = evaluation.Orders(y_first=ODDS, z_first=ODDS)
    with pytest.raises(ValueError, match="lengths are"):
        evaluation.audit_judge(orders, LENGTHS[:3])
    with pytest.raises(ValueError, match="at least one vote"):
        audited(ODDS, ODDS, votes=[[1.0]] * 299 + [[]])


def test_a_table_has_a_column_for_each_audit_and_only_what_was_measured(tmp_path):
    one, other = audited(ODDS, 1 - ODDS, votes=VOTES), audited(ODDS, ODDS)
    lines = evaluation.audit_markdown([("one", one), ("other", other)]).splitlines()
    assert lines[0] == "|  | one | other |  |"
    assert lines[2] == "| pairs | 300 | 300 |  |"
    assert {line.count("|") for line in lines} == {5}
    [people] = [line for line in lines if "agrees with people" in line]
    assert people.split("|")[3].strip() == "–"
    assert not any("circles" in line for line in lines)
    figure = evaluation.audit_figure(
        one, evaluation.Orders(y_first=ODDS, z_first=1 - ODDS), title="one"
    )
    points = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, np.stack([ODDS, ODDS], 1))
    assert len(figure.axes) == 2
    evaluation.save_figure(figure, tmp_path / "figure.png")
