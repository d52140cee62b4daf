import numpy as np
import pytest

from nashalign import evaluation
from nashalign.evaluation import Variance

SIZES = np.r_[[1] * 9, [2] * 6, [4] * 4, [8] * 3, [16] * 2, 40]
"""Prompts of 25 clusters; a third of the 139 are of one."""
CLUSTERS = np.repeat(np.arange(25), SIZES)


def drawn(rng, *, num_methods=6, num_seeds=3, cluster=0.08, seed=0.015, own=0.2):
    """Runs `[M, S, num_prompts]` about 0.55, with effects of clusters and seeds."""
    shape = num_methods, num_seeds, len(CLUSTERS)
    effects = rng.normal(0, cluster, (num_methods, 1, 25))[..., CLUSTERS]
    seeds = rng.normal(0, seed, (num_methods, num_seeds, 1))
    return 0.55 + effects + seeds + rng.normal(0, own, shape)


@pytest.mark.parametrize(
    "varies",
    [
        {},
        {"seed": 0.05, "cluster": 0.02, "own": 0.05},
        {"cluster": 0.2, "own": 0.05},
        {"cluster": 0.0},
        {"num_methods": 1, "seed": 0.05},
    ],
    ids=["all", "mostly seeds", "mostly clusters", "no clusters", "one method"],
)
def test_intervals_of_three_seeds_and_25_unequal_clusters_cover(varies):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        found = evaluation.seed_intervals(drawn(rng, **varies), clusters=CLUSTERS)
        mean, half_width = np.array(found).T
        covered.append(abs(mean - 0.55) < half_width)
    # Chance counts twice; where there is nothing else, intervals are too wide by that.
    assert 0.93 < np.mean(covered) < (0.985 if varies.get("cluster") != 0 else 0.995)


def test_neither_prompts_nor_clusters_alone_would_cover():
    rng = np.random.default_rng(0)
    covered = {"prompts": [], "clusters": []}
    for _ in range(300):
        runs = drawn(rng, num_methods=1, cluster=0.1, seed=0.04)[0].mean(axis=0)
        for name, clusters in (("prompts", None), ("clusters", CLUSTERS)):
            mean, half_width = evaluation.mean_interval(runs, clusters=clusters)
            covered[name].append(abs(mean - 0.55) < half_width)
    assert np.mean(covered["prompts"]) < 0.7
    assert np.mean(covered["prompts"]) + 0.1 < np.mean(covered["clusters"]) < 0.95


def test_variance_over_seeds_is_pooled_over_methods():
    pooled = evaluation.pooled_variance([[1.0, 2.0, 3.0], [0.0, 2.0], [7.0]])
    # Squares 2 and 2 about the methods' own means; degrees 2 + 1 + 0.
    np.testing.assert_allclose(pooled, (4 / 3, 3))
    assert evaluation.pooled_variance([[1.0], [2.0]]) is None


def test_what_is_known_of_seeds_serves_where_each_method_has_one():
    values = np.random.default_rng(0).normal(size=(2, 1, 30))
    known = Variance(0.09, 60.0)
    alone = evaluation.seed_intervals(values)
    wider = evaluation.seed_intervals(values, known=known)
    own = evaluation.mean_interval(values[0, 0], seeds=known)
    assert wider[0] == own and wider[0].half_width > alone[0].half_width
    # Two seeds of one method say more about this run than what others' seeds did.
    several = evaluation.seed_intervals(values.reshape(1, 2, 30), known=known)
    measured = evaluation.pooled_variance(values[:, 0].mean(axis=1)[None])
    assert several == [
        evaluation.mean_interval(
            values[:, 0].mean(axis=0), seeds=evaluation.of_mean(measured, 2)
        )
    ]


def runs_of(rng, num_prompts=200, sigma=0.05):
    """Preferences between runs: two methods with three seeds, one with one, a start."""
    methods = np.array([0, 0, 0, 1, 1, 1, 2, 3])
    effects = np.r_[rng.normal(0, sigma, 7), 0.0]
    strength = np.array([0.05, 0.0, -0.02, -0.1])[methods] + effects
    margin = 0.5 + strength[:, None] - strength
    noise = rng.normal(0, 0.02, (num_prompts, 8, 8))
    table = np.clip(margin + noise - noise.swapaxes(1, 2), 0, 1)
    return table, methods


def test_preferences_between_methods_are_means_over_all_pairs_of_their_runs():
    table, methods = runs_of(np.random.default_rng(0))
    averaged, _ = evaluation.average_runs(table, methods, fixed={3})
    np.testing.assert_allclose(averaged[:, 0, 1], table[:, :3, 3:6].mean(axis=(1, 2)))
    np.testing.assert_allclose(averaged[:, 0, 3], table[:, :3, 7].mean(axis=1))
    np.testing.assert_allclose(averaged + averaged.swapaxes(1, 2), 1)


def test_both_methods_seeds_vary_a_win_rate_between_them():
    rng = np.random.default_rng(1)
    found, misses = [], np.zeros((4, 4))
    truth = np.array([0.05, 0.0, -0.02, -0.1])
    for _ in range(300):
        table, methods = runs_of(rng)
        averaged, seeds = evaluation.average_runs(table, methods, fixed={3})
        found.append(seeds.value)
        mean, half_width = evaluation.win_rate_matrix(averaged, seeds=seeds)
        misses += abs(mean - 0.5 - truth[:, None] + truth) > half_width
    assert seeds.degrees == 4  # two methods with two each; the third has one seed
    np.testing.assert_allclose(
        np.mean(found, axis=0), 0.05**2 * np.array([1 / 3, 1 / 3, 1, 0]), rtol=0.15
    )
    off_diagonal = ~np.eye(4, dtype=bool)
    assert (misses[off_diagonal] / 300 < 0.1).all()
    assert (misses[off_diagonal] / 300 > 0.01).all()


def test_one_seed_each_takes_the_variance_that_is_known():
    table, _ = runs_of(np.random.default_rng(0))
    known = Variance(0.01, 60.0)
    one, seeds = evaluation.average_runs(table, range(8), fixed={7}, known=known)
    np.testing.assert_allclose(one, table)
    np.testing.assert_allclose(seeds.value, [0.01] * 7 + [0.0])
    assert evaluation.average_runs(table, range(8))[1] is None


def test_an_interval_is_widened_by_seeds():
    widened = evaluation.widen(evaluation.Interval(0.5, 0.03), Variance(4e-4, 1e9))
    np.testing.assert_allclose(widened.half_width, np.hypot(0.03, 1.959964 * 0.02))
