"""Tests of mixture logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies

GENERATOR = np.random.default_rng(0)
POLICY, REFERENCE = GENERATOR.normal(0, 3, (2, 4, 3, 5)).astype(np.float32)
WEIGHTS = (0.0, 0.125, 0.5, 0.875, 1.0)


@pytest.mark.parametrize("mix", WEIGHTS)
def test_the_mixture_is_the_normalised_product_of_powers(mix):
    policy, reference = (
        np.exp(x.astype(np.float64)) / np.exp(x.astype(np.float64)).sum(-1)[..., None]
        for x in (POLICY, REFERENCE)
    )
    product = policy ** (1 - mix) * reference**mix
    expected = np.log(product / product.sum(-1, keepdims=True))
    ours = policies.mixture_logits(POLICY, REFERENCE, mix=mix)
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_a_mixture_of_three_is_the_normalised_product_of_their_powers():
    logits = {name: GENERATOR.normal(0, 2, (4, 5)) for name in "abc"}
    weights = {"a": 0.5, "b": 0.7, "c": -0.2}
    product = np.exp(sum(weights[name] * logits[name] for name in logits))
    expected = np.log(product / product.sum(-1, keepdims=True))
    ours = policies.geometric_mixture(logits, weights)
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_a_mixture_of_one_is_its_power_whatever_else_is_there():
    logits = {"policy": POLICY, "reference": REFERENCE}
    ours = policies.geometric_mixture(logits, {"policy": 3.0})
    np.testing.assert_array_equal(ours, 3 * POLICY)


def test_the_mixture_at_weight_zero_is_the_policy():
    mixed = policies.mixture_logits(POLICY, REFERENCE, mix=0.0)
    np.testing.assert_array_equal(mixed, jax.nn.log_softmax(POLICY, -1))


def test_the_mixture_at_weight_one_is_the_reference():
    mixed = policies.mixture_logits(POLICY, REFERENCE, mix=1.0)
    np.testing.assert_array_equal(mixed, jax.nn.log_softmax(REFERENCE, -1))


@pytest.mark.parametrize("mix", WEIGHTS)
def test_swapping_the_policies_complements_the_weight(mix):
    np.testing.assert_allclose(
        policies.mixture_logits(POLICY, REFERENCE, mix=mix),
        policies.mixture_logits(REFERENCE, POLICY, mix=1 - mix),
        atol=1e-6,
    )


@pytest.mark.parametrize("mix", WEIGHTS)
def test_a_constant_added_to_either_logits_changes_nothing(mix):
    shift = GENERATOR.normal(0, 5, (4, 3, 1)).astype(np.float32)
    np.testing.assert_allclose(
        policies.mixture_logits(POLICY + shift, REFERENCE - 2 * shift, mix=mix),
        policies.mixture_logits(POLICY, REFERENCE, mix=mix),
        atol=1e-5,
    )


def test_each_row_may_have_a_weight_of_its_own():
    mix = np.linspace(0, 1, 4, dtype=np.float32)[:, None, None]
    mixed = policies.mixture_logits(POLICY, REFERENCE, mix=mix)
    for row in range(4):
        alone = policies.mixture_logits(
            POLICY[row], REFERENCE[row], mix=mix[row, 0, 0].item()
        )
        np.testing.assert_allclose(mixed[row], alone, atol=1e-6)


def test_logits_of_different_shapes_are_refused():
    with pytest.raises(AssertionError):
        policies.mixture_logits(POLICY, REFERENCE[0], mix=0.5)


@pytest.mark.parametrize(
    "argument, value, error",
    [
        ("mix", -0.1, ValueError),
        ("mix", 1.5, ValueError),
        ("mix", np.nan, ValueError),
        ("mix", "0.5", TypeError),
        ("mix", None, TypeError),
        ("reference_logits", None, TypeError),
        ("policy_logits", "logits", TypeError),
    ],
)
def test_what_cannot_be_mixed_is_named(argument, value, error):
    good = {"policy_logits": POLICY, "reference_logits": REFERENCE, "mix": 0.5}
    with pytest.raises(error, match=f"{argument} must be"):
        policies.mixture_logits(**good | {argument: value})


def test_a_traced_weight_outside_its_range_becomes_nan():
    with jax.debug_nans(False):
        mixed = jax.jit(policies.mixture_logits)(POLICY, REFERENCE, mix=1.5)
    assert np.isnan(mixed).all()


# Logits of policies that mask tokens: both the third, and each one more of its own.
MASKED = np.array([1.0, 2.0, -np.inf, 0.0, -np.inf], np.float32)
ALSO_MASKED = np.array([0.0, -np.inf, -np.inf, 3.0, 1.0], np.float32)


@pytest.mark.parametrize("mix", WEIGHTS)
@pytest.mark.parametrize("traced", [False, True])
def test_a_masked_token_is_masked_unless_the_other_policy_is_alone(mix, traced):
    powers = [
        np.exp(x.astype(float)) ** weight
        for x, weight in ((MASKED, 1 - mix), (ALSO_MASKED, mix))
    ]
    product = powers[0] * powers[1]
    mixture = jax.jit(policies.mixture_logits) if traced else policies.mixture_logits
    found = np.exp(mixture(MASKED, ALSO_MASKED, mix=mix))
    np.testing.assert_allclose(found, product / product.sum(), atol=1e-6)


@pytest.mark.parametrize("mix", WEIGHTS)
def test_gradients_through_a_mixture_of_masked_logits_are_those_without_them(mix):
    both = np.array([1.0, 0.0, 2.0], np.float32), np.array([0.0, 3.0, 1.0], np.float32)
    slope = jax.grad(lambda a, b: policies.mixture_logits(a, b, mix=mix)[0], (0, 1))
    masked = [np.array([x[0], x[1], -np.inf, x[2]], np.float32) for x in both]
    for with_mask, without in zip(slope(*masked), slope(*both), strict=True):
        np.testing.assert_allclose(np.asarray(with_mask)[[0, 1, 3]], without, atol=1e-6)
        assert with_mask[2] == 0


def test_a_mixture_is_in_at_least_float32():
    low = jnp.asarray(POLICY, jnp.bfloat16)
    mixed = policies.mixture_logits(low, low, mix=0.5)
    assert mixed.dtype == jnp.float32
    np.testing.assert_array_equal(mixed, jax.nn.log_softmax(low.astype(jnp.float32)))
    with jax.enable_x64(True):
        exact = POLICY.astype(float)
        assert policies.mixture_logits(exact, exact, mix=0.5).dtype == jnp.float64
