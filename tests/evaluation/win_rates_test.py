import numpy as np
import pytest
import scipy.stats

from nashalign import evaluation
from nashalign.evaluation import intervals


def planted(num_prompts, num_policies=4, seed=0):
    """Preferences with a spread over prompts about a mean that is known."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.beta(3, 2, (num_prompts, num_policies, num_policies)), 1)
    lower = np.tril(1 - upper.swapaxes(1, 2), -1)
    return upper + lower + np.eye(num_policies) / 2


def test_matrix_is_antisymmetric_and_its_diagonal_is_one_half():
    mean, half_width = evaluation.win_rate_matrix(planted(30))
    np.testing.assert_allclose(mean + mean.T, 1.0, rtol=0, atol=1e-14)
    np.testing.assert_allclose(half_width, half_width.T, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(np.diag(mean), 0.5)
    np.testing.assert_array_equal(np.diag(half_width), 0.0)


def test_rows_beat_columns():
    preferences = np.full((3, 2, 2), 0.5)
    preferences[:, 0, 1], preferences[:, 1, 0] = 0.9, 0.1
    np.testing.assert_allclose(evaluation.win_rate_matrix(preferences).mean[0, 1], 0.9)


def test_half_width_is_students_by_hand():
    preferences = np.full((3, 2, 2), 0.5)
    preferences[:, 0, 1] = 0.4, 0.5, 0.9
    preferences[:, 1, 0] = 0.6, 0.5, 0.1
    half_width = evaluation.win_rate_matrix(preferences).half_width[0, 1]
    # t(0.975, 2 degrees of freedom) = 4.302653, sample variance 0.07.
    np.testing.assert_allclose(half_width, 4.302653 * np.sqrt(0.07 / 3), rtol=1e-6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_hold_the_planted_mean_as_often_as_they_say(confidence):
    table = planted(40 * 600, num_policies=2)[:, 0, 1].reshape(40, 600)
    mean, half_width = evaluation.mean_interval(table, confidence=confidence)
    covered = np.mean(np.abs(mean - 0.6) < half_width)
    assert abs(covered - confidence) < 4 * np.sqrt(confidence * (1 - confidence) / 600)


def test_rounding_of_float32_is_shared_between_both_orders():
    preferences = planted(20).astype(np.float32)
    mean, _ = evaluation.win_rate_matrix(preferences)
    np.testing.assert_allclose(mean + mean.T, 1.0, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "value, mirrored, message",
    [
        (1.2, -0.2, "not a probability"),
        (np.nan, np.nan, "not a probability"),
        (0.7, 0.7, "do not add up to 1"),
    ],
)
def test_what_is_no_preference_is_refused_with_its_place(value, mirrored, message):
    preferences = planted(5)
    preferences[3, 0, 1], preferences[3, 1, 0] = value, mirrored
    with pytest.raises(ValueError, match=rf"\[3, 0, 1\].*{message}"):
        evaluation.win_rate_matrix(preferences)


@pytest.mark.parametrize("num_prompts", [0, 1])
def test_an_interval_over_less_than_two_prompts_is_refused(num_prompts):
    with pytest.raises(ValueError, match="at least two"):
        evaluation.win_rate_matrix(planted(num_prompts))


def test_a_value_that_is_not_finite_is_refused_with_its_prompt():
    with pytest.raises(ValueError, match="prompt 1 is not finite"):
        evaluation.mean_interval([0.0, np.inf, 1.0])


def test_preference_table_asks_each_pair_once_and_averages_responses():
    asked = []

    def compare(i, j):
        asked.append((i, j))
        return np.full((5, 2), [0.6 + 0.1 * j, 0.8 + 0.1 * j])

    table = evaluation.preference_table(compare, 3)
    assert asked == [(0, 1), (0, 2), (1, 2)]
    row = [[0.5, 0.8, 0.9], [0.2, 0.5, 0.9], [0.1, 0.1, 0.5]]
    np.testing.assert_allclose(table, np.broadcast_to(row, (5, 3, 3)))


@pytest.mark.parametrize(
    "shapes, named",
    [
        ([(), (), ()], r"compare\(0, 1\) has shape \[\]"),
        ([(0,), (0,), (0,)], r"compare\(0, 1\) has shape \[0\]"),
        ([(5, 2, 1)] * 3, r"compare\(0, 1\) has shape \[5, 2, 1\]"),
        ([(5,), (5,), (4,)], r"compare\(1, 2\) has shape \[4\]"),
    ],
)
def test_answers_of_no_shape_or_another_are_refused(shapes, named):
    answers = iter([np.full(shape, 0.5) for shape in shapes])
    with pytest.raises(ValueError, match=named):
        evaluation.preference_table(lambda i, j: next(answers), 3)


def test_clusters_of_one_size_are_students_means_of_clusters():
    values = np.random.default_rng(0).normal(size=(12, 2))
    clusters = list("abc" * 4)
    by_cluster = values.reshape(4, 3, 2).mean(axis=0)
    found = evaluation.mean_interval(values, clusters=clusters)
    np.testing.assert_allclose(found, evaluation.mean_interval(by_cluster), rtol=1e-12)


def test_each_prompt_is_its_own_cluster_if_nothing_is_said():
    values = np.random.default_rng(0).normal(size=9)
    named = evaluation.mean_interval(values, clusters=range(9))
    assert named == evaluation.mean_interval(values)


def test_the_jackknife_leaves_out_one_cluster_after_the_other():
    values = np.random.default_rng(0).normal(size=10)
    clusters = np.repeat(range(4), [1, 2, 3, 4])
    without = [values[clusters != g].mean() for g in range(4)]
    by_hand = 3 / 4 * np.sum((np.array(without) - values.mean()) ** 2)
    variance = intervals.cluster_variance(values, clusters)
    np.testing.assert_allclose(variance.value, by_hand)
    # Shares .1, .2, .3, .4: in effect, 1 / .3 clusters.
    np.testing.assert_allclose(variance.degrees, 1 / 0.3 - 1)


def test_degrees_of_two_variances_are_satterthwaites():
    values = np.array([0.0, 1.0, 2.0, 3.0])
    seeds = evaluation.Variance(0.2, 5.0)
    own = values.var(ddof=1) / 4
    degrees = (own + 0.2) ** 2 / (own**2 / 3 + 0.2**2 / 5)
    expected = scipy.stats.t.ppf(0.975, degrees) * np.sqrt(own + 0.2)
    found = evaluation.mean_interval(values, seeds=seeds).half_width
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("clusters", "message"),
    [(["a"] * 3, "one cluster, 'a'"), (["a", "b"], "clusters names 2 .* 3 prompts")],
)
def test_clusters_that_say_nothing_are_refused(clusters, message):
    with pytest.raises(ValueError, match=message):
        evaluation.mean_interval([0.1, 0.2, 0.3], clusters=clusters)
