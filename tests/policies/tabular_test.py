"""The table of logits is a policy like any other, and its answers are known by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from nashalign import policies, sampling
from nashalign.types import Prompts
from tests import token_game

VOCABULARY, CONTEXT = token_game.VOCABULARY, 5
POLICY = policies.tabular(VOCABULARY, CONTEXT)
HISTORIES = [
    history
    for length in range(CONTEXT + 1)
    for history in itertools.product(range(VOCABULARY), repeat=length)
]
ROWS = {history: row for row, history in enumerate(HISTORIES)}
PROMPTS = token_game.THREE_PROMPTS
RESPONSES = jax.tree.map(lambda x: jnp.repeat(x, 3, 0), token_game.TABLE)
HIDDEN = token_game.compiled(POLICY.hidden)
APPLY = token_game.compiled(POLICY.apply)


def params():
    """A table far from uniform, in the precision that is on."""
    return token_game.parameters(POLICY, 3, scale=1.0)


def numbered():
    """A table in which the state of each history is the number of its row."""
    rows = jnp.arange(len(HISTORIES), dtype=jnp.float32)
    return {"logits": jnp.repeat(rows[:, None], VOCABULARY, 1)}


def alone(logits):
    return logits["policy"]


def texts():
    """Sequences `[6, 5]` of one to five real tokens, with masked ones in between."""
    generator = np.random.default_rng(2)
    tokens = generator.integers(0, VOCABULARY, (6, 5)).astype(np.int32)
    mask = generator.random((6, 5)) < 0.7
    mask[:, 0] |= ~mask.any(-1)
    return tokens, mask


def own_tokens(tokens, mask):
    """The real tokens of each row, as tuples."""
    rows = zip(np.asarray(tokens), np.asarray(mask), strict=True)
    return [tuple(row[own].tolist()) for row, own in rows]


def log_probs_by_hand(params):
    """Log-probabilities `[3, Y, T]` by a look-up for each token, zero after the end."""
    table = np.asarray(params["logits"], np.float64)
    found = np.zeros(RESPONSES.tokens.shape)
    for b, prompt in enumerate(own_tokens(PROMPTS.tokens, PROMPTS.mask)):
        for n, string in enumerate(token_game.strings()):
            for t, token in enumerate(string):
                logits = table[ROWS[prompt + string[:t]]]
                found[b, n, t] = scipy.special.log_softmax(logits)[token]
    return found


# One row for each history.


def test_every_history_has_a_row_of_its_own_and_no_row_is_left():
    width = CONTEXT + 1
    tokens = [(*history, *(1,) * (width - len(history))) for history in HISTORIES]
    lengths = np.array([len(history) for history in HISTORIES])
    mask = np.arange(width) < lengths[:, None]
    states, _ = HIDDEN(numbered(), np.array(tokens, np.int32), mask, None)
    np.testing.assert_array_equal(states[:, -1, 0], np.arange(len(HISTORIES)))
    shapes = jax.eval_shape(POLICY.init, jax.random.key(0))
    assert shapes["logits"].shape == (len(HISTORIES), VOCABULARY)


def test_the_state_after_each_token_is_the_row_of_what_has_been_read():
    tokens, mask = texts()
    states, _ = HIDDEN(numbered(), tokens, mask, None)
    for t in range(tokens.shape[1]):
        read = own_tokens(tokens[:, : t + 1], mask[:, : t + 1])
        np.testing.assert_array_equal(states[:, t, 0], [ROWS[h] for h in read])


@pytest.mark.parametrize("left, right", [(2, 0), (0, 3), (1, 1)])
def test_padding_on_either_side_changes_nothing(left, right):
    tokens, mask = texts()
    around = ((0, 0), (left, right))
    padded = APPLY(
        params(),
        np.pad(tokens, around, constant_values=2),
        np.pad(mask, around, constant_values=False),
    )
    expected = APPLY(params(), tokens, mask)
    np.testing.assert_array_equal(padded[:, left : left + 5], expected)


@pytest.mark.parametrize(
    "tokens", [[[0] * (CONTEXT + 1)], [[1, VOCABULARY]], [[0, -1]]]
)
def test_a_history_without_a_row_is_not_a_number(tokens):
    tokens = np.array(tokens, np.int32)
    with jax.debug_nans(False):
        states, _ = HIDDEN(params(), tokens, np.ones(tokens.shape, bool), None)
    states = np.asarray(states)
    assert np.isfinite(states[0, :-1]).all() and np.isnan(states[0, -1]).all()


def test_a_history_whose_number_would_overflow_has_no_row():
    # The number of the history of two tokens would be 2^32 + 1, which is 1.
    policy = policies.tabular(2**16, 1)
    tokens, mask = np.array([[2**16 - 1, 0, 3]], np.int32), np.ones((1, 3), bool)
    table = {"logits": jnp.zeros((2**16 + 1, 2))}
    with jax.debug_nans(False):
        states = np.asarray(policy.hidden(table, tokens, mask, None)[0])
    np.testing.assert_array_equal(np.isnan(states[0, :, 0]), [False, True, True])


def test_a_table_of_more_than_a_million_histories_is_refused():
    policies.tabular(999_999, 1)
    for vocabulary, context in [(1_000_000, 1), (3, 13), (50_000, 2048)]:
        with pytest.raises(ValueError, match="smaller context or vocabulary"):
            policies.tabular(vocabulary, context)


# The same as any policy.


@pytest.mark.parametrize("steps", [(1,) * 5, (2, 1, 2), (5,)])
def test_decoding_in_steps_equals_one_forward_pass(steps):
    tokens, mask = texts()
    nothing = Prompts(tokens=tokens[:, :1], mask=mask[:, :1], ids=np.arange(6))
    cache, parts = POLICY.prefill(params(), nothing, room=5)[0], []
    for begin, width in zip(np.cumsum((0, *steps))[:-1], steps, strict=True):
        columns = slice(begin, begin + width)
        part, cache = POLICY.decode(
            params(), tokens[:, columns], mask[:, columns], cache
        )
        parts.append(part)
    expected = APPLY(params(), tokens, mask)
    np.testing.assert_array_equal(np.concatenate(parts, 1), expected)


@pytest.mark.parametrize("x64, atol", [(False, 1e-5), (True, 1e-12)])
def test_log_probs_are_those_of_a_softmax_by_hand_and_add_up_to_one(x64, atol):
    with jax.enable_x64(x64):
        table = params()
        per_token = token_game.compiled(functools.partial(policies.log_probs, POLICY))(
            table, PROMPTS, RESPONSES
        )
        whole = token_game.compiled(
            lambda table: sampling.exact_log_probs(
                POLICY, {"policy": table}, alone, PROMPTS, RESPONSES
            )
        )(table)
    assert per_token.dtype == whole.dtype == (np.float64 if x64 else np.float32)
    expected = log_probs_by_hand(table)
    np.testing.assert_allclose(per_token, expected, atol=atol)
    np.testing.assert_allclose(whole, expected.sum(-1), atol=atol)
    np.testing.assert_allclose(np.exp(np.asarray(whole)).sum(-1), 1, atol=10 * atol)


@pytest.mark.parametrize("x64", [False, True])
def test_sampling_draws_from_the_softmax(x64):
    number = 3000
    prompts = Prompts(
        tokens=jnp.repeat(PROMPTS.tokens[1:2], number, 0),
        mask=jnp.repeat(PROMPTS.mask[1:2], number, 0),
        ids=jnp.arange(number),
    )

    @token_game.compiled
    def draw(table):
        return sampling.sample(
            POLICY,
            {"policy": table},
            alone,
            jax.random.key(5),
            prompts,
            num_responses=2,
            decoding=token_game.DECODING,
        )

    with jax.enable_x64(x64):
        table = params()
        responses, log_probs = draw(table)
    index = {string: n for n, string in enumerate(token_game.strings())}
    flat = (responses.tokens.reshape(-1, 2), responses.mask.reshape(-1, 2))
    drawn = np.array([index[string] for string in own_tokens(*flat)])
    chances = log_probs_by_hand(table)[1].sum(-1)
    counts = np.bincount(drawn, minlength=len(index))
    expected = np.exp(chances) * len(drawn)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3
    found = np.asarray(log_probs["policy"]).sum(-1).ravel()
    np.testing.assert_allclose(found, chances[drawn], atol=1e-5)


def test_a_fresh_table_is_uniform():
    table = POLICY.init(jax.random.key(1))
    found = policies.log_probs(POLICY, table, PROMPTS, RESPONSES)
    expected = np.where(RESPONSES.mask, -np.log(VOCABULARY), 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_gradient_touches_exactly_the_rows_that_were_read():
    n = token_game.strings().index((2, 0))
    one = jax.tree.map(lambda x: x[1:2], PROMPTS)
    response = jax.tree.map(lambda x: x[1:2, n : n + 1], RESPONSES)

    @token_game.compiled
    @jax.grad
    def gradient(table):
        return policies.log_probs(POLICY, table, one, response).sum()

    table = params()
    found = np.asarray(gradient(table)["logits"])
    [prompt] = own_tokens(one.tokens, one.mask)
    expected = np.zeros_like(found)
    for history, token in [(prompt, 2), ((*prompt, 2), 0)]:
        row = ROWS[history]
        expected[row] = np.eye(VOCABULARY)[token]
        expected[row] -= scipy.special.softmax(table["logits"][row])
    np.testing.assert_array_equal(found.any(-1), expected.any(-1))
    np.testing.assert_allclose(found, expected, atol=1e-6)
