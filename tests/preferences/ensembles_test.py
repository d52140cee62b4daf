"""Ensembles: what combinations of rewards say, and what averaged weights stand for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies, preferences, sampling
from nashalign.types import Prompts, pytree

TABLE = sampling.enumerate_responses(3, 2, 0)
Y = TABLE.tokens.shape[1]
PROMPTS = Prompts(
    tokens=jnp.full((1, 1), 2), mask=jnp.ones((1, 1), bool), ids=jnp.arange(1)
)
POLICY = policies.tabular(3, 4)
REWARDS = np.random.default_rng(0).normal(size=(3, Y)).astype(np.float32)
COMBINATIONS = {
    "mean": preferences.mean,
    "worst case": preferences.worst_case,
    "uncertainty weighted": preferences.uncertainty_weighted(0.5),
}
combinations = pytest.mark.parametrize(
    "combine", COMBINATIONS.values(), ids=COMBINATIONS
)
score = jax.jit(lambda ensemble: ensemble.score(None, PROMPTS, TABLE)[0])


@pytree
@dataclasses.dataclass(frozen=True)
class Noise:
    """Says what its key says."""

    def score(self, key, prompts, responses):
        return jax.random.normal(key, responses.tokens.shape[:2])

    def prefer(self, key, prompts, y, z):
        return jax.random.uniform(key, y.tokens.shape[:2])


def ensemble(rewards=REWARDS, combine=preferences.mean):
    """An ensemble of token games' rewards, one member to a row."""
    members = tuple(
        preferences.GameReward(table=TABLE, rewards=jnp.asarray(row)) for row in rewards
    )
    return preferences.Ensemble(members=members, combine=combine)


def judges(combine=preferences.mean):
    """Three preference matrices as an ensemble, and the matrices."""
    members, matrices = [], []
    for seed in range(3):
        upper = np.triu(np.random.default_rng(seed).uniform(size=(Y, Y)), 1)
        matrix = upper + np.tril(1 - upper.T, -1) + np.eye(Y) / 2
        matrices.append(matrix)
        members.append(
            preferences.GamePreference(table=TABLE, preference=jnp.asarray(matrix))
        )
    made = preferences.Ensemble(members=tuple(members), combine=combine)
    return made, np.stack(matrices)


def reward_models(number):
    """Reward models with one table of features and a linear head each."""
    random = np.random.default_rng(5)
    shapes = jax.eval_shape(POLICY.init, jax.random.key(0))
    features = {"logits": jnp.asarray(random.normal(size=shapes["logits"].shape))}
    heads = jnp.asarray(random.normal(size=(number, POLICY.width)))
    return [
        preferences.RewardModel(
            params={"policy": features, "head": head}, policy=POLICY, eos_id=0
        )
        for head in heads
    ]


# Combinations of rewards.


@pytest.mark.parametrize(
    "combine, expected",
    [
        (preferences.mean, 7 / 3),
        (preferences.worst_case, 1.0),
        (preferences.uncertainty_weighted(1.0), 7 / 3 - 14 / 9),
        (preferences.uncertainty_weighted(0.5), 7 / 3 - 7 / 9),
    ],
)
def test_rewards_1_2_and_4_are_combined_as_by_hand(combine, expected):
    rewards = np.outer([1.0, 2.0, 4.0], np.ones(Y))
    np.testing.assert_allclose(score(ensemble(rewards, combine)), expected, rtol=1e-6)


def test_variance_is_the_populations_and_a_sample_variance_is_a_larger_weight():
    rewards = np.array([1.0, 2.0, 4.0])
    penalty = 7 / 3 - preferences.uncertainty_weighted(1.0)(rewards)
    assert float(penalty) == pytest.approx(1.5556, abs=1e-4)
    sample = 7 / 3 - preferences.uncertainty_weighted(3 / 2)(rewards)
    assert float(sample) == pytest.approx(np.var(rewards, ddof=1), rel=1e-6)


def test_worst_case_is_at_most_the_mean_and_the_least_of_the_members():
    worst = score(ensemble(combine=preferences.worst_case))
    assert (worst < score(ensemble())).all()
    np.testing.assert_array_equal(worst, REWARDS.min(0))


def test_no_weight_on_uncertainty_is_exactly_the_mean():
    weightless = ensemble(combine=preferences.uncertainty_weighted(0.0))
    np.testing.assert_array_equal(score(weightless), score(ensemble()))


@combinations
def test_identical_members_say_what_one_of_them_says(combine):
    same = ensemble(np.repeat(REWARDS[:1], 3, 0), combine)
    np.testing.assert_allclose(score(same), REWARDS[0], rtol=1e-6)


@combinations
def test_one_member_is_the_member(combine):
    np.testing.assert_array_equal(score(ensemble(REWARDS[:1], combine)), REWARDS[0])


@combinations
def test_a_shift_of_all_rewards_shifts_the_ensembles(combine):
    np.testing.assert_allclose(
        score(ensemble(REWARDS + 3, combine)),
        score(ensemble(REWARDS, combine)) + 3,
        rtol=1e-5,
    )


@combinations
def test_the_order_of_the_members_does_not_matter(combine):
    np.testing.assert_allclose(
        score(ensemble(REWARDS[::-1], combine)),
        score(ensemble(REWARDS, combine)),
        rtol=1e-5,
    )


def test_members_weights_are_leaves_and_equal_weights_on_uncertainty_one_program():
    traces = []

    @jax.jit
    def total(ensemble):
        traces.append(ensemble)
        return ensemble.score(None, PROMPTS, TABLE).sum()

    for rewards in (REWARDS, 2 * REWARDS):
        total(ensemble(rewards, preferences.uncertainty_weighted(0.25)))
    assert len(traces) == 1
    gradient = jax.grad(lambda rewards: total(ensemble(rewards)))(jnp.asarray(REWARDS))
    np.testing.assert_allclose(gradient, 1 / 3, rtol=1e-6)


def test_every_member_draws_with_a_key_of_its_own():
    noise = preferences.Ensemble(
        members=(Noise(),) * 3, combine=lambda rewards: rewards
    )
    drawn = np.asarray(noise.score(jax.random.key(0), PROMPTS, TABLE))
    assert np.unique(drawn).size == drawn.size == 3 * Y
    pair = dataclasses.replace(noise, combine=preferences.mean)
    preferred = pair.prefer(jax.random.key(0), PROMPTS, TABLE, TABLE)
    alone = Noise().prefer(jax.random.key(0), PROMPTS, TABLE, TABLE)
    assert not np.allclose(preferred, alone)


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(ValueError, match="no members"):
        preferences.Ensemble(members=(), combine=preferences.mean)


# Preferences.


def pairs():
    y, z = np.divmod(np.arange(Y * Y), Y)
    return y, z, *(jax.tree.map(lambda x, i=i: x[:, i], TABLE) for i in (y, z))


def test_preference_is_the_mean_of_the_members_and_a_complement_when_swapped():
    made, matrices = judges()
    rows, columns, y, z = pairs()
    forward = made.prefer(None, PROMPTS, y, z)[0]
    backward = made.prefer(None, PROMPTS, z, y)[0]
    np.testing.assert_allclose(
        forward, matrices.mean(0)[rows, columns], rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(forward + backward, 1, rtol=1e-6)


@pytest.mark.parametrize(
    "combine", [preferences.worst_case, preferences.uncertainty_weighted(0.5)]
)
def test_other_combinations_of_preferences_are_no_complements_and_refused(combine):
    made, matrices = judges(combine)
    combined = np.asarray(combine(jnp.asarray(matrices)))
    assert (combined + combined.T).min() < 0.9
    with pytest.raises(ValueError, match="would not add up to one"):
        made.prefer(None, PROMPTS, TABLE, TABLE)


# Averaged weights.


@pytest.mark.parametrize("x64, rtol", [(False, 1e-5), (True, 1e-13)])
def test_averaged_linear_heads_are_the_ensemble_of_predictions(x64, rtol):
    with jax.enable_x64(x64):
        models = reward_models(4)
        together = preferences.Ensemble(members=tuple(models), combine=preferences.mean)
        expected = together.score(None, PROMPTS, TABLE)
        found = preferences.average_weights(models).score(None, PROMPTS, TABLE)
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


def test_the_average_of_one_model_is_the_model():
    [model] = reward_models(1)
    jax.tree.map(
        np.testing.assert_array_equal, preferences.average_weights([model]), model
    )


def test_averages_are_leaf_by_leaf_and_keep_their_precision():
    half = lambda *numbers: jnp.asarray(numbers, jnp.bfloat16)  # noqa: E731
    found = preferences.average_weights(
        [{"a": half(1, 5), "b": 2.0}, {"a": half(2, 5), "b": 3.0}]
    )
    assert found["a"].dtype == jnp.bfloat16 and found["b"] == 2.5
    np.testing.assert_array_equal(found["a"].astype(jnp.float32), [1.5, 5])


def test_average_can_be_compiled_and_differentiated():
    gradient = jax.grad(lambda models: preferences.average_weights(models)["a"].sum())
    found = jax.jit(gradient)([{"a": jnp.ones(2)}, {"a": jnp.zeros(2)}])
    np.testing.assert_array_equal([model["a"] for model in found], 0.5)


@pytest.mark.parametrize(
    "other",
    [
        {"a": jnp.ones(2), "b": jnp.ones(3)},
        {"b": jnp.ones(2)},
        {"a": jnp.ones(1)},
        {"a": jnp.ones((2, 1))},
    ],
)
def test_models_of_another_structure_or_shape_are_refused(other):
    models = [{"a": jnp.zeros(2)}, {"a": jnp.zeros(2)}, other]
    with pytest.raises(ValueError, match="model 2 differs from model 0"):
        preferences.average_weights(models)


def test_models_with_other_settings_are_refused():
    [model] = reward_models(1)
    with pytest.raises(ValueError, match="same policy and settings"):
        preferences.average_weights([model, dataclasses.replace(model, eos_id=1)])


def test_an_average_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one model"):
        preferences.average_weights([])
