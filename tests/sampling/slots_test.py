"""Rows that are refilled write what rows of their own would have written."""

import dataclasses
import heapq

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies, sampling
from tests import token_game
from tests.policies import contract_test

KEY = jax.random.key(5)
LENGTH, PROMPTS = 4, token_game.prompts(range(24), length=4)
FAMILIES = {
    name: dataclasses.replace(policy, context=4 + LENGTH)
    for name, policy in contract_test.FAMILIES.items()
    if name != "tabular"
} | {"tabular": policies.tabular(3, 4 + LENGTH)}


def parameters(policy, seed):
    return jax.tree.map(
        lambda leaf: leaf.astype(float), token_game.parameters(policy, seed, scale=0.7)
    )


def drawn(policy, slots, params, prompts=PROMPTS, num_responses=2, **contexts):
    """Responses from another mixture in each column, and their log-probabilities."""
    mix = jnp.linspace(0.2, 0.9, num_responses)[None, :, None]
    decoding = dataclasses.replace(
        token_game.DECODING, max_length=LENGTH, slots=slots, temperature=1.2
    )
    return sampling.sample(
        policy,
        params,
        lambda logits: policies.mixture_logits(
            logits["policy"], logits["reference"], mix=mix
        ),
        KEY,
        prompts,
        contexts=contexts,
        num_responses=num_responses,
        decoding=decoding,
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "slots", [5, *(pytest.param(n, marks=pytest.mark.full) for n in (1, 30))]
)
def test_slots_change_no_response(family, slots):
    with jax.enable_x64(True):
        policy = FAMILIES[family]
        params = {name: parameters(policy, seed) for seed, name in enumerate(NAMES)}
        draw = token_game.compiled(drawn, static_argnums=(0, 1))
        (expected, wanted), (found, log_probs) = (
            draw(policy, number, params) for number in (None, slots)
        )
        lengths = np.asarray(expected.mask).sum(-1)
        assert len(set(lengths.ravel().tolist())) > 2
        assert 0 < np.asarray(expected.truncated).mean() < 1
        chex.assert_trees_all_equal(found, expected)
        chex.assert_trees_all_close(log_probs, wanted, atol=1e-12)


NAMES = ("policy", "reference")


def test_a_refilled_row_reads_the_context_of_its_own_policy():
    policy = FAMILIES["llama"]
    longer = token_game.prompts(range(31, 55), length=4)
    params = {name: token_game.parameters(policy, 1, scale=0.7) for name in NAMES}
    draw = token_game.compiled(drawn, static_argnums=(0, 1))
    every, few = (draw(policy, n, params, reference=longer) for n in (None, 2))
    chex.assert_trees_all_equal(every[0], few[0])
    chex.assert_trees_all_close(every[1], few[1], atol=1e-5)
    assert np.abs(few[1]["policy"] - few[1]["reference"]).max() > 0.1


def test_a_row_that_has_ended_is_refilled_at_once():
    """As many tokens are read in a row as a greedy queue of these lengths takes."""
    read = []

    def counted(policy):
        def hidden(params, tokens, mask, cache):
            jax.debug.callback(lambda: read.append(1))
            return policy.hidden(params, tokens, mask, cache)

        return dataclasses.replace(policy, hidden=hidden)

    policy = FAMILIES["tabular"]
    params = {name: parameters(policy, seed) for seed, name in enumerate(NAMES)}
    draw = token_game.compiled(drawn, static_argnums=(0, 1, 4))
    responses, _ = draw(counted(policy), 2, params, PROMPTS, 1)
    jax.effects_barrier()
    ends = [0, 0]
    for length in np.asarray(responses.mask).sum(-1).ravel().tolist():
        heapq.heappush(ends, heapq.heappop(ends) + length)
    assert len(read) == len(NAMES) * max(ends)
    # A padded loop over pairs of prompts would have read on to the longer of each.
    lengths = np.asarray(responses.mask).sum(-1).reshape(-1, 2)
    assert max(ends) < lengths.max(1).sum()


@pytest.mark.parametrize("slots", [0, -1, 1.5])
def test_slots_that_are_no_number_of_rows_are_refused(slots):
    with pytest.raises((TypeError, ValueError), match="slots"):
        sampling.Decoding(max_length=2, eos_id=0, pad_id=0, slots=slots)
