"""Tests of the score-function loss on every response of a two-token language.

Token 0 ends a response, so some have one token and some two; a policy is a table of
logits for the first token and one for the second after each first.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import losses

RESPONSES = np.array([[0, 0], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]])
MASK = np.array([[True, first != 0] for first, _ in RESPONSES])
GENERATOR = np.random.default_rng(0)
POLICY, REFERENCE = GENERATOR.normal(0, 1, (2, 4, 3))
REWARDS = GENERATOR.uniform(0, 1, len(RESPONSES))


def log_probs(logits):
    """Per-token log-probabilities `[Y, 2]`; zero on padding."""
    table = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    first, second = RESPONSES.T
    own = jnp.stack([table[0, first], table[1 + first, second]], -1)
    return jnp.where(MASK, own, 0.0)


def objective(logits, tau):
    """`-E[reward] + tau KL(policy || reference)`, summed over every response."""
    log_policy, log_reference = (log_probs(x).sum(-1) for x in (logits, REFERENCE))
    policy = jnp.exp(log_policy)
    return -jnp.sum(policy * (REWARDS - tau * (log_policy - log_reference)))


def differences(tau, step=1e-5):
    """Central differences of the objective in each logit."""
    gradient = np.zeros_like(POLICY)
    for index in np.ndindex(POLICY.shape):
        move = np.zeros_like(POLICY)
        move[index] = step
        up, down = (objective(POLICY + sign * move, tau) for sign in (1, -1))
        gradient[index] = (up - down) / (2 * step)
    return gradient


def expected_gradient(loss, tau, baseline=0.0):
    """Gradient of the loss in expectation over the policy's own responses."""

    def expectation(logits):
        own = log_probs(logits)
        probability = jax.lax.stop_gradient(jnp.exp(own.sum(-1)))
        values = loss(own, log_probs(REFERENCE), MASK, REWARDS - baseline, tau=tau)
        return jnp.sum(probability * values)

    return jax.grad(expectation)(POLICY)


def token_local(log_probs, reference_log_probs, mask, advantage, *, tau):
    """The tempting form: each score meets the log-ratio of its own token only."""
    ratios = log_probs - reference_log_probs
    credit = jax.lax.stop_gradient(advantage[:, None] - tau * ratios)
    return -jnp.sum(jnp.where(mask, credit * log_probs, 0.0), -1)


@pytest.mark.parametrize("tau", [0.0, 0.3, 2.0])
def test_the_expected_gradient_is_that_of_the_regularised_objective(tau):
    with jax.enable_x64(True):
        ours = expected_gradient(losses.policy_gradient, tau)
        np.testing.assert_allclose(ours, differences(tau), atol=1e-9)


def test_the_token_local_form_is_not_that_gradient():
    with jax.enable_x64(True):
        expected = differences(0.3)
        local = np.asarray(expected_gradient(token_local, 0.3))
    assert np.abs(local - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("baseline", [-3.0, 0.5])
def test_a_baseline_changes_no_expected_gradient(baseline):
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            expected_gradient(losses.policy_gradient, 0.3, baseline),
            expected_gradient(losses.policy_gradient, 0.3),
            atol=1e-12,
        )


def one_gradient(own, reference, mask, advantage, tau):
    """Gradient of the loss in the log-probabilities of its tokens."""
    return jax.grad(
        lambda x: jnp.sum(
            losses.policy_gradient(x, reference, mask, advantage, tau=tau)
        )
    )(own)


def test_a_token_is_charged_for_its_own_and_later_log_ratios():
    own = jnp.array([[-1.0, -2.0, -3.0]])
    reference = jnp.array([[-1.5, -4.0, -2.0]])
    ours = one_gradient(own, reference, jnp.ones((1, 3), bool), jnp.array([0.25]), 0.1)
    ratios_to_go = np.array([[0.5 + 2.0 - 1.0, 2.0 - 1.0, -1.0]])
    np.testing.assert_allclose(ours, -(0.25 - 0.1 * ratios_to_go), rtol=1e-6)


def test_padding_has_no_gradient_and_no_influence():
    own, reference = GENERATOR.normal(-2, 1, (2, 4, 5)).astype(np.float32)
    mask = np.arange(5) < np.array([5, 3, 1, 0])[:, None]
    advantage = GENERATOR.normal(0, 1, 4).astype(np.float32)
    ours = one_gradient(own, reference, mask, advantage, 0.3)
    other = one_gradient(
        np.where(mask, own, -50.0), np.where(mask, reference, 7.0), mask, advantage, 0.3
    )
    np.testing.assert_array_equal(ours[~mask], 0.0)
    np.testing.assert_array_equal(ours, other)


def test_there_is_one_loss_for_each_response_and_batch_axes_are_free():
    own, reference = GENERATOR.normal(-2, 1, (2, 6, 5)).astype(np.float32)
    mask = np.ones((6, 5), bool)
    advantage = GENERATOR.normal(0, 1, 6).astype(np.float32)
    flat = losses.policy_gradient(own, reference, mask, advantage, tau=0.3)
    square = losses.policy_gradient(
        *(x.reshape(2, 3, 5) for x in (own, reference, mask)),
        advantage.reshape(2, 3),
        tau=0.3,
    )
    np.testing.assert_allclose(square.reshape(6), flat, rtol=1e-6)


def test_advantages_of_another_shape_are_refused():
    own = np.zeros((6, 5), np.float32)
    with pytest.raises(AssertionError):
        losses.policy_gradient(own, own, own < 1, np.zeros((5,), np.float32), tau=0.3)


def test_k3_has_the_mean_of_one_kl_and_the_mean_slope_of_the_other():
    first, other = (jax.nn.log_softmax(x[0]) for x in (POLICY, REFERENCE))

    def mean(logits):
        log_pi = jax.nn.log_softmax(logits)
        return jnp.sum(jnp.exp(first) * losses.k3(log_pi, other))

    def forward(logits):
        log_pi = jax.nn.log_softmax(logits)
        return jnp.sum(jnp.exp(other) * (other - log_pi))

    reverse = np.sum(np.exp(first) * (first - other))
    value, slope = jax.value_and_grad(mean)(POLICY[0])
    np.testing.assert_allclose(value, reverse, rtol=1e-5)
    np.testing.assert_allclose(slope, jax.grad(forward)(POLICY[0]), atol=1e-6)
    assert np.abs(slope).max() > 0.1


def test_k3_of_a_token_that_the_policy_would_never_write_is_finite():
    value, slope = jax.value_and_grad(losses.k3)(jnp.float32(-200.0), jnp.float32(-1))
    assert np.isfinite(value) and np.isfinite(slope)
