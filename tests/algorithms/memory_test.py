"""What is traded for memory changes no update but in the order of its sums."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, policies
from tests import token_game

PROMPTS = token_game.prompts(range(12))


@token_game.compiled
def groups_of(method, state, batch):
    setup = token_game.setup(token_game.POLICY)
    groups = algorithms.rollout(method, setup, state, batch)
    return algorithms.annotate(method, token_game.annotator(method), state, groups)


def learnt(name, memory):
    """The state and the metrics after a step of a row, in float64."""
    method = algorithms.configure(name, **token_game.SETTINGS[name])
    setup = dataclasses.replace(token_game.setup(token_game.POLICY), memory=memory)
    state = token_game.moved_state(method)
    batch = PROMPTS
    if method.num_data:
        batch = token_game.drawn_examples(method, PROMPTS)
    groups = groups_of(method, state, batch)
    learn = token_game.compiled(lambda *given: algorithms.learn(method, setup, *given))
    found, metrics = learn(state, groups)
    return found.players, metrics


# A pair loss; a statistic of the whole batch; tokens' KL and a critic beside the
# policy; weights; a regulariser; several epochs with old statistics.
@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("kto", 2),
        ("ppo", 6),
        *(
            pytest.param(name, pieces, marks=pytest.mark.full)
            for name in ("online_ipo", "tdpo2", "optune", "iterative_rpo", "grpo")
            for pieces in (2, 6)
        ),
    ],
)
def test_microbatches_have_the_gradient_of_the_whole_batch(name, pieces):
    with jax.enable_x64(True):
        whole, metrics = learnt(name, algorithms.Memory())
        found, others = learnt(name, algorithms.Memory(num_microbatches=pieces))
        chex.assert_trees_all_close(found, whole, rtol=1e-9, atol=1e-12)
        chex.assert_trees_all_close(others, metrics, rtol=1e-9, atol=1e-12)


def test_pieces_take_neighbours_from_all_over_the_batch_and_are_put_together_again():
    rows = jnp.arange(12)
    pieces = algorithms.memory._split(rows, 3)
    assert pieces.tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert algorithms.memory._split(rows, 4).tolist()[1] == [1, 5, 9]
    for number in (1, 3, 4, 12):
        pieces = algorithms.memory._split(rows, number)
        np.testing.assert_array_equal(algorithms.memory._joined(pieces), rows)


def test_a_layer_that_is_kept_has_the_gradient_of_one_computed_again():
    with jax.enable_x64(True):
        whole, _ = learnt("online_ipo", algorithms.Memory())
        found, _ = learnt("online_ipo", algorithms.Memory(remat=False))
        chex.assert_trees_all_close(found, whole, rtol=1e-9, atol=1e-12)


def test_pieces_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="5 microbatches do not divide a batch of 12"):
        learnt("online_ipo", algorithms.Memory(num_microbatches=5))


@pytest.mark.parametrize(
    "options",
    [{"num_microbatches": 0}, {"num_microbatches": 1.5}, {"frozen_dtype": "float17"}],
)
def test_what_is_no_choice_of_memory_is_refused(options):
    with pytest.raises((TypeError, ValueError)):
        algorithms.Memory(**options)


def temporary(memory, depth=6):
    """Bytes that learning needs besides what goes in and comes out."""
    policy = policies.llama(
        policies.LlamaConfig(
            vocab_size=64,
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=depth,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=16,
        )
    )
    method = algorithms.configure("online_ipo")
    setup = token_game.setup(
        policy, optax.sgd(1.0), dataclasses.replace(token_game.DECODING, max_length=32)
    )
    setup = dataclasses.replace(setup, memory=memory)
    prompts = jax.eval_shape(lambda: token_game.prompts(range(16)))
    params = jax.eval_shape(policy.init, jax.random.key(0))

    def learn(params, groups):
        state = algorithms.init(method, setup, params, jax.random.key(0))
        return algorithms.learn(method, setup, state, groups)[0].params

    def groups(params, prompts):
        state = algorithms.init(method, setup, params, jax.random.key(0))
        groups = algorithms.rollout(method, setup, state, prompts)
        return algorithms.annotate(method, Indifferent(), state, groups)

    annotated = jax.eval_shape(groups, params, prompts)
    program = jax.jit(learn).lower(params, annotated).compile()
    return program.memory_analysis().temp_size_in_bytes


class Indifferent:
    def prefer(self, key, prompts, y, z):
        return jnp.full(y.tokens.shape[:2], 0.6)


def test_each_choice_is_made_for_memory():
    usual = temporary(algorithms.Memory())
    assert temporary(algorithms.Memory(num_microbatches=4)) < 0.5 * usual
    assert temporary(algorithms.Memory(remat=False)) > 1.5 * usual


def test_frozen_policies_that_stay_are_kept_in_the_type_that_is_asked_for():
    method = algorithms.configure("nash_ema_pg", **token_game.SETTINGS["nash_ema_pg"])
    memory = algorithms.Memory(frozen_dtype="bfloat16")
    setup = dataclasses.replace(token_game.setup(token_game.POLICY), memory=memory)
    params = token_game.parameters(token_game.POLICY, 0)
    state = algorithms.init(method, setup, params, jax.random.key(0))
    assert method.still == ("reference",) and set(state.frozen) > {"reference"}
    types = {
        name: {str(leaf.dtype) for leaf in jax.tree.leaves(frozen)}
        for name, frozen in state.frozen.items()
    }
    assert types.pop("reference") == {"bfloat16"}
    assert set().union(*types.values()) == {"float32"}
    after = algorithms.next_stage(method, setup, state)
    assert jax.tree.leaves(after.reference)[0].dtype == jnp.bfloat16


def test_an_update_of_a_frozen_policy_in_bfloat16_is_nearly_the_usual_one():
    name = "online_ipo"
    usual, _ = learnt(name, algorithms.Memory())
    method = algorithms.configure(name, **token_game.SETTINGS[name])
    state = token_game.moved_state(method)
    memory = algorithms.Memory(frozen_dtype="bfloat16")
    frozen = {name: memory.freeze(params) for name, params in state.frozen.items()}
    batch = groups_of(method, dataclasses.replace(state, frozen=frozen), PROMPTS)
    whole = groups_of(method, state, PROMPTS)
    assert batch.reference_log_probs.dtype == jnp.float32
    gap = np.abs(batch.reference_log_probs - whole.reference_log_probs)
    assert 0 < gap.max() < 0.05
