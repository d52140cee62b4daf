"""Updates as programs for accelerators, which need not be there to lower them.

A lowered program has found every operation's form for its platform; whether it runs
there, and how fast, is not known from it.
"""

import dataclasses

import jax
import optax
import pytest

from nashalign import algorithms, policies, preferences
from tests import token_game

CONFIG = token_game.shape()
PLATFORMS = ("cuda", "rocm", "tpu")


@pytest.mark.parametrize(
    "lora", [None, policies.Lora(rank=2)], ids=["whole", "adapters"]
)
@pytest.mark.parametrize("name", ["online_ipo", "ipo_md", "nash_md_pg"])
def test_an_update_in_bfloat16_lowers_for_accelerators(name, lora):
    policy = policies.family_of(CONFIG).build(CONFIG, lora)
    setup = algorithms.Setup(
        policy=policy,
        optimizer=optax.adam(1e-3),
        decoding=dataclasses.replace(token_game.DECODING, max_length=6),
        memory=algorithms.Memory(compute_dtype="bfloat16", frozen_dtype="bfloat16"),
    )
    method = algorithms.configure(name)
    params = jax.eval_shape(policy.init, jax.random.key(0))

    def update(key, params, prompts):
        state = algorithms.init(method, setup, params, key)
        judge = preferences.PairwiseModel(
            params=preferences.init_params(key, policy, params),
            policy=policy,
            eos_id=token_game.EOS,
        )
        state, metrics, _ = algorithms.update(method, setup, judge, state, prompts)
        return state, metrics

    traced = jax.jit(update).trace(
        jax.random.key(0), params, token_game.prompts(range(4), length=4)
    )
    program = traced.lower(lowering_platforms=PLATFORMS).as_text()
    assert "xbf16>" in program
    assert "dot_general" in program
