"""What a judge's answers are worth, on answers whose worth is known."""

import numpy as np
import pytest

from nashalign import evaluation


def test_every_number_is_what_a_loop_over_the_pairs_finds():
    rng = np.random.default_rng(0)
    said, votes = rng.uniform(0, 1, 400), rng.integers(0, 4, 400) / 3
    said[:40] = 0.5
    # Some of them say too little, so that bins are off to both sides.
    said[40:150], votes[40:150] = 0.55, 1
    found = evaluation.measure_calibration(said, votes, num_bins=5)
    confidence, right, best = [], [], []
    for p, q in zip(said, votes, strict=True):
        confidence.append(p if p > 0.5 else 1 - p)
        right.append(0.5 if p == 0.5 else q if p > 0.5 else 1 - q)
        best.append(max(q, 1 - q))
    assert found.accuracy.mean == pytest.approx(np.mean(right))
    assert found.attainable == pytest.approx(np.mean(best))
    gap = np.mean(np.subtract(confidence, right))
    assert found.overconfidence.mean == pytest.approx(gap)
    entropy = [
        -q * np.log(p) - (1 - q) * np.log(1 - p)
        for p, q in zip(said, votes, strict=True)
    ]
    assert found.cross_entropy.mean == pytest.approx(np.mean(entropy))
    error, seen = 0.0, 0
    for low, own in zip(np.arange(5, 10) / 10, found.bins, strict=True):
        here = [low <= c < low + 0.1 or (low > 0.85 and c == 1) for c in confidence]
        assert own.number == sum(here)
        assert own.right.mean == pytest.approx(np.mean(np.array(right)[here]))
        assert own.confidence == pytest.approx(np.mean(np.array(confidence)[here]))
        error += abs(np.sum(np.subtract(confidence, right)[here])) / 400
        seen += own.number
    assert found.error == pytest.approx(error) and seen == 400
    assert found.error_range[0] < error < found.error_range[1]


def test_which_response_comes_first_means_nothing():
    rng = np.random.default_rng(1)
    said, votes = rng.uniform(0, 1, 60), rng.integers(0, 2, 60)
    turned = rng.integers(0, 2, 60)
    found = evaluation.measure_calibration(said, votes)
    other = evaluation.measure_calibration(
        np.where(turned, 1 - said, said), np.where(turned, 1 - votes, votes)
    )
    assert other.accuracy == pytest.approx(found.accuracy)
    assert other.error == pytest.approx(found.error)
    assert other.cross_entropy == pytest.approx(found.cross_entropy)


def test_a_judge_that_knows_the_odds_is_calibrated_and_one_that_is_sure_is_not():
    rng = np.random.default_rng(2)
    odds = rng.uniform(0, 1, 5_000)
    votes = rng.uniform(0, 1, 5_000) < odds
    knows = evaluation.measure_calibration(odds, votes)
    assert abs(knows.overconfidence.mean) < knows.overconfidence.half_width * 2
    assert knows.error < 0.03
    assert knows.accuracy.mean == pytest.approx(0.75, abs=0.02)
    sure = evaluation.measure_calibration(np.round(odds), votes)
    assert sure.accuracy.mean == knows.accuracy.mean
    assert sure.overconfidence.mean == pytest.approx(0.25, abs=0.02)
    assert sure.error == pytest.approx(0.25, abs=0.02)
    assert sure.cross_entropy.mean > knows.cross_entropy.mean


def test_pairs_of_one_prompt_make_an_interval_no_narrower():
    rng = np.random.default_rng(3)
    said = np.repeat(rng.uniform(0, 1, 30), 5)
    votes = np.repeat(rng.integers(0, 2, 30), 5)
    names = np.repeat(np.arange(30), 5)
    alone = evaluation.measure_calibration(said, votes)
    together = evaluation.measure_calibration(said, votes, clusters=names)
    ratio = together.accuracy.half_width / alone.accuracy.half_width
    assert ratio == pytest.approx(np.sqrt(5), rel=0.1)
    width, other = (np.diff(own.error_range)[0] for own in (together, alone))
    assert width > 1.5 * other


@pytest.mark.parametrize(
    ("said", "votes", "why"),
    [
        ([0.5, 1.2], [0, 1], "said must be"),
        ([0.5, 1.0], [0, np.nan], "votes must be"),
        ([0.5, 1.0], [0, 1, 1], "said is of 2 pairs and votes of 3"),
        ([0.5], [1], "at least two"),
    ],
)
def test_what_is_no_probability_is_refused(said, votes, why):
    with pytest.raises(ValueError, match=why):
        evaluation.measure_calibration(said, votes)


def test_the_diagram_draws_a_point_for_each_bin(tmp_path):
    rng = np.random.default_rng(4)
    odds = rng.uniform(0, 1, 300)
    found = evaluation.measure_calibration(odds, rng.uniform(0, 1, 300) < odds)
    figure = evaluation.reliability_figure(found, title="pairs")
    above, below = figure.axes
    [(drawn, _, _)] = above.containers
    np.testing.assert_allclose(
        np.asarray(drawn.get_ydata(), float), [own.right.mean for own in found.bins]
    )
    assert len(below.patches) == len(found.bins)
    evaluation.save_figure(figure, tmp_path / "figure.png")
