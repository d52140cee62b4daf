"""Positions count the tokens that are read, wherever masked ones lie between them.

Padding at the ends alone would not show it: rotary positions are relative.
"""

import jax.numpy as jnp
import numpy as np

from tests import token_game


def test_masked_tokens_between_others_take_no_position():
    policy = token_game.transformer(vocabulary=12)
    params = token_game.parameters(policy, 3)
    apply = token_game.compiled(policy.apply)
    tokens = jnp.array([[4, 9, 2, 7, 5, 3, 11]])
    mask = jnp.array([[True, True, False, False, True, False, True]])
    together = apply(params, tokens[mask][None], mask[mask][None])
    np.testing.assert_allclose(
        apply(params, tokens, mask)[mask], together[0], atol=1e-5
    )
