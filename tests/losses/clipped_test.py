"""PPO's pieces against their definitions, by hand and by loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import losses

RANDOM = np.random.default_rng(0)
LENGTHS = np.array([5, 1, 3])
MASK = np.arange(5) < LENGTHS[:, None]
RATIOS = np.where(MASK, RANDOM.normal(size=MASK.shape), 0.0).astype(np.float32)
VALUES = RANDOM.normal(size=MASK.shape).astype(np.float32)
REWARD = np.array([1.0, -2.0, 0.5], np.float32)


def token_rewards(tau=0.3):
    return losses.token_rewards(
        jnp.asarray(RATIOS), jnp.asarray(MASK), jnp.asarray(REWARD), tau=tau
    )


def test_token_rewards_add_up_to_the_penalised_reward():
    rewards = token_rewards()
    np.testing.assert_allclose(
        rewards.sum(-1), REWARD - 0.3 * RATIOS.sum(-1), rtol=1e-5
    )
    np.testing.assert_array_equal(rewards[~MASK], 0.0)
    # The response's reward is at its last token, the penalty at its own.
    np.testing.assert_allclose(rewards[2, :2], -0.3 * RATIOS[2, :2], rtol=1e-6)
    np.testing.assert_allclose(rewards[2, 2], 0.5 - 0.3 * RATIOS[2, 2], rtol=1e-5)


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_advantages_are_the_traced_sum_of_temporal_differences(trace):
    rewards = np.asarray(token_rewards())
    found = losses.advantages(
        jnp.asarray(rewards), jnp.asarray(VALUES), jnp.asarray(MASK), trace=trace
    )
    for row, length in enumerate(LENGTHS):
        values = [*VALUES[row, :length], 0.0]
        errors = [rewards[row, t] + values[t + 1] - values[t] for t in range(length)]
        expected = [
            sum(trace ** (m - t) * errors[m] for m in range(t, length))
            for t in range(length)
        ]
        np.testing.assert_allclose(found[row, :length], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found[row, length:], 0.0)


def test_with_a_full_trace_an_advantage_is_reward_to_go_less_value():
    rewards = np.asarray(token_rewards())
    found = losses.advantages(
        jnp.asarray(rewards), jnp.asarray(VALUES), jnp.asarray(MASK), trace=1.0
    )
    to_go = rewards[:, ::-1].cumsum(1)[:, ::-1]
    np.testing.assert_allclose(
        found, np.where(MASK, to_go - VALUES, 0.0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "ratio, advantage, slope",
    [
        (1.0, 2.0, -2.0),
        (1.3, 2.0, 0.0),
        (1.3, -2.0, 2.6),
        (0.7, 2.0, -1.4),
        (0.7, -2.0, 0.0),
    ],
)
def test_a_ratio_beyond_the_clip_is_pushed_no_further(ratio, advantage, slope):
    def loss(log_prob):
        return losses.clipped_policy(
            log_prob, jnp.zeros(()), jnp.asarray(advantage), clip=0.2
        )

    gradient = jax.grad(loss)(jnp.log(jnp.asarray(ratio)))
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "value, expected", [(0.1, 0.405), (0.9, 0.32), (-3.0, 8.0), (2.0, 0.5)]
)
def test_the_value_error_is_the_larger_of_clipped_and_plain(value, expected):
    """The old value is 0, the return 1, the clip 0.2."""
    error = losses.clipped_value(
        jnp.asarray(value), jnp.zeros(()), jnp.ones(()), clip=0.2
    )
    np.testing.assert_allclose(error, expected, rtol=1e-5)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_ratio_beyond_all_numbers_is_stopped_and_not_learnt_from(advantage):
    def loss(log_ratio):
        zero = jnp.zeros(1)
        held = losses.clipped_policy(
            log_ratio[None], zero, jnp.array([advantage]), clip=0.2
        )
        return held[0]

    for log_ratio in (100.0, 1000.0):
        value, slope = jax.value_and_grad(loss)(jnp.float32(log_ratio))
        assert np.isfinite(value) and slope == 0
        assert (value == -1.2) if advantage > 0 else (value > 1e8)
    # Before that nothing is cut.
    value, slope = jax.value_and_grad(loss)(jnp.float32(10.0))
    expected = -1.2 if advantage > 0 else np.exp(10.0)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, 0.0 if advantage > 0 else expected, rtol=1e-6)
