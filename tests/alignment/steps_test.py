"""Compiled updates: which runs share one, and what they do not share."""

import jax
import numpy as np
import pytest

from nashalign import algorithms, training
from nashalign.alignment import steps
from tests import token_game


@pytest.mark.parametrize("on_host", [False, True])
def test_runs_that_differ_in_rates_settings_or_seeds_share_a_program(
    monkeypatch, on_host
):
    traced, learn = [], algorithms.learn

    def counted(*args, **options):
        traced.append(1)
        return learn(*args, **options)

    monkeypatch.setattr(algorithms, "learn", counted)
    monkeypatch.setitem(algorithms.update.__globals__, "learn", counted)
    mesh = training.make_mesh(jax.devices()[:1])
    params = token_game.parameters(token_game.POLICY, 0)
    moved = []
    for rate, tau, seed in [(1e-3, 0.4, 0), (2e-3, 0.4, 0), (1e-3, 0.7, 1)]:
        setup, step = steps.compile_step(
            token_game.POLICY,
            token_game.DECODING,
            None,
            rate,
            30,
            "constant",
            "adam",
            algorithms.Memory(),
            mesh,
            on_host,
        )
        method = algorithms.configure("online_ipo", tau=tau)
        state = algorithms.init(method, setup, params, jax.random.key(seed))
        annotator = token_game.annotator(method)
        prompts = token_game.prompts(range(6))
        state, _, _ = step(state, prompts, method, annotator, None)
        moved.append(jax.tree.leaves(state.params)[0] - jax.tree.leaves(params)[0])
    assert len(traced) == 1
    # Adam's first move is of the size of its rate.
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-3, atol=1e-8)
    assert np.abs(moved[2] - moved[0]).max() > 0
