"""Every response of a token game, once, with probabilities that add up to one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies, sampling
from tests import token_game


@pytest.mark.parametrize(
    "vocabulary, length, eos", [(2, 1, 0), (3, 2, 0), (3, 3, 2), (4, 2, 1)]
)
def test_enumeration_holds_every_string_once(vocabulary, length, eos):
    table = sampling.enumerate_responses(vocabulary, length, eos)
    strings = token_game.strings(table)
    expected = {
        string[: string.index(eos) + 1] if eos in string else string
        for string in itertools.product(range(vocabulary), repeat=length)
    }
    assert len(strings) == len(expected) and set(strings) == expected
    assert table.truncated[0].tolist() == [eos not in string for string in strings]
    assert (table.tokens[~table.mask] == eos).all()


def test_strings_end_with_any_of_several_end_tokens():
    table = sampling.enumerate_responses(3, 2, (2, 0))
    strings = [(2,), (0,), (1, 2), (1, 0), (1, 1)]
    assert token_game.strings(table) == strings
    assert table.truncated[0].tolist() == [False] * 4 + [True]
    assert (table.tokens[~table.mask] == 2).all()


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_exact_probabilities_are_those_of_strings_and_add_up_to_one(mix):
    with jax.enable_x64(True):
        params = {
            "policy": token_game.parameters(token_game.POLICY, 1),
            "reference": token_game.parameters(token_game.POLICY, 0),
        }
        prompts = token_game.THREE_PROMPTS
        policy, reference = (np.asarray(exp_log_policy(p)) for p in params.values())
        exact = np.exp(exact_log_probs(params, mix, prompts))
    np.testing.assert_allclose(exact.sum(-1), 1, atol=1e-12)
    mixture = token_game.tree().mixture(policy, reference, mix)
    np.testing.assert_allclose(exact, mixture, atol=1e-12)


@token_game.compiled
def exp_log_policy(params):
    return jnp.exp(
        token_game.log_policy(token_game.POLICY, params, token_game.THREE_PROMPTS)
    )


@token_game.compiled
def exact_log_probs(params, mix, prompts):
    """Log-probabilities of the table's responses under the token-level mixture."""
    table = jax.tree.map(lambda x: jnp.repeat(x, 3, 0), token_game.TABLE)

    def behaviour(logits):
        return policies.mixture_logits(*logits.values(), mix=mix)

    return sampling.exact_log_probs(
        token_game.POLICY, params, behaviour, prompts, table
    )
