"""Norms of a decoder, and where they stand in a layer.

A norm is made by a function of its width, of what is added to the variance, and of
keys; that function is an option of a family.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

MakeNorm = Callable[[int, float, nnx.Rngs], Any]


class OffsetRms(nnx.Module):
    """Root-mean-square norm over the last axis, whose stored scale is less by one."""

    def __init__(self, width: int, epsilon: float):
        """Makes the scale, which is one with its offset."""
        self.epsilon = epsilon
        self.scale = nnx.Param(jnp.zeros(width))

    def __call__(self, x):
        """Returns `x` normalised and scaled, computed in at least float32."""
        own = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        size = jnp.mean(jnp.square(own), -1, keepdims=True)
        scale = 1.0 + self.scale[...].astype(own.dtype)
        scale = jnp.expand_dims(scale, range(x.ndim - 1))
        return (own * jax.lax.rsqrt(size + self.epsilon) * scale).astype(x.dtype)


def rms(width: int, epsilon: float, rngs: nnx.Rngs) -> nnx.RMSNorm:
    """Returns a root-mean-square norm (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    return nnx.RMSNorm(width, epsilon=epsilon, rngs=rngs)


def offset_rms(width: int, epsilon: float, rngs: nnx.Rngs) -> OffsetRms:
    """Returns the same with a stored scale of zero for none, as in Gemma."""
    del rngs
    return OffsetRms(width, epsilon)


def layer_norm(width: int, epsilon: float, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Returns a norm of mean and variance (Ba et al. 2016, arXiv:1607.06450)."""
    return nnx.LayerNorm(width, epsilon=epsilon, use_fast_variance=False, rngs=rngs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a layer has norms, each by its name, or None where there is none.

    Attributes:
      before_attention: of what attention reads.
      after_attention: of what it adds to the residual stream.
      before_mlp: of what the MLP reads.
      after_mlp: of what it adds.
      parallel: whether the MLP reads what attention reads, and not what that added to.
    """

    before_attention: str | None
    after_attention: str | None
    before_mlp: str | None
    after_mlp: str | None
    parallel: bool = False

    @property
    def names(self) -> list[str]:
        """Names of the norms that there are."""
        names = (
            self.before_attention,
            self.after_attention,
            self.before_mlp,
            self.after_mlp,
        )
        return [name for name in names if name is not None]


BEFORE = Placement(
    before_attention="input_layernorm",
    after_attention=None,
    before_mlp="post_attention_layernorm",
    after_mlp=None,
)
"""Before each of the two, as in Llama."""
PARALLEL = dataclasses.replace(BEFORE, parallel=True)
"""Before each, with both side by side (GPT-J, GPT-NeoX)."""
AFTER = Placement(
    before_attention=None,
    after_attention="post_attention_layernorm",
    before_mlp=None,
    after_mlp="post_feedforward_layernorm",
)
"""After each alone, as in OLMo 2."""
AROUND = Placement(
    before_attention="input_layernorm",
    after_attention="post_attention_layernorm",
    before_mlp="pre_feedforward_layernorm",
    after_mlp="post_feedforward_layernorm",
)
"""Before and after each, as in Gemma 2."""


def each_head(heads: int, head: int) -> int:
    """Returns the width of norms that every head has to itself."""
    del heads
    return head


def all_heads(heads: int, head: int) -> int:
    """Returns the width of one norm over all heads together."""
    return heads * head
