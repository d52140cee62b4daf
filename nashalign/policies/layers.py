"""The layers of a decoder: grouped-query attention and a gated MLP, as `flax.nnx`.

A layer reads what is kept of the tokens before, and returns its keys and values of
these; where they are kept is not its business (`ring.py`).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

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
      scaling: of the rotary frequencies; None where there is none.
      windows: for each layer how many tokens see each other, a token itself counted;
        None of a layer is all of them, None of all is no window anywhere.
    """

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
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
            self.q_norm = norm(head, config.rms_norm_eps, rngs)
            self.k_norm = norm(head, config.rms_norm_eps, rngs)

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
        scores = jnp.concatenate(scores, -1) / np.sqrt(head).astype(scores[0].dtype)
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
        self.input_layernorm = norm(width, config.rms_norm_eps, rngs)
        self.self_attn = Attention(config, options, rngs)
        self.post_attention_layernorm = norm(width, config.rms_norm_eps, rngs)
        self.gate_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.up_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.down_proj = linear(inner, width, rngs, bias=options.mlp_bias)

    def __call__(self, x, rotation, visible, kept):
        """Returns the next residual stream and the layer's keys and values."""
        attended, own = self.self_attn(self.input_layernorm(x), rotation, visible, kept)
        x = x + attended
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(nnx.silu(self.gate_proj(h)) * self.up_proj(h)), own


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
    """A projection, initialised as in Llama; its bias, if it has one, is zero."""
    init = nnx.initializers.normal(0.02)
    return nnx.Linear(inputs, outputs, use_bias=bias, kernel_init=init, rngs=rngs)


def norm(width, epsilon, rngs):
    """Root-mean-square norm over so many columns."""
    return nnx.RMSNorm(width, epsilon=epsilon, rngs=rngs)
