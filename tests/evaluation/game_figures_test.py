"""Tests of the figures of exact games: what is drawn is where the numbers are."""

import matplotlib.image
import numpy as np
import pytest

from nashalign import evaluation

PATHS = {
    "mirror descent": np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [1 / 3] * 3]),
    "mine": np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]),
}
POINTS = {"Nash policy": [1 / 3] * 3, "reference": np.array([0.2, 0.5, 0.3])}
GAPS = {"EGPO": np.geomspace(0.1, 1e-20, 50), "mine": np.full((50, 3), 0.2)}


def triangles(**more):
    return evaluation.simplex_figure(PATHS, points=POINTS, **more)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "draw",
    [triangles, lambda: evaluation.gap_figure(GAPS, bounds={"EGPO": np.ones(50)})],
    ids=["simplex", "gaps"],
)
def test_figures_of_games_are_written_large_and_not_blank(draw, tmp_path):
    evaluation.save_figure(draw(), tmp_path / "figure.png")
    image = matplotlib.image.imread(tmp_path / "figure.png")
    assert image.shape[1] > 900 and image.shape[0] > 450
    assert 0.01 < np.any(image[..., :3] < 0.9, axis=-1).mean() < 0.9


def test_a_pure_policy_is_at_the_corner_that_is_named_after_its_response():
    corners = {}
    for response, policy in zip("xyz", np.eye(3), strict=True):
        figure = evaluation.simplex_figure({"m": [policy]}, responses="xyz")
        [axes] = figure.axes
        corners[response] = axes.lines[-1].get_xydata()[0]
        places = {text.get_text(): text.get_position() for text in axes.texts}
        nearest = min(places, key=lambda n: np.hypot(*(places[n] - corners[response])))
        assert nearest == response
    sides = [np.hypot(*(corners[i] - corners[j])) for i, j in ("xy", "yz", "zx")]
    np.testing.assert_allclose(sides, 1, rtol=1e-12)


def test_each_dynamics_has_a_triangle_with_its_path_and_all_points():
    curve = {"all taus": np.array([[0.2, 0.5, 0.3], [1 / 3] * 3])}
    figure = triangles(curves=curve)
    assert [axes.get_title() for axes in figure.axes] == list(PATHS)
    for axes, path in zip(figure.axes, PATHS.values(), strict=True):
        own = axes.lines[-1].get_xydata()
        assert len(own) == len(path)
        # The star is at the centre, below which a third of the height is left.
        np.testing.assert_allclose(
            axes.collections[1].get_offsets()[0], [0.5, 0.75**0.5 / 3]
        )
        np.testing.assert_allclose(axes.collections[0].get_offsets()[0], own[-1])
    assert legend(figure) == [
        "all taus",
        "Nash policy",
        "reference",
        "last policy of the path",
    ]


def test_a_dynamics_has_the_colour_that_it_has_in_all_figures():
    styles = evaluation.styles(list(GAPS))
    axes = evaluation.gap_figure(GAPS).axes[0]
    assert [line.get_color() for line in axes.lines] == [
        styles[name].color for name in GAPS
    ]


def test_gaps_are_drawn_at_their_steps_on_a_logarithmic_scale_down_to_rounding():
    steps = 10 * np.arange(50)
    axes = evaluation.gap_figure(GAPS, steps=steps, least=1e-12).axes[0]
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), steps)
    drawn = axes.lines[0].get_ydata()
    assert drawn.min() == 1e-12
    np.testing.assert_array_equal(drawn[drawn > 1e-12], GAPS["EGPO"][drawn > 1e-12])


def test_of_several_runs_the_median_is_drawn_in_a_band_of_all():
    runs = np.arange(1.0, 6.0) * np.ones((4, 1))
    runs[:, -1] = 100
    axes = evaluation.gap_figure({"m": runs}).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), 3)
    [band] = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == 1 and heights.max() == 100


def test_a_bound_is_dashed_in_the_colour_of_what_it_bounds():
    bounds = {"EGPO": np.ones(50), "1 / T": np.full(50, 0.5)}
    figure = evaluation.gap_figure(GAPS, bounds=bounds)
    own, _, bound, other = figure.axes[0].lines
    assert bound.get_linestyle() == other.get_linestyle() == "--"
    assert bound.get_color() == own.get_color() != other.get_color()
    assert legend(figure) == ["EGPO", "mine", "EGPO: bound", "1 / T"]


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: evaluation.simplex_figure({}), "a path or more"),
        (
            lambda: evaluation.simplex_figure(
                PATHS, points=dict.fromkeys("abcdef", [1 / 3] * 3)
            ),
            "at most 5 points",
        ),
        (
            lambda: evaluation.simplex_figure({"m": np.ones((5, 4)) / 4}),
            r"m has shape \[5, 4\], and must be \[T, 3\]: .* three responses",
        ),
        (
            lambda: evaluation.simplex_figure(PATHS, points={"p": PATHS["mine"]}),
            r"p has shape \[2, 3\], and must be \[3\]",
        ),
        (
            lambda: evaluation.gap_figure(GAPS, bounds={"b": np.ones(49)}),
            r"b has shape \[49\].* at 50 steps",
        ),
        (
            lambda: evaluation.gap_figure(GAPS, bounds={"b": np.ones((50, 2))}),
            r"b has shape \[50, 2\]",
        ),
    ],
)
def test_what_does_not_fit_a_figure_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
