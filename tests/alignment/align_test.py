"""Alignment of one policy: what it needs, and what is logged."""

import jax
import numpy as np

from nashalign import evaluation
from nashalign.alignment import rollouts


def test_lengths_are_logged_with_their_interval_over_prompts():
    mask = np.arange(9) < np.random.default_rng(0).integers(1, 9, (5, 3, 1))
    found = rollouts.length_half_width(jax.numpy.asarray(mask))
    expected = evaluation.mean_interval(mask.sum(-1).mean(-1)).half_width
    np.testing.assert_allclose(found["length_half_width"], expected, rtol=1e-5)
    assert not rollouts.length_half_width(jax.numpy.asarray(mask[:1]))
