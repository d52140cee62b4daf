import io
import pathlib

import matplotlib.image
import numpy as np
import pytest
import scipy.stats

from nashalign import evaluation
from nashalign.evaluation import figures
from tests.published import PUBLISHED

NAMES = ["start", *reversed(evaluation.METHODS)]


def texts(figure):
    """Everything that is written in the figure."""
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def win_rates():
    """A matrix whose cell above the diagonal is .100 for the first two names."""
    mean = np.full((7, 7), 0.5)
    mean[0, 1], mean[1, 0] = 0.1, 0.9
    return evaluation.Interval(mean, np.full((7, 7), 0.031))


def curves():
    """Two methods, of which one alone logs a reward."""
    steps = range(30)
    return {
        "IPO": [{"step": t, "kl": t / 10} for t in steps],
        "RL": [{"step": t, "kl": t / 20, "reward": np.sin(t)} for t in steps],
    }


def ranked(method, win_rate):
    """A method at five nats."""
    return evaluation.Summary(
        method=method,
        win_rate=evaluation.Interval(win_rate, 0.02),
        kl=evaluation.Interval(5.0, 0.3),
    )


def sweep():
    """Two methods, three taus, three seeds."""
    return [
        {"method": method, "tau": tau, "seed": s, "kl": 1 / tau + s, "win_rate": 0.6}
        for method in ("RL", "IPO")
        for tau in (1.0, 0.25, 0.5)
        for s in range(3)
    ]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: evaluation.win_rate_figure(NAMES, win_rates()),
        lambda: evaluation.learning_curves_figure(
            curves(), {"kl": "KL", "reward": "r"}
        ),
        lambda: evaluation.frontier_figure(sweep(), title="a sweep"),
        lambda: evaluation.ranking_figure(
            [ranked("IPO", 0.6)], {"IPO": "compared"}, title="test prompts"
        ),
    ],
    ids=["matrix", "curves", "frontier", "ranking"],
)
def test_figures_are_written_large_and_not_blank(draw, tmp_path):
    evaluation.save_figure(draw(), tmp_path / "figure.png")
    image = matplotlib.image.imread(tmp_path / "figure.png")
    height, width = image.shape[:2]
    assert width > 900 and height > 350
    ink = np.any(image[..., :3] < 0.9, axis=-1)
    assert 0.01 < ink.mean() < 0.9


def test_the_matrix_is_drawn_in_the_order_of_tables_beside_a_published_one():
    figure = evaluation.win_rate_figure(NAMES, win_rates(), published=PUBLISHED)
    left, right = figure.axes[:2]
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [*evaluation.METHODS, "start"]
    (start_over_rl,) = [
        text.get_text() for text in left.texts if text.get_position() == (5, 6)
    ]
    assert start_over_rl == ".100\n±.031"
    assert ".755\n±.015" in [text.get_text() for text in right.texts]
    assert any("2401.00000" in text for text in texts(figure))
    assert len(evaluation.win_rate_figure(NAMES, win_rates()).axes) == 2


@pytest.mark.parametrize(
    ("names", "theirs"),
    [
        (["mine", "start"], None),
        (["start", "RL"], None),
        (["RL", "start", "mine", "IPO-MD"], ["IPO-MD", "RL"]),
    ],
)
def test_a_published_matrix_is_drawn_where_it_compares_two_policies(names, theirs):
    matrix = evaluation.Interval(*np.full((2, len(names), len(names)), 0.5))
    figure = evaluation.win_rate_figure(names, matrix, published=PUBLISHED)
    ours, *more = figure.axes[:-1]
    assert [[own.get_text() for own in axes.get_yticklabels()] for axes in more] == (
        [theirs] if theirs else []
    )
    for axes in (ours, *more):
        assert axes.get_ylim() == (len(names) - 0.5, -0.5)
    if theirs:
        assert ".706\n±.021" in [text.get_text() for text in more[0].texts]


def test_a_curve_is_drawn_only_for_methods_that_logged_the_metric():
    metrics = {"kl": "KL (nats)", "reward": "reward"}
    kl, reward = evaluation.learning_curves_figure(curves(), metrics).axes
    assert [line.get_label() for line in kl.lines[1::2]] == ["IPO", "RL"]
    assert [line.get_label() for line in reward.lines[1::2]] == ["RL"]
    np.testing.assert_allclose(kl.lines[0].get_ydata(), np.arange(30) / 10)


@pytest.mark.parametrize("length", [27, 40])
def test_the_running_mean_of_a_constant_is_the_constant(length):
    records = [{"step": t, "kl": 2.0} for t in range(length)]
    figure = evaluation.learning_curves_figure({"IPO": records}, {"kl": "KL"})
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), 2.0)


@pytest.mark.parametrize("length", [1, 6, 26])
def test_a_few_records_are_drawn_as_they_are_each_with_a_mark(length):
    records = [{"step": t, "win_rate": t % 3} for t in range(length)]
    figure = evaluation.learning_curves_figure({"IPO": records}, {"win_rate": "win"})
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), np.arange(length) % 3)
    assert line.get_marker() == "o"


def test_a_notebook_is_handed_an_image_without_pyplot():
    figure = evaluation.learning_curves_figure({}, {"win_rate": "win"})
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_every_figure_is_one_that_a_notebook_shows():
    root = pathlib.Path(evaluation.__file__).parents[2]
    paths = [*root.glob("nashalign/**/*.py"), *root.glob("experiments/**/*.py")]
    assert len(paths) > 100
    others = [path for path in paths if "matplotlib.figure.Figure(" in path.read_text()]
    assert not others


def test_a_policy_looks_the_same_in_every_figure():
    some, all_of_them = figures.styles(["RL", "mine"]), figures.styles([*NAMES, "mine"])
    assert some["RL"] == all_of_them["RL"] and some["mine"] == all_of_them["mine"]
    methods = [all_of_them[name] for name in evaluation.METHODS]
    assert len({style.color for style in methods}) == 6
    assert len({style.marker for style in methods}) == 6


def test_methods_of_exact_games_have_colours_of_their_own_on_every_page():
    drawn = figures.styles(["EGPO", "online IPO", "COMAL", "Nash-MD"])
    assert drawn["online IPO"] == figures.styles(["IPO"])["IPO"]
    assert drawn["COMAL"] == figures.styles(["COMAL", "mine"])["COMAL"]
    colors = {
        style.color for style in (*drawn.values(), *figures.styles(NAMES).values())
    }
    assert len(colors) == len(NAMES) + 3


def test_the_frontier_pools_seeds_and_sorts_by_tau():
    lines = evaluation.pool_seeds(sweep())
    assert list(lines) == ["IPO", "RL"]
    np.testing.assert_array_equal(lines["IPO"]["tau"], [0.25, 0.5, 1.0])
    np.testing.assert_allclose(lines["IPO"]["kl"], [5.0, 3.0, 2.0])
    np.testing.assert_allclose(lines["IPO"]["kl_std"], 1.0)
    np.testing.assert_allclose(lines["IPO"]["win_rate_std"], 0.0, atol=1e-12)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_panel_of_the_frontier_lacks_numbers_or_a_method(number):
    records = [
        {**record, "method": name} for name in "abc"[:number] for record in sweep()[:2]
    ]
    figure = evaluation.frontier_figure(records)
    panels = [axes for axes in figure.axes[1:] if axes.axison]
    assert [axes.get_title() for axes in panels] == list("abc"[:number])
    assert len(figure.axes) - 1 <= number + number // 3
    evaluation.save_figure(figure, io.BytesIO())
    for axes in panels[-2:]:
        assert any(
            label.get_visible() and label.get_text() for label in axes.get_xticklabels()
        )


def test_the_legend_of_the_frontier_is_beside_its_data():
    figure = evaluation.frontier_figure(sweep())
    evaluation.save_figure(figure, io.BytesIO())
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["start", "IPO", "RL"]
    for axes in figure.axes:
        assert axes.get_legend() is None
        assert not axes.get_window_extent().overlaps(legend.get_window_extent())


def test_the_frontier_takes_a_single_seed_and_says_tau():
    figure = evaluation.frontier_figure([sweep()[3]])
    assert "0.25" in texts(figure)


def test_the_ranking_names_sixty_methods_without_overlap_best_first():
    own = [ranked(f"method {i}", 0.5 + i / 600) for i in range(60)]
    kinds = {f"method {i}": f"kind {i % 3}" for i in range(60)}
    figure = evaluation.ranking_figure(own, kinds)
    evaluation.save_figure(figure, io.BytesIO())
    labels = figure.axes[0].get_yticklabels()
    assert [t.get_text() for t in labels[:2]] == ["method 59", "method 58"]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) == 60
    assert all(a.y0 + 1 >= b.y1 for a, b in zip(boxes, boxes[1:], strict=False))


def test_the_ranking_draws_means_and_half_widths_in_their_panels():
    figure = evaluation.ranking_figure([ranked("IPO", 0.6)], {"IPO": "compared"})
    for axes, mean, half in zip(figure.axes, (0.6, 5.0), (0.02, 0.3), strict=True):
        line, _, (bar,) = axes.containers[0]
        assert line.get_xdata() == pytest.approx([mean])
        assert bar.get_segments()[0][:, 0] == pytest.approx([mean - half, mean + half])


def test_figures_leave_no_global_state_behind():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    evaluation.save_figure(
        evaluation.learning_curves_figure(curves(), {"kl": "KL"}), io.BytesIO()
    )
    assert plt.get_fignums() == before == []


def test_bars_reach_one_standard_deviation_over_seeds_to_either_side():
    records = [
        {"method": "IPO", "tau": 0.1, "kl": kl, "win_rate": win_rate}
        for kl, win_rate in [(1.0, 0.60), (2.0, 0.64), (3.0, 0.62)]
    ]
    overview, *_ = evaluation.frontier_figure(records).axes
    _, _, (horizontal, vertical) = overview.containers[0]
    np.testing.assert_allclose(horizontal.get_segments()[0][:, 0], [1.0, 3.0])
    np.testing.assert_allclose(vertical.get_segments()[0][:, 1], [0.60, 0.64])


def band(axes):
    """Steps, and the lower and the upper edge of the only band."""
    [shade] = axes.collections
    x, y = shade.get_paths()[0].vertices.T
    steps = np.unique(x)
    return np.array([[t, y[x == t].min(), y[x == t].max()] for t in steps])


def test_learning_curves_of_several_seeds_are_their_mean_and_its_interval():
    runs = {
        name: [{"step": t, "kl": kl + t} for kl in values for t in (1, 2)]
        for name, values in {"IPO": (1.0, 4.0), "RL": (7.0, 8.0, 9.0)}.items()
    }
    [axes] = evaluation.learning_curves_figure(runs, {"kl": "KL"}).axes
    line, other = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 3.5], [2, 4.5]])
    # (4.5 + 2) / 3 is the variance of a run, with three degrees of freedom.
    for drawn, shade, number in zip(
        (line, other), axes.collections, (2, 3), strict=True
    ):
        reach = scipy.stats.t.ppf(0.975, 3) * np.sqrt(6.5 / 3 / number)
        low, high = shade.get_paths()[0].get_extents().get_points()[:, 1]
        values = drawn.get_ydata()
        np.testing.assert_allclose([low, high], [values[0] - reach, values[1] + reach])
    alone = evaluation.learning_curves_figure({"IPO": runs["IPO"][:2]}, {"kl": "KL"})
    assert not alone.axes[0].collections


def test_bands_reach_over_prompts_as_far_as_the_log_says_and_not_where_it_is_silent():
    told = [{"step": t, "kl": 2.0, "kl_half_width": 0.3} for t in (0, 10)]
    silent = [{"step": t, "kl": 1.0} for t in (10, 20)]
    figure = evaluation.learning_curves_figure({"IPO": told, "RL": silent}, {"kl": "K"})
    np.testing.assert_allclose(band(figure.axes[0]), [[0, 1.7, 2.3], [10, 1.7, 2.3]])
    assert "bands: 95% intervals over prompts" in texts(figure)
    figure = evaluation.learning_curves_figure({"RL": silent}, {"kl": "K"})
    assert not any("bands" in text for text in texts(figure))


def test_both_kinds_of_spread_are_in_a_band_together():
    records = [{"step": 1, "kl": kl, "kl_half_width": 3.0} for kl in (1.0, 3.0)]
    figure = evaluation.learning_curves_figure({"IPO": records}, {"kl": "KL"})
    reach = np.hypot(3.0, scipy.stats.t.ppf(0.975, 1) * np.sqrt(2 / 2))
    np.testing.assert_allclose(band(figure.axes[0]), [[1, 2 - reach, 2 + reach]])
    assert "bands: 95% intervals over prompts and seeds" in texts(figure)


def test_a_running_mean_is_surer_of_its_prompts_than_a_record():
    records = [{"step": t, "kl": 2.0, "kl_half_width": 0.3} for t in range(30)]
    figure = evaluation.learning_curves_figure({"IPO": records}, {"kl": "KL"})
    reach = (lambda edges: (edges[:, 2] - edges[:, 1]) / 2)(band(figure.axes[0]))
    np.testing.assert_allclose(reach[[0, 15]], [0.3 / np.sqrt(5), 0.1])
