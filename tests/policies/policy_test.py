"""Tests of what every policy promises, on a tiny Llama with wide weights."""

import dataclasses
import functools
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies
from nashalign.policies import scoring
from nashalign.types import Prompts, Responses

# Weights drawn with the initialiser's 0.02 give logits too flat to tell faults by.
FOLDER = pathlib.Path(__file__).parent / "golden" / "grouped"
PROMPT_LENGTHS, PROMPT_WIDTH = (4, 1, 3), 5
RESPONSE_LENGTHS = ((6, 2), (1, 6), (3, 0))
RESPONSE_WIDTH = 6


@pytest.fixture(scope="module")
def start():
    return policies.load_pretrained(FOLDER)


@pytest.fixture(scope="module")
def batch(start):
    """Three prompts with two responses each, of unequal lengths; one is empty."""
    generator = np.random.default_rng(1)
    vocabulary = start.config.vocab_size
    prompt_mask = np.arange(PROMPT_WIDTH)[::-1] < np.array(PROMPT_LENGTHS)[:, None]
    lengths = np.array(RESPONSE_LENGTHS)
    mask = np.arange(RESPONSE_WIDTH) < lengths[..., None]
    prompts = Prompts(
        tokens=generator.integers(0, vocabulary, prompt_mask.shape).astype(np.int32),
        mask=prompt_mask,
        ids=np.arange(3),
    )
    responses = Responses(
        tokens=generator.integers(0, vocabulary, mask.shape).astype(np.int32),
        mask=mask,
        truncated=np.zeros(lengths.shape, bool),
    )
    return prompts, responses


@pytest.fixture(scope="module")
def log_probs(start):
    """`policies.log_probs` of the model, compiled once for each shape."""
    return jax.jit(lambda *args: policies.log_probs(start.policy, start.params, *args))


@pytest.fixture(scope="module")
def apply(start):
    """The whole forward pass, compiled once for each shape."""
    return jax.jit(start.policy.apply)


@pytest.fixture(scope="module")
def decode(start):
    """A decoding step, compiled once for each shape."""
    return jax.jit(start.policy.decode)


def whole_sequences(prompts, tokens, mask):
    """Prompt and continuation in one row, `[B * N, P + S]`."""
    num_responses = tokens.shape[1]
    return tuple(
        jnp.concatenate(
            [
                jnp.repeat(left, num_responses, 0),
                right.reshape(-1, right.shape[-1]),
            ],
            -1,
        )
        for left, right in ((prompts.tokens, tokens), (prompts.mask, mask))
    )


def gathered_log_probs(policy, params, prompts, responses):
    """The log-probabilities from one forward pass over whole sequences."""
    tokens, mask = whole_sequences(prompts, responses.tokens, responses.mask)
    log_policy = jax.nn.log_softmax(policy.apply(params, tokens, mask), -1)
    own = jnp.take_along_axis(log_policy[:, :-1], tokens[:, 1:, None], -1)[..., 0]
    own = own[:, prompts.tokens.shape[1] - 1 :].reshape(responses.tokens.shape)
    return jnp.where(responses.mask, own, 0.0)


def repadded_prompts(prompts, extra, token):
    """The same prompts behind `extra` more columns of padding."""
    rows = prompts.tokens.shape[0]
    padding = np.full((rows, extra), token, np.int32)
    kept = np.where(prompts.mask, prompts.tokens, token)
    return Prompts(
        tokens=np.concatenate([padding, kept], 1),
        mask=np.concatenate([np.zeros((rows, extra), bool), prompts.mask], 1),
        ids=prompts.ids,
    )


def repadded_responses(responses, extra, token):
    """The same responses before `extra` more columns of padding."""
    padding = np.full((*responses.tokens.shape[:2], extra), token, np.int32)
    kept = np.where(responses.mask, responses.tokens, token)
    mask = np.concatenate([responses.mask, np.zeros_like(padding, bool)], -1)
    tokens = np.concatenate([kept, padding], -1)
    return dataclasses.replace(responses, tokens=tokens, mask=mask)


def unread(policy, params, batch, room):
    """A cache that has read nothing: the one token of each prompt is the first one."""
    prompts = Prompts(
        tokens=np.zeros((batch, 1), np.int32),
        mask=np.ones((batch, 1), bool),
        ids=np.arange(batch),
    )
    return policy.prefill(params, prompts, room=room)[0]


# Log-probabilities.


def test_token_kl_is_that_of_two_full_forward_passes(start, batch):
    prompts, responses = batch
    noise = np.random.default_rng(6)
    other = jax.tree.map(
        lambda x: x * (1 + 0.3 * noise.normal(size=x.shape)).astype(np.float32),
        start.params,
    )

    @jax.jit
    def divergence(params, other):
        hidden = [
            policies.read(start.policy, p, prompts, responses) for p in (params, other)
        ]
        return policies.token_kl(
            start.policy, (params, other), tuple(hidden), responses
        )

    tokens, mask = whole_sequences(prompts, responses.tokens, responses.mask)
    log_p, log_q = (
        jax.nn.log_softmax(start.policy.apply(p, tokens, mask), -1)[
            :, prompts.tokens.shape[1] - 1 : -1
        ]
        for p in (start.params, other)
    )
    expected = jnp.sum(jnp.exp(log_p) * (log_p - log_q), -1)
    expected = jnp.where(responses.mask, expected.reshape(responses.mask.shape), 0.0)
    found = divergence(start.params, other)
    assert expected.max() > 0.05
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(divergence(other, other), 0.0, atol=1e-6)


def test_log_collision_is_that_of_a_full_forward_pass(start, batch):
    prompts, responses = batch

    @jax.jit
    def collision(params):
        hidden = policies.read(start.policy, params, prompts, responses)
        return policies.log_collision(start.policy, params, hidden, responses)

    tokens, mask = whole_sequences(prompts, responses.tokens, responses.mask)
    logits = start.policy.apply(start.params, tokens, mask)
    mass = jax.nn.softmax(logits[:, prompts.tokens.shape[1] - 1 : -1], -1)
    agree = jnp.log(jnp.sum(mass**2, -1)).reshape(responses.mask.shape)
    expected = jnp.where(responses.mask, agree, 0.0)
    assert expected.min() < -1
    np.testing.assert_allclose(collision(start.params), expected, atol=2e-5)


def test_log_probs_and_gradient_equal_those_of_a_full_forward_pass(start, batch):
    weights = np.random.default_rng(5).normal(size=batch[1].mask.shape)

    def total(log_probs, params):
        values = log_probs(start.policy, params, *batch)
        return jnp.sum(weights.astype(np.float32) * values), values

    ours, expected = (
        jax.jit(jax.grad(functools.partial(total, f), has_aux=True))(start.params)
        for f in (policies.log_probs, gathered_log_probs)
    )
    assert expected[1].min() < -3.0
    np.testing.assert_allclose(ours[1], expected[1], atol=2e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        ours[0],
        expected[0],
    )


def test_log_probs_are_zero_exactly_where_masked(log_probs, batch):
    np.testing.assert_array_equal(log_probs(*batch) == 0.0, ~batch[1].mask)


@pytest.mark.parametrize("token", [0, 7])
def test_log_probs_do_not_depend_on_the_padding(log_probs, batch, token):
    prompts, responses = batch
    expected = log_probs(prompts, responses)
    wider = log_probs(
        repadded_prompts(prompts, 3, token), repadded_responses(responses, 2, token)
    )
    np.testing.assert_allclose(wider[..., :RESPONSE_WIDTH], expected, atol=2e-5)
    np.testing.assert_array_equal(wider[..., RESPONSE_WIDTH:], 0.0)


@pytest.mark.parametrize("positions", [1, 15, 28, 66])
def test_log_probs_in_chunks_are_those_of_all_logits_at_once(
    start, batch, monkeypatch, positions
):
    """Of 3 x 2 responses of 6 tokens: 1, 2, 4 and all of the tokens at a time."""

    def total(policy, params):
        found = policies.log_probs(policy, params, *batch)
        return jnp.sum(found**2), found

    def found():
        function = functools.partial(total, start.policy)
        return jax.jit(jax.value_and_grad(function, has_aux=True))(start.params)

    (_, whole), expected = found()
    monkeypatch.setattr(scoring, "_LOGITS", 1)
    monkeypatch.setattr(scoring, "_POSITIONS", positions)
    (_, chunked), slopes = found()
    np.testing.assert_allclose(chunked, whole, atol=1e-5)
    chex.assert_trees_all_close(slopes, expected, atol=1e-4)


# The forward pass.


@pytest.mark.parametrize("left, right", [(5, 0), (0, 5), (2, 3)])
def test_logits_do_not_depend_on_the_padding(start, apply, left, right):
    tokens = np.random.default_rng(3).integers(0, 23, (2, 6)).astype(np.int32)
    mask = np.ones(tokens.shape, bool)
    around = ((0, 0), (left, right))
    padded = apply(
        start.params,
        np.pad(tokens, around, constant_values=5),
        np.pad(mask, around, constant_values=False),
    )
    expected = apply(start.params, tokens, mask)
    np.testing.assert_allclose(padded[:, left : left + 6], expected, atol=2e-5)


def test_logits_have_zero_gradient_at_later_tokens(start):
    tokens = jnp.arange(7, dtype=jnp.int32)[None]
    mask = jnp.ones(tokens.shape, bool)

    def total(params, position):
        logits = start.policy.apply(params, tokens, mask)
        return jnp.sum(jnp.sin(logits[0, position]))

    gradients = jax.jit(jax.grad(total))
    for position in (0, 2, 5):
        gradient = gradients(start.params, position)["embed_tokens"]["embedding"]
        read = np.any(np.asarray(gradient[:7]) != 0.0, axis=-1)
        np.testing.assert_array_equal(read, np.arange(7) <= position)


@pytest.mark.parametrize("steps", [(1,) * 7, (3, 1, 3)])
def test_decoding_in_steps_equals_one_forward_pass(start, apply, decode, steps):
    policy, params = start.policy, start.params
    tokens = np.random.default_rng(4).integers(0, 23, (3, 7)).astype(np.int32)
    mask = np.arange(7) >= np.array([0, 3, 6])[:, None]
    expected = apply(params, tokens, mask)
    cache, parts = unread(policy, params, 3, 9), []
    for begin, width in zip(np.cumsum((0, *steps))[:-1], steps, strict=True):
        columns = slice(begin, begin + width)
        part, cache = decode(params, tokens[:, columns], mask[:, columns], cache)
        parts.append(part)
    logits = np.concatenate(parts, 1)
    np.testing.assert_allclose(logits[mask], expected[mask], atol=2e-5)


def test_a_cache_is_a_value_that_decoding_does_not_change(start, decode):
    policy, params = start.policy, start.params
    token, mask = np.full((3, 1), 3, np.int32), np.ones((3, 1), bool)
    _, cache = decode(params, token, mask, unread(policy, params, 3, 9))
    first, _ = decode(params, token + 1, mask, cache)
    decode(params, token + 9, mask, cache)
    again, _ = decode(params, token + 1, mask, cache)
    np.testing.assert_array_equal(first, again)


# Continuations.


@pytest.fixture
def watched(start):
    """A policy, and the shapes of what it is given to read."""
    shapes = []

    def hidden(params, tokens, mask, cache):
        shapes.append(tokens.shape)
        return start.policy.hidden(params, tokens, mask, cache)

    def prefill(params, prompts, *, room):
        shapes.append(prompts.tokens.shape)
        return start.policy.prefill(params, prompts, room=room)

    return dataclasses.replace(start.policy, hidden=hidden, prefill=prefill), shapes


def test_extend_equals_separate_forward_passes_and_reads_each_prompt_once(
    start, batch, watched
):
    prompts, responses = batch
    policy, shapes = watched
    ours = jax.jit(lambda *args: policies.extend(policy, start.params, *args))(
        prompts, responses.tokens, responses.mask
    )
    assert shapes == [(3, PROMPT_WIDTH), (6, 1 + RESPONSE_WIDTH)]
    tokens, mask = whole_sequences(prompts, responses.tokens, responses.mask)
    expected, _ = jax.jit(start.policy.hidden)(start.params, tokens, mask, None)
    expected = expected[:, PROMPT_WIDTH:].reshape(*responses.tokens.shape, -1)
    np.testing.assert_allclose(
        ours[responses.mask], expected[responses.mask], atol=2e-5
    )


def test_pairs_read_each_continuation_once_whatever_follows_it(start, batch, watched):
    prompts, responses = batch
    policy, shapes = watched
    pairs = ((0, 1), (0, 0), (1, 0), (1, 1))
    jax.eval_shape(
        lambda *args: policies.extend_pairs(policy, start.params, *args, pairs),
        *(prompts, responses.tokens, responses.mask),
    )
    assert shapes == [
        (3, PROMPT_WIDTH),
        (6, 1 + RESPONSE_WIDTH),
        (12, RESPONSE_WIDTH),
    ]


def test_prefill_puts_the_responses_of_a_prompt_side_by_side(
    start, apply, decode, batch
):
    prompts, _ = batch
    cache, first = jax.jit(
        lambda params: policies.prefill(
            start.policy, params, prompts, num_responses=2, room=2
        )
    )(start.params)
    np.testing.assert_array_equal(first, np.repeat(prompts.tokens[:, -1], 2, 0))
    logits, _ = decode(start.params, first[:, None], np.ones((6, 1), bool), cache)
    expected = apply(start.params, prompts.tokens, prompts.mask)[:, -1]
    np.testing.assert_allclose(logits[:, 0], np.repeat(expected, 2, 0), atol=2e-5)
