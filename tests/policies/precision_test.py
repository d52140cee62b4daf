"""Log-probabilities at the ends of what numbers can say: masked tokens, bfloat16."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

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
