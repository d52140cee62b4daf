"""Log-probabilities at the ends of what numbers can say: masked tokens, bfloat16."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import algorithms, data, policies
from nashalign.types import Prompts
from tests import token_game

TABLE = policies.tabular(4, 3)
PROMPTS = data.pad_prompts([[1]], [0], length=1, pad_id=0)
RESPONSES = data.pad_responses([[[0, 3], [1, 0]]], length=2, pad_id=0)


def tables(masked):
    """Two tables of random logits that give no probability to some tokens."""
    shape = TABLE.init(None)["logits"].shape
    random = np.random.default_rng(5)
    logits = [random.normal(size=shape).astype(np.float32) for _ in range(2)]
    for own in logits:
        own[:, masked] = -np.inf
    return [{"logits": jnp.asarray(own)} for own in logits]


def divergence(p, q):
    hidden = tuple(policies.read(TABLE, own, PROMPTS, RESPONSES) for own in (p, q))
    return policies.token_kl(TABLE, (p, q), hidden, RESPONSES)


def test_tokens_that_both_policies_mask_add_nothing_to_their_divergence():
    p, q = tables([2])
    found = divergence(p, q)
    # The limit of a probability that vanishes.
    almost = [{"logits": jnp.maximum(own["logits"], -60.0)} for own in (p, q)]
    np.testing.assert_allclose(found, divergence(*almost), rtol=1e-6)
    for number in (0, 1):
        slope, expected = (
            jax.grad(lambda *given: divergence(*given).sum(), number)(*given)["logits"]
            for given in ((p, q), almost)
        )
        np.testing.assert_allclose(slope, expected, atol=1e-6)
        assert (np.asarray(slope)[:, 2] == 0).all()


def test_a_token_that_one_policy_masks_is_nothing_or_infinite():
    p, q = tables([])
    q = {"logits": q["logits"].at[:, 2].set(-jnp.inf)}
    assert np.isposinf(divergence(p, q)).all()
    assert np.isfinite(divergence(q, p)).all() and (divergence(q, p) > 0).all()


POLICY = token_game.transformer(vocabulary=12)
LOW = jax.tree.map(
    lambda x: x.astype(jnp.bfloat16), token_game.parameters(POLICY, 3, scale=0.5)
)


def rolled(name):
    """Groups of a row at its first step, on a policy in bfloat16."""
    decoding = dataclasses.replace(token_game.DECODING, max_length=6)
    setup = algorithms.Setup(policy=POLICY, optimizer=optax.sgd(0.1), decoding=decoding)
    method = algorithms.configure(name)
    state = algorithms.init(method, setup, LOW, jax.random.key(0))
    prompts = token_game.prompts(range(32), length=4)
    groups = token_game.compiled(
        lambda state: algorithms.rollout(method, setup, state, prompts)
    )(state)
    own = token_game.compiled(
        lambda g: policies.log_probs(POLICY, LOW, g.prompts, g.responses)
    )(groups)
    return groups, own


def test_a_policy_in_bfloat16_is_at_first_no_way_from_itself():
    groups, own = rolled("online_ipo")
    reference = groups.reference_log_probs
    assert reference.dtype == own.dtype == groups.probability.dtype == jnp.float32
    assert own.sum() < -100
    np.testing.assert_array_equal(own, reference)


def test_decoding_in_bfloat16_finds_almost_the_log_probabilities_of_one_pass():
    groups, own = rolled("nash_md_pg")
    ratio = (own - groups.reference_log_probs).sum(-1)
    assert groups.reference_log_probs.dtype == jnp.float32
    assert 0 < np.abs(ratio).mean() < 0.01


def test_logits_are_in_at_least_float32():
    tokens = jnp.zeros((1, 2), jnp.int32)
    assert POLICY.apply(LOW, tokens, tokens == 0).dtype == jnp.float32
    prompts = Prompts(tokens=tokens, mask=tokens == 0, ids=jnp.arange(1))
    cache, _ = POLICY.prefill(LOW, prompts, room=2)
    assert POLICY.decode(LOW, tokens, tokens == 0, cache)[0].dtype == jnp.float32


def computing(dtype, frozen=None):
    """A setup, its row, a state, and the groups that are drawn at its first step."""
    decoding = dataclasses.replace(token_game.DECODING, max_length=6)
    memory = algorithms.Memory(compute_dtype=dtype, frozen_dtype=frozen)
    setup = algorithms.Setup(
        policy=POLICY, optimizer=optax.sgd(1.0), decoding=decoding, memory=memory
    )
    method = algorithms.configure("online_ipo")
    params = token_game.parameters(POLICY, 3)
    params = jax.tree.map(lambda x: x.astype(jnp.float32), params)
    state = algorithms.init(method, setup, params, jax.random.key(0))
    prompts = token_game.prompts(range(32), length=4)
    groups = token_game.compiled(
        lambda state: algorithms.rollout(method, setup, state, prompts)
    )(state)
    return setup, method, state, groups


def log_probs_of(setup, params, groups):
    @token_game.compiled
    def read(params, g):
        return policies.log_probs(setup.policy, params, g.prompts, g.responses)

    return read(params, groups)


MODES = [(None, None), ("bfloat16", None), ("bfloat16", "bfloat16")]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_policy_is_at_first_no_way_from_itself_whatever_it_computes_in(mode):
    setup, _, state, groups = computing(*mode)
    own = log_probs_of(setup, state.params, groups)
    np.testing.assert_array_equal(own, groups.reference_log_probs)
    assert own.dtype == groups.reference_log_probs.dtype == jnp.float32
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
    kept = {leaf.dtype.name for leaf in jax.tree.leaves(state.reference)}
    assert kept == {mode[1] or "float32"}


def test_a_policy_that_computes_in_bfloat16_is_off_by_a_hundredth_of_a_nat():
    setup, _, state, groups = computing("bfloat16")
    exact = log_probs_of(computing(None)[0], state.params, groups)
    difference = np.abs(exact - log_probs_of(setup, state.params, groups))
    assert difference.max() > 1e-3 and difference.mean() < 0.01


def flat_step(setup, method, state, groups):
    """What a step on all pairs takes from the parameters."""
    preference = jnp.array([[0.5, 0.9], [0.1, 0.5]])
    preference = jnp.broadcast_to(preference, (len(groups.prompts.ids), 2, 2))
    groups = dataclasses.replace(groups, preference=preference)

    @token_game.compiled
    def step(state, groups):
        labelled = algorithms.label(method, state, groups)
        return algorithms.learn(method, setup, state, labelled)[0]

    after = step(state, groups)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(after.params)} == {"float32"}
    pairs = zip(*map(jax.tree.leaves, (state.params, after.params)), strict=True)
    return np.concatenate([np.ravel(one - other) for one, other in pairs])


def test_a_gradient_in_bfloat16_is_that_in_float32_to_a_few_hundredths():
    setup, method, state, groups = computing("bfloat16")
    rounded = flat_step(setup, method, state, groups)
    setup = computing(None)[0]
    log_probs = {"reference": log_probs_of(setup, state.reference, groups)}
    groups = dataclasses.replace(groups, frozen_log_probs=log_probs)
    exact = flat_step(setup, method, state, groups)
    size = np.linalg.norm(exact)
    assert 1e-4 < np.linalg.norm(rounded - exact) / size < 0.04


def test_a_step_shorter_than_the_rounding_is_kept():
    params = {"w": jnp.ones(())}
    policy = policies.computing_in(POLICY, "bfloat16")
    assert policy.compute_dtype == "bfloat16"
    assert policies.computing_in(policy, "bfloat16") is policy
    assert policies.computing_in(POLICY, None) is POLICY
    moved = jax.tree.map(lambda x: x + 1e-4, params)
    assert policies.cast(moved, "bfloat16")["w"] == 1
    assert moved["w"] > 1


@pytest.mark.parametrize("name", ["compute_dtype", "frozen_dtype"])
def test_a_type_that_is_none_of_floating_numbers_is_refused(name):
    with pytest.raises(ValueError, match="int32"):
        algorithms.Memory(**{name: "int32"})
