"""What is left of a distribution at a temperature and a top-p."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import sampling

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.3, 0.15])


def kept(**options):
    logits = sampling.sharpen(jnp.log(jnp.asarray(PROBABILITIES)) + 3.0, **options)
    return np.asarray(jax.nn.softmax(logits))


def test_nothing_is_changed_by_default():
    np.testing.assert_allclose(kept(), PROBABILITIES, rtol=1e-5)


@pytest.mark.parametrize(
    "top_p, tokens",
    [(1e-6, [1]), (0.39, [1]), (0.41, [1, 3]), (0.8, [1, 3, 4]), (0.94, [0, 1, 3, 4])],
)
def test_the_fewest_most_probable_tokens_that_reach_top_p_are_left(top_p, tokens):
    found = kept(top_p=top_p)
    assert np.flatnonzero(found).tolist() == tokens
    own = PROBABILITIES[tokens]
    np.testing.assert_allclose(found[tokens], own / own.sum(), rtol=1e-5)


def test_a_temperature_is_applied_before_the_cut():
    sharp = PROBABILITIES**2 / (PROBABILITIES**2).sum()
    np.testing.assert_allclose(kept(temperature=0.5), sharp, rtol=1e-5)
    # At this temperature the first token alone has more than half of the probability.
    assert np.flatnonzero(kept(temperature=0.5, top_p=0.5)).tolist() == [1]
    assert np.flatnonzero(kept(top_p=0.5)).tolist() == [1, 3]


def test_at_temperature_zero_the_most_probable_token_alone_is_left():
    np.testing.assert_array_equal(kept(temperature=0.0), [0, 1, 0, 0, 0])


def test_rows_are_cut_by_themselves():
    logits = jnp.log(jnp.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]))
    found = sampling.sharpen(logits, top_p=0.5)
    np.testing.assert_array_equal(
        np.isfinite(found), [[True, False, False], [False, False, True]]
    )


@pytest.mark.parametrize(
    "options", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError):
        kept(**options)
