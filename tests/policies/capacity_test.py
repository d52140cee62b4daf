"""Tokens that a model has no place for: none of its vocabulary, or beyond its context.

Real tokens are counted, whatever padding there is.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import data, policies, sampling
from tests import token_game

CONTEXT, VOCABULARY = 6, 5
LLAMA = dataclasses.replace(token_game.transformer(VOCABULARY), context=CONTEXT)
TABLE = policies.tabular(VOCABULARY, CONTEXT)
FAMILIES = pytest.mark.parametrize("policy", [LLAMA, TABLE], ids=["llama", "tabular"])
DECODING = sampling.Decoding(max_length=3, eos_id=-1, pad_id=0)
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _nan_is_an_answer():
    with jax.debug_nans(False):
        yield


def batch(prompt, response):
    """One prompt behind two columns of padding, one response before as many."""
    prompts = data.pad_prompts([prompt], [0], length=len(prompt) + 2, pad_id=0)
    responses = data.pad_responses([[response]], length=len(response) + 2, pad_id=0)
    return prompts, responses


def log_probs(policy, prompts, responses):
    params = token_game.parameters(policy, 0)
    return policies.log_probs(policy, params, prompts, responses)


def sample(policy, prompts, decoding=DECODING, **contexts):
    return sampling.sample(
        policy,
        dict.fromkeys(["policy", *contexts], token_game.parameters(policy, 0)),
        lambda logits: logits["policy"],
        KEY,
        prompts,
        contexts=contexts,
        num_responses=2,
        decoding=decoding,
    )


@FAMILIES
def test_a_row_that_fills_the_context_is_read_and_written_as_ever(policy):
    prompts, responses = batch([1, 2, 3], [4, 1, 2])
    found = np.asarray(log_probs(policy, prompts, responses))[0, 0]
    assert (found[:3] < 0).all() and (found[3:] == 0).all()
    _, drawn = jax.jit(lambda p: sample(policy, p))(prompts)
    assert (np.asarray(drawn["policy"]) < 0).all()


@FAMILIES
def test_a_row_beyond_the_context_is_refused(policy):
    prompts, responses = batch([1, 2, 3, 4], [4, 1, 2])
    with pytest.raises(
        ValueError, match=r"responses.tokens and their prompts, up to 7"
    ):
        log_probs(policy, prompts, responses)
    with pytest.raises(ValueError, match="prompts of up to 4 tokens and max_length 3"):
        sample(policy, prompts)
    with pytest.raises(ValueError, match=r"contexts\['told'\] of up to 4 tokens"):
        sample(policy, batch([1, 2, 3], [0])[0], told=prompts)


@FAMILIES
def test_two_continuations_in_a_row_fit_or_are_refused_and_traced_become_nan(policy):
    prompts, responses = batch([1, 2], [4, 1])
    params = token_game.parameters(policy, 0)

    def states(prompts):
        own = (responses.tokens, responses.mask)
        return policies.extend_pairs(policy, params, prompts, *own, [(0, 0)])[1]

    found = np.isnan(states(prompts)[0, 0, :2]).all(-1)
    assert not found.any()
    longer, _ = batch([1, 2, 3], [4, 1])
    with pytest.raises(ValueError, match="up to 7 tokens together, exceed"):
        states(longer)
    found = np.isnan(jax.jit(states)(longer)[0, 0, :2]).all(-1)
    np.testing.assert_array_equal(found, [False, True])


@FAMILIES
def test_traced_positions_beyond_the_context_become_nan_and_no_others(policy):
    prompts, responses = batch([1, 2, 3, 4], [4, 1, 2])
    found = jax.jit(lambda *args: log_probs(policy, *args))(prompts, responses)
    fitting = np.asarray(found)[0, 0, :2]
    first, _ = batch([1, 2, 3, 4], [0])
    alone = log_probs(policy, first, batch([1], [4, 1])[1])[0, 0, :2]
    np.testing.assert_allclose(fitting, alone, rtol=1e-5)
    np.testing.assert_array_equal(found[0, 0, 2:], [np.nan, 0, 0])
    responses, drawn = jax.jit(lambda p: sample(policy, p))(prompts)
    bad = np.isnan(drawn["policy"])
    np.testing.assert_array_equal(bad[0], [[False, False, True]] * 2)
    assert responses.mask.all()


@FAMILIES
@pytest.mark.parametrize("wrong", [-1, VOCABULARY, VOCABULARY + 90])
def test_a_token_outside_the_vocabulary_is_refused_and_traced_becomes_nan(
    policy, wrong
):
    bad_prompt = batch([1, 2], [3, 4])
    bad_prompt[0].tokens[0, 2] = wrong
    bad_response = batch([1, 2], [3, 4, 1])
    bad_response[1].tokens[0, 0, 1] = wrong
    words = f"is {wrong}, which is no token of the policy's vocabulary, 0 to 4"
    with pytest.raises(ValueError, match=rf"prompts.tokens\[0, 2\] {words}"):
        log_probs(policy, *bad_prompt)
    with pytest.raises(ValueError, match=rf"prompts.tokens\[0, 2\] {words}"):
        sample(policy, bad_prompt[0])
    with pytest.raises(ValueError, match=rf"responses.tokens\[0, 0, 1\] {words}"):
        log_probs(policy, *bad_response)
    traced = jax.jit(lambda *args: log_probs(policy, *args))
    assert np.isnan(traced(*bad_prompt)[0, 0, :2]).all()
    found = np.asarray(traced(*bad_response))[0, 0]
    assert found[0] < 0 and np.isnan(found[1:3]).all()
    drawn = jax.jit(lambda p: sample(policy, p))(bad_prompt[0])[1]["policy"]
    assert np.isnan(drawn).all()


@FAMILIES
def test_padding_is_of_any_token_and_takes_no_room(policy):
    prompts, responses = batch([1, 2], [3, 4, 1])
    expected = log_probs(policy, prompts, responses)
    prompts.tokens[~prompts.mask] = 99
    responses.tokens[~responses.mask] = -7
    np.testing.assert_array_equal(log_probs(policy, prompts, responses), expected)


@FAMILIES
def test_a_full_forward_pass_is_nan_where_the_tokens_do_not_fit(policy):
    params = token_game.parameters(policy, 0)
    tokens = jnp.array([[1, 2, 3, 4, 1, 2, 3, 4], [1, 2, 9, 4, 1, 1, 1, 1]])
    logits = jax.jit(policy.apply)(params, tokens, jnp.ones((2, 8), bool))
    bad = np.isnan(logits).any(-1)
    np.testing.assert_array_equal(bad[0], [False] * 6 + [True] * 2)
    assert bad[1, 2:].all()


@pytest.mark.parametrize(
    "argument, value, error",
    [
        ("max_length", 0, ValueError),
        ("max_length", 2.5, TypeError),
        ("max_length", "many", TypeError),
        ("temperature", 0.0, ValueError),
        ("temperature", -1.0, ValueError),
        ("temperature", np.inf, ValueError),
        ("temperature", np.nan, ValueError),
        ("temperature", "1", TypeError),
        ("eos_id", "2", TypeError),
        ("eos_id", [1, None], TypeError),
        ("pad_id", None, TypeError),
    ],
)
def test_what_cannot_be_decoded_with_is_named(argument, value, error):
    good = {"max_length": 2, "eos_id": 0, "pad_id": 0, "temperature": 1.0}
    with pytest.raises(error, match=f"{argument} must be"):
        sampling.Decoding(**good | {argument: value})
