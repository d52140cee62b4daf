"""How much memory log-probabilities take, as the compiled program itself says it."""

import jax
import jax.numpy as jnp
import pytest

from nashalign import policies
from nashalign.types import Responses

VOCABULARY, WIDTH = 128_000, 256
MEBIBYTE = 2**20
# Logits of 128 positions.
CHUNK = 128 * VOCABULARY * 4
POLICY = policies.llama(
    policies.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
    )
)


def temporary(function, length):
    """Bytes that a function of 32 responses needs besides arguments and results."""
    params = jax.eval_shape(POLICY.init, jax.random.key(0))
    shape = (16, 2, length)
    hidden = jax.ShapeDtypeStruct((*shape, WIDTH), jnp.float32)
    responses = Responses(
        tokens=jax.ShapeDtypeStruct(shape, jnp.int32),
        mask=jax.ShapeDtypeStruct(shape, bool),
        truncated=jax.ShapeDtypeStruct(shape[:2], bool),
    )
    program = jax.jit(function).lower(params, hidden, responses).compile()
    return program.memory_analysis().temp_size_in_bytes


def log_probs(params, hidden, responses):
    return jnp.sum(policies.log_probs_of(POLICY, params, hidden, responses))


def token_kl(params, hidden, responses):
    return jnp.sum(
        policies.token_kl(POLICY, (params, params), (hidden, 2 * hidden), responses)
    )


@pytest.mark.parametrize(
    "function, most",
    [
        (log_probs, 110 * MEBIBYTE),
        # Besides the logits, the output matrix's gradient, twice.
        (jax.grad(log_probs, argnums=(0, 1)), 420 * MEBIBYTE),
        # Logits and probabilities of two policies.
        (token_kl, 4.5 * CHUNK),
        (jax.grad(token_kl, argnums=1), 7 * CHUNK),
    ],
    ids=["log_probs", "its gradient", "token_kl", "gradient of token_kl"],
)
def test_memory_is_that_of_a_chunk_of_logits_however_long_responses_are(function, most):
    short, long = (temporary(function, length) for length in (64, 128))
    assert short < most
    assert long < 1.1 * short
    # All logits at once are four times a chunk's for the short ones.
    assert most < 2 * 4 * CHUNK


def test_a_small_vocabulary_is_read_in_few_chunks():
    lengths = []

    def function(params, hidden):
        del params
        lengths.append(hidden.shape[2])
        return hidden[..., 0]

    small = policies.tabular(4, 3)
    policies.scoring._in_chunks(small, function, None, jnp.zeros((2, 2, 50, 4)))
    assert lengths == [50]
