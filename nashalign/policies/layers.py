"""The layers of a decoder: grouped-query attention and a gated MLP, as `flax.nnx`.

A layer reads what is kept of the tokens before, and returns its keys and values of
these; where they are kept is not its business (`ring.py`).
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nashalign.policies.lora import Linear
from nashalign.policies.rotary import Scaling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of a decoder, in Hugging Face's names.

    Attributes:
      vocab_size: `V`.
      hidden_size: `D`.
      intermediate_size: width of the gated MLP.
      num_hidden_layers: depth.
      num_attention_heads: query heads.
      num_key_value_heads: key and value heads, a divisor of the query heads.
      head_dim: width of a head, even.
      rope_theta: base of the rotary frequencies.
      rms_norm_eps: added to the mean square.
      max_position_embeddings: context length, tokens.
      tie_word_embeddings: whether the output matrix is the embedding.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What families of this body differ in, beside the shape.

    Attributes:
      qkv_bias: whether the projections to queries, keys and values have biases.
      output_bias: whether attention's output projection has one.
      mlp_bias: whether the MLP's projections have.
      qk_norm: whether each head's queries and keys are normalised before they turn.
      post_norms: whether attention's and the MLP's outputs are normalised too.
      norm_offset: what is added to a norm's stored scale, 0 or 1.
      activation: of the gate.
      query_width: what scores are divided by the root of; None is a head's width.
      attention_cap: what scores are kept below by a tanh; None, by nothing.
      logit_cap: the same of logits.
      scaled_embedding: whether embeddings are multiplied by the root of the width.
      scaling: of the rotary frequencies; None where there is none.
      windows: for each layer how many tokens see each other, a token itself counted;
        None of a layer is all of them, None of all is no window anywhere.
    """

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    norm_offset: float = 0.0
    activation: Callable[[jax.Array], jax.Array] = nnx.silu
    query_width: float | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    scaled_embedding: bool = False
    scaling: Scaling | None = None
    windows: tuple[int | None, ...] | None = None


class Attention(nnx.Module):
    """Grouped-query attention over a cache of keys and values."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the projections, and the norms of heads if there are any."""
        width, head = config.hidden_size, config.head_dim
        queries = config.num_attention_heads * head
        keys = config.num_key_value_heads * head
        self.config, self.options = config, options
        self.q_proj = linear(width, queries, rngs, bias=options.qkv_bias)
        self.k_proj = linear(width, keys, rngs, bias=options.qkv_bias)
        self.v_proj = linear(width, keys, rngs, bias=options.qkv_bias)
        self.o_proj = linear(queries, width, rngs, bias=options.output_bias)
        if options.qk_norm:
            self.q_norm = norm(head, config, options, rngs)
            self.k_norm = norm(head, config, options, rngs)

    def __call__(self, x, rotation, visible, kept):
        """Attends to what is kept and to itself.

        Args:
          x: `[B, S, D]`.
          rotation: of the tokens' positions.
          visible: `[B, S, C + S]` bool, which kept tokens and which of these are seen.
          kept: keys `[B, K, H, C]` and values `[B, K, C, H]` of the tokens before.

        Returns:
          `[B, S, D]`, and the layer's keys and values of these tokens, shaped likewise.
        """
        head = self.config.head_dim
        q, k = _heads(self.q_proj(x), head), _heads(self.k_proj(x), head)
        if self.options.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = _rotate(q, rotation), _rotate(k, rotation).transpose(0, 2, 3, 1)
        v = _heads(self.v_proj(x), head).transpose(0, 2, 1, 3)
        # Queries that share keys stand in one matrix, on the left: on a CPU that is a
        # fast product, and any other order is not.
        batch, size, heads = q.shape[:3]
        q = q.reshape(batch, size, k.shape[1], -1, head).transpose(0, 2, 3, 1, 4)
        q = q.reshape(batch, k.shape[1], -1, head)
        kept_k, kept_v = kept
        # Scores and sums are in at least float32, whatever the parameters are in.
        dot = functools.partial(
            jnp.einsum, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32)
        )
        scores = [dot("bkqh,bkhc->bkqc", q, keys) for keys in (kept_k, k)]
        width = self.options.query_width or head
        scores = jnp.concatenate(scores, -1) / np.sqrt(width).astype(scores[0].dtype)
        scores = capped(scores, self.options.attention_cap)
        seen = jnp.tile(visible, (1, heads // k.shape[1], 1))[:, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, _lowest(scores.dtype)), -1)
        weights = jnp.split(weights.astype(v.dtype), [kept_k.shape[-1]], -1)
        mixed = dot("bkqc,bkch->bkqh", weights[0], kept_v)
        mixed = mixed + dot("bkqc,bkch->bkqh", weights[1], v)
        mixed = mixed.reshape(batch, heads, size, head).transpose(0, 2, 1, 3)
        mixed = mixed.reshape(*x.shape[:2], -1).astype(x.dtype)
        return self.o_proj(mixed), (k, v)


class Block(nnx.Module):
    """One decoder layer: attention and a gated MLP, each behind a norm."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the layer's parameters."""
        width, inner = config.hidden_size, config.intermediate_size
        self.options = options
        self.input_layernorm = norm(width, config, options, rngs)
        self.self_attn = Attention(config, options, rngs)
        self.post_attention_layernorm = norm(width, config, options, rngs)
        if options.post_norms:
            self.pre_feedforward_layernorm = norm(width, config, options, rngs)
            self.post_feedforward_layernorm = norm(width, config, options, rngs)
        self.gate_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.up_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.down_proj = linear(inner, width, rngs, bias=options.mlp_bias)

    def __call__(self, x, rotation, visible, kept):
        """Returns the next residual stream and the layer's keys and values."""
        attended, own = self.self_attn(self.input_layernorm(x), rotation, visible, kept)
        if self.options.post_norms:
            x = x + self.post_attention_layernorm(attended)
            mixed = self._mlp(self.pre_feedforward_layernorm(x))
            return x + self.post_feedforward_layernorm(mixed), own
        x = x + attended
        return x + self._mlp(self.post_attention_layernorm(x)), own

    def _mlp(self, h):
        """The gated MLP."""
        gate = self.options.activation(self.gate_proj(h))
        return self.down_proj(gate * self.up_proj(h))


class Norm(nnx.Module):
    """Root-mean-square norm over the last axis, whose stored scale has an offset."""

    def __init__(self, width: int, epsilon: float, offset: float):
        """Makes the scale, which is one with its offset."""
        self.epsilon, self.offset = epsilon, offset
        self.scale = nnx.Param(jnp.full(width, 1.0 - offset))

    def __call__(self, x):
        """Returns `x` normalised and scaled, computed in at least float32."""
        own = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        size = jnp.mean(jnp.square(own), -1, keepdims=True)
        scale = self.offset + self.scale[...].astype(own.dtype)
        scale = jnp.expand_dims(scale, range(x.ndim - 1))
        return (own * jax.lax.rsqrt(size + self.epsilon) * scale).astype(x.dtype)


def capped(x, cap):
    """Numbers kept between `-cap` and `cap`; as they are where it is None."""
    return x if cap is None else cap * jnp.tanh(x / cap)


def _rotate(x, rotation):
    """Rotates the two halves of each head, Hugging Face's layout."""
    cosine, sine = (r.astype(x.dtype) for r in rotation)
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate([a * cosine - b * sine, b * cosine + a * sine], -1)


def _heads(x, head):
    """`[B, S, heads * head]` to `[B, S, heads, head]`."""
    return x.reshape(*x.shape[:2], -1, head)


def _lowest(dtype):
    """A finite score that softmax maps to zero; finite so that no row is all NaN."""
    return jnp.asarray(jnp.finfo(dtype).min / 2, dtype)


def linear(inputs, outputs, rngs, *, bias=False):
    """A projection; its bias, if it has one, is zero."""
    return Linear(inputs, outputs, rngs, bias=bias)


def norm(width, config, options, rngs):
    """Root-mean-square norm over so many columns."""
    epsilon, offset = config.rms_norm_eps, options.norm_offset
    if offset:
        return Norm(width, epsilon, offset)
    return nnx.RMSNorm(width, epsilon=epsilon, rngs=rngs)
