"""Tests of the checks of single arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import checks


@pytest.mark.parametrize("value", ["0.1", None, True, 1j, [1, [2]], object(), {}])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match="tau"):
        checks.number(value, "tau")


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), [0.1, 0.9], jnp.ones(2)])
def test_a_number_in_its_range_comes_as_it_went(value):
    assert checks.number(value, "tau", above=0, most=1) is value
    assert checks.number(jnp.bfloat16(0.5), "tau") == 0.5


@pytest.mark.parametrize(
    "value, ends, words",
    [
        (0.0, {"above": 0}, "tau must be positive, not 0.0"),
        (-1, {"least": 0}, "tau must be at least 0, not -1"),
        (2.0, {"least": 0, "most": 1}, r"tau must be in \[0, 1\], not 2.0"),
        (0.5, {"least": 0, "below": 0.5}, r"tau must be in \[0, 0.5\), not 0.5"),
        (np.nan, {"above": 0}, "tau must be finite, not nan"),
        (np.inf, {}, "tau must be finite, not inf"),
        ([1.0, -1.0], {"above": 0}, r"tau must be positive, not \[ 1. -1.\]"),
    ],
)
def test_a_number_outside_its_range_is_named_with_the_range(value, ends, words):
    with pytest.raises(ValueError, match=words):
        checks.number(value, "tau", **ends)


def test_a_traced_number_becomes_nan_outside_its_range():
    values = jnp.array([0.5, 0.0, 1.0, 2.0])
    with jax.debug_nans(False):
        found = jax.jit(lambda x: checks.number(x, "x", above=0, most=1))(values)
    np.testing.assert_array_equal(found, [0.5, np.nan, 1.0, np.nan])


@pytest.mark.parametrize("value", ["3", 3.0, None, True])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(TypeError, match="num_votes must be a whole number"):
        checks.whole(value, "num_votes")


def test_a_whole_number_that_is_too_small_is_named():
    assert checks.whole(np.int32(3), "num_votes") == 3
    with pytest.raises(ValueError, match="num_votes must be at least 1, not 0"):
        checks.whole(0, "num_votes")
