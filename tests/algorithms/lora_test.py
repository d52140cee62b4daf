"""Rows trained through adapters: these alone move, by the gradient of the whole policy.

With :math:`W = W_0 + s A B` and :math:`G` the gradient in `W`, that in `A` is
:math:`s G B^T`, and that in `B` is :math:`s A^T G`. `G` is taken from the plain policy,
whose kernels are the merged ones: it knows nothing of adapters.
"""

import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest

from nashalign import algorithms, policies
from nashalign.policies import lora
from tests import token_game

LORA = policies.Lora(rank=2, alpha=3.0, targets=("v_proj", "o_proj", "down_proj"))
CONFIG = token_game.shape()
ADAPTED = policies.family_of(CONFIG).build(CONFIG, LORA)

# What differs in how a policy, its frozen ones and its heads are read and moved.
FEW = ("online_ipo", "ipo_md", "dpo", "ppo", "egpo", "nash_ema_pg", "tdpo2", "inpo")
ROWS = [
    name if name in FEW else pytest.param(name, marks=pytest.mark.full)
    for name in algorithms.TABLE
]


def adapted(seed, base):
    """A policy of one base, with adapters of its own."""
    own = token_game.parameters(ADAPTED, seed, scale=0.5)
    return lora.join(base, lora.trained(own))


def state_of(method):
    """A state whose policies all have the same base, and adapters of their own."""
    base = lora.base(token_game.parameters(ADAPTED, 1))
    state = token_game.moved_state(method, ADAPTED)
    frozen = {
        name: adapted(seed, base)
        for name, seed in token_game.FROZEN.items()
        if name in state.frozen
    }
    players = state.players | {"policy": adapted(8, base)}
    return dataclasses.replace(state, players=players, frozen=frozen)


def merged(state):
    """The same state of plain policies."""
    merge = functools.partial(lora.merged, lora=LORA)
    players = state.players | {"policy": merge(state.params)}
    frozen = {name: merge(params) for name, params in state.frozen.items()}
    return dataclasses.replace(state, players=players, frozen=frozen)


def minus(one, other):
    return jax.tree.map(lambda x, y: np.asarray(x - y), one, other)


@pytest.mark.parametrize("name", ROWS)
def test_a_step_moves_the_adapters_alone_by_the_gradient_of_the_whole(name):
    with jax.enable_x64(True):
        method = algorithms.configure(name, **token_game.SETTINGS[name])
        before = state_of(method)
        plain = merged(before)
        after, metrics = token_game.expected_step(method, before, policy=ADAPTED)
        whole, expected = token_game.expected_step(method, plain)
        np.testing.assert_allclose(metrics["loss"], expected["loss"], atol=1e-9)
        for own in (after.params, *after.frozen.values()):
            jax.tree.map(
                np.testing.assert_array_equal, lora.base(own), lora.base(before.params)
            )
        moved = minus(lora.trained(before.params), lora.trained(after.params))
        full = minus(plain.params, whole.params)
        for block, part in (("self_attn", "v_proj"), (None, "down_proj")):
            own, slope, start = (
                (tree["layers"] if block is None else tree["layers"][block])[part]
                for tree in (moved, full, before.params)
            )
            a, b = start["lora_a"], start["lora_b"]
            g = slope["kernel"]
            for found, wanted in (
                (own["lora_a"], np.einsum("lio,lro->lir", g, b)),
                (own["lora_b"], np.einsum("lir,lio->lro", a, g)),
            ):
                assert np.abs(wanted).max() > 1e-7
                np.testing.assert_allclose(
                    found, LORA.scale * wanted, rtol=1e-5, atol=1e-9
                )
        heads = {n: own for n, own in after.players.items() if n != "policy"}
        for head, own in heads.items():
            np.testing.assert_allclose(own, whole.players[head], atol=1e-9)


def test_the_optimizer_has_a_state_of_what_is_trained_alone():
    setup = token_game.setup(ADAPTED, optax.adam(1e-3))
    params = token_game.parameters(ADAPTED, 1)
    method = algorithms.configure("online_ipo")
    state = algorithms.init(method, setup, params, token_game.KEY)
    number = len(jax.tree.leaves(lora.trained(params)))
    assert len(jax.tree.leaves(state.opt_state)) == 2 * number + 1


def test_a_state_without_its_base_is_laid_on_it_again():
    method = algorithms.configure("ipo_md")
    state = state_of(method)
    apart = algorithms.without_base(state)
    assert len(jax.tree.leaves(apart.players)) == len(
        jax.tree.leaves(lora.trained(state.params))
    )
    again = algorithms.on_base(apart, lora.base(state.params))
    assert jax.tree.structure(again) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, again.frozen, state.frozen)
    plain = merged(state)
    assert algorithms.on_base(algorithms.without_base(plain), None) is not None
    jax.tree.map(
        np.testing.assert_array_equal,
        algorithms.without_base(plain).players,
        plain.players,
    )
