"""Products with kernels, and in what order their gradients are summed."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies
from nashalign.policies.products import project
from nashalign.types import Responses
from tests import token_game

PROMPTS = token_game.prompts()
TOKENS = np.array([[1, 2, 1, 0], [2, 2, 1, 1]], np.int32)
RESPONSES = Responses(
    tokens=np.stack([TOKENS, TOKENS[::-1]], 1),
    mask=np.ones((2, 2, 4), bool),
    truncated=np.zeros((2, 2), bool),
)
DECODER = token_game.shape()
ENCODER_DECODER = policies.T5Config(
    vocab_size=token_game.VOCABULARY,
    d_model=16,
    d_kv=6,
    d_ff=24,
    num_layers=1,
    num_decoder_layers=1,
    num_heads=2,
    n_positions=48,
)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (0, 3, 5)])
def test_a_product_is_that_of_every_row(shape):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=shape), rng.normal(size=(5, 4))
    found = project(jnp.asarray(x), jnp.asarray(kernel))
    assert found.shape == (*shape[:-1], 4)
    np.testing.assert_allclose(found, x @ kernel, rtol=1e-5, atol=1e-5)


def test_a_product_is_in_the_type_that_is_asked_for():
    x, kernel = jnp.ones((2, 3, 512), jnp.bfloat16), jnp.ones((512, 1), jnp.bfloat16)
    assert project(x, kernel).dtype == jnp.bfloat16
    found = project(x * 1.0078125, kernel, jnp.dtype("float32"))
    np.testing.assert_array_equal(found, np.full((2, 3, 1), 516, np.float32))


# Axes that a product without a batch is summed over, as programs are printed.
SUMMED = re.compile(
    r"dimension_numbers=\(\(\[(\d+(?:, ?\d+)*)\], ?\[[^\]]*\]\), ?\(\[\], ?\[\]\)\)"
)


@pytest.mark.parametrize("lora", [None, policies.Lora(rank=2)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("config", [DECODER, ENCODER_DECODER])
def test_no_gradient_of_a_kernel_is_summed_over_several_axes(config, tied, lora):
    config = type(config)(**{**vars(config), "tie_word_embeddings": tied})
    policy = policies.family_of(config).build(config, lora)
    params = jax.eval_shape(policy.init, jax.random.key(0))

    def total(params):
        return jnp.sum(policies.log_probs(policy, params, PROMPTS, RESPONSES))

    found = SUMMED.findall(str(jax.make_jaxpr(jax.grad(total))(params)))
    assert len(found) > 20
    assert not [axes for axes in found if "," in axes]
