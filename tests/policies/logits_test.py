"""Tests of mixture logits."""

import jax
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
