"""What KTO's single responses are compared with."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms
from nashalign.algorithms.objectives import unpaired
from tests.algorithms import group_gradients_test


@pytest.mark.parametrize("size", range(2, 10))
def test_every_prompt_has_a_neighbour_that_is_another_one(size):
    others = unpaired.neighbours(size)
    assert others.shape == (size,)
    assert ((0 <= others) & (others < size) & (others != np.arange(size))).all()


def test_even_parts_of_a_batch_exchange_what_the_whole_batch_exchanges():
    whole = unpaired.neighbours(16)
    assert sorted(whole) == list(range(16))
    for number in (2, 4, 8):
        length = 16 // number
        parts = [k * length + unpaired.neighbours(length) for k in range(number)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_prompt_alone_has_no_mismatched_response():
    with pytest.raises(ValueError, match="at least two prompts"):
        unpaired.neighbours(1)


@pytest.mark.parametrize("gained, baseline", [(0.4, 0.5), (-2.0, 0.0)])
def test_mismatched_responses_that_have_lost_count_as_none(gained, baseline):
    method = algorithms.configure("kto")
    groups = group_gradients_test.fixed_groups(method)
    # Of the first responses; the others are in no group.
    table = jnp.full((2, 6), 9.0).at[:, 0].set(jnp.array([gained, 0.6]))
    groups = dataclasses.replace(groups, statistics={"mismatched": table})
    found = unpaired.mismatched_divergence(method, groups, lambda x: x)
    np.testing.assert_allclose(found, baseline, rtol=1e-6)
