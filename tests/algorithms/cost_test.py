"""What an update costs: what its row's definition demands, and no pass twice."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
import pytest

from nashalign import algorithms, policies, sampling
from nashalign.types import Examples, Prompts, Responses

# Wide enough that the passes over responses are nearly all there is to compute.
POLICY = policies.llama(
    policies.LlamaConfig(
        vocab_size=32,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
    )
)
LENGTH = 16
SETUP = algorithms.Setup(
    policy=POLICY,
    optimizer=optax.sgd(0.1),
    decoding=sampling.Decoding(max_length=LENGTH, eos_id=0, pad_id=1),
)
PROMPTS = Prompts(
    tokens=jnp.ones((8, 8), jnp.int32), mask=jnp.ones((8, 8), bool), ids=jnp.arange(8)
)
PAIRS = Examples(
    prompts=PROMPTS,
    responses=Responses(
        tokens=jnp.ones((8, 2, LENGTH), jnp.int32),
        mask=jnp.ones((8, 2, LENGTH), bool),
        truncated=jnp.ones((8, 2), bool),
    ),
    preference=jnp.full((8, 2, 2), 0.5),
)


class Indifferent:
    def prefer(self, key, prompts, y, z):
        return jnp.full(y.tokens.shape[:2], 0.5)


def cost(name: str, *, later: bool = False, brought: bool = False) -> float:
    """Operations of a compiled update; the body of the decoding loop counts once.

    At the first one all policies are the same; `later` the frozen ones are another.
    Examples may have `brought` along what the reference says of them.
    """
    method = algorithms.configure(name)

    def update(params, other, batch):
        state = algorithms.init(method, SETUP, params, jax.random.key(0))
        if later:
            frozen = dict.fromkeys(state.frozen, other)
            state = dataclasses.replace(state, frozen=frozen)
        state, *_ = algorithms.update(method, SETUP, Indifferent(), state, batch)
        return state.params

    params = jax.eval_shape(POLICY.init, jax.random.key(0))
    batch = PAIRS if method.num_data else PROMPTS
    if brought:
        known = {"reference": jnp.full(PAIRS.responses.tokens.shape, -1.0)}
        batch = dataclasses.replace(PAIRS, frozen_log_probs=known)
    lowered = jax.jit(update).lower(params, params, batch)
    return lowered.compile().cost_analysis()["flops"]


@pytest.fixture(scope="module")
def usual():
    return {"offline": cost("dpo"), "online": cost("online_ipo")}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        # The KL of the reference's next-token distributions takes none of its passes.
        ("offline", "tdpo1"),
        pytest.param("offline", "tdpo2", marks=pytest.mark.full),
        ("online", "online_slic"),
        # Policies that are the same at first are one.
        ("online", "inpo"),
        pytest.param("online", "mnpo", marks=pytest.mark.full),
    ],
)
def test_a_row_costs_no_more_than_its_kind(usual, kind, name):
    assert cost(name) < 1.06 * usual[kind]


def test_rows_without_a_reference_pay_for_no_pass_through_one():
    with_reference = cost("dpo", later=True)
    for name in ("simpo", "cpo", "orpo"):
        assert cost(name, later=True) < 0.85 * with_reference


def test_a_reference_that_has_read_the_examples_before_costs_no_pass():
    # Of some five passes over the responses, backward ones counted twice, one is gone.
    found = cost("dpo", later=True, brought=True)
    assert found < 0.85 * cost("dpo", later=True)
    assert found == pytest.approx(cost("simpo", later=True), rel=0.01)


def test_a_reference_that_moves_reads_the_examples_at_every_step():
    computed = cost("tr_dpo", later=True)
    assert cost("tr_dpo", later=True, brought=True) == pytest.approx(computed, rel=1e-3)
