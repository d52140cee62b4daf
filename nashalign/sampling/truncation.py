"""How sharply a policy's distribution is drawn from: temperature, top-p, greedy."""

import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.types import Array, Numeric


def sharpen(
    logits: Array, *, temperature: Numeric = 1.0, top_p: Numeric = 1.0
) -> jax.Array:
    """Returns logits of what is drawn from, minus infinity for what is never drawn.

    The distribution at the temperature is cut to the fewest tokens, the most probable
    first, that together have at least probability `top_p` (Holtzman et al. 2020,
    arXiv:1904.09751).

    Args:
      logits: `[..., V]`.
      temperature: >= 0; at 0 the most probable token alone is left.
      top_p: in (0, 1]; 1 cuts nothing.

    Raises:
      ValueError: a number is out of its range.
    """
    checks.number(temperature, "temperature", least=0)
    checks.number(top_p, "top_p", above=0, most=1)
    best = jax.nn.one_hot(jnp.argmax(logits, -1), logits.shape[-1], dtype=bool)
    cold = jnp.asarray(temperature) == 0
    scaled = jax.nn.log_softmax(logits / jnp.where(cold, 1.0, temperature))
    order = jnp.argsort(-scaled, -1)
    sorted_ = jnp.take_along_axis(scaled, order, -1)
    # A token stays if those before it do not reach top_p yet; the first always stays.
    before = jnp.cumsum(jnp.exp(sorted_), -1) - jnp.exp(sorted_)
    inside = (before < top_p) | (before == 0)
    place = jnp.argsort(order, -1)
    kept = jnp.take_along_axis(inside, place, -1) & (~cold | best)
    return jnp.where(kept, scaled, -jnp.inf)
