"""The layers of a decoder: grouped-query attention and an MLP, as `flax.nnx`.

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
from nashalign.policies.norms import BEFORE, MakeNorm, Placement, rms
from nashalign.policies.rotary import Rotary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of a decoder, in Hugging Face's names.

    Attributes:
      vocab_size: `V`.
      hidden_size: `D`.
      intermediate_size: width of the MLP.
      num_hidden_layers: depth.
      num_attention_heads: query heads.
      num_key_value_heads: key and value heads, a divisor of the query heads.
      head_dim: width of a head, even.
      rms_norm_eps: added to the variance by norms.
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
      norm: makes the norms.
      placement: where a layer has them.
      qk_norm: of how many columns the norms of queries and keys are, before they turn,
        by the number of heads and their width; None where there are none.
      gated: whether the MLP has a gate.
      activation: of the gate, or of the MLP without one.
      query_width: what scores are divided by the root of; None is a head's width.
      attention_cap: what scores are kept below by a tanh; None, by nothing.
      logit_cap: the same of logits.
      scaled_embedding: whether embeddings are multiplied by the root of the width.
      rotaries: how heads turn, in each layer; one alone is that of all layers. Where
        there is none, positions are embedded instead.
      windows: for each layer how many tokens see each other, a token itself counted;
        None of a layer is all of them, None of all is no window anywhere.
    """

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    norm: MakeNorm = rms
    placement: Placement = BEFORE
    qk_norm: Callable[[int, int], int] | None = None
    gated: bool = True
    activation: Callable[[jax.Array], jax.Array] = nnx.silu
    query_width: float | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    scaled_embedding: bool = False
    rotaries: tuple[Rotary, ...] = (Rotary(),)
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
        if options.qk_norm is not None:
            num = config.num_attention_heads, config.num_key_value_heads
            wide = [options.qk_norm(heads, head) for heads in num]
            self.q_norm = options.norm(wide[0], config.rms_norm_eps, rngs)
            self.k_norm = options.norm(wide[1], config.rms_norm_eps, rngs)

    def __call__(self, x, rotation, visible, kept):
        """Attends to what is kept and to itself.

        Args:
          x: `[B, S, D]`.
          rotation: of the tokens' positions; None where heads do not turn.
          visible: `[B, S, C + S]` bool, which kept tokens and which of these are seen.
          kept: keys `[B, K, H, C]` and values `[B, K, C, H]` of the tokens before.

        Returns:
          `[B, S, D]`, and the layer's keys and values of these tokens, shaped likewise.
        """
        head = self.config.head_dim
        q, k = self.q_proj(x), self.k_proj(x)
        if self.options.qk_norm is not None:
            q, k = _normed(self.q_norm, q), _normed(self.k_norm, k)
        q, k = _heads(q, head), _heads(k, head)
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
    """One decoder layer: attention and an MLP, with their norms."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the layer's parameters."""
        width, inner = config.hidden_size, config.intermediate_size
        self.options = options
        first, *rest = options.placement.names

        def make_norm(name):
            setattr(self, name, options.norm(width, config.rms_norm_eps, rngs))

        make_norm(first)
        self.self_attn = Attention(config, options, rngs)
        for name in rest:
            make_norm(name)
        if options.gated:
            self.gate_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.up_proj = linear(width, inner, rngs, bias=options.mlp_bias)
        self.down_proj = linear(inner, width, rngs, bias=options.mlp_bias)

    def __call__(self, x, rotation, visible, kept):
        """Returns the next residual stream and the layer's keys and values."""
        place = self.options.placement
        read = self._norm(place.before_attention, x)
        attended, own = self.self_attn(read, rotation, visible, kept)
        after = x + self._norm(place.after_attention, attended)
        read = self._norm(place.before_mlp, x if place.parallel else after)
        return after + self._norm(place.after_mlp, self._mlp(read)), own

    def _norm(self, name, x):
        """The norm of that name, if there is one."""
        return x if name is None else getattr(self, name)(x)

    def _mlp(self, h):
        """The MLP, gated or not."""
        inner = self.up_proj(h)
        if not self.options.gated:
            return self.down_proj(self.options.activation(inner))
        return self.down_proj(self.options.activation(self.gate_proj(h)) * inner)


def capped(x, cap):
    """Numbers kept between `-cap` and `cap`; as they are where it is None."""
    return x if cap is None else cap * jnp.tanh(x / cap)


def _rotate(x, rotation):
    """Rotates the two halves of each head's first columns, Hugging Face's layout."""
    if rotation is None:
        return x
    cosine, sine = (r.astype(x.dtype) for r in rotation)
    width = 2 * cosine.shape[-1]
    a, b = jnp.split(x[..., :width], 2, -1)
    turned = [a * cosine - b * sine, b * cosine + a * sine]
    return jnp.concatenate([*turned, x[..., width:]], -1)


def _normed(norm, x):
    """The norm of so many columns at a time."""
    return norm(x.reshape(*x.shape[:2], -1, norm.scale.shape[-1])).reshape(x.shape)


def _heads(x, head):
    """`[B, S, heads * head]` to `[B, S, heads, head]`."""
    return x.reshape(*x.shape[:2], -1, head)


def _lowest(dtype):
    """A finite score that softmax maps to zero; finite so that no row is all NaN."""
    return jnp.asarray(jnp.finfo(dtype).min / 2, dtype)


def linear(inputs, outputs, rngs, *, bias=False):
    """A projection; its bias, if it has one, is zero."""
    return Linear(inputs, outputs, rngs, bias=bias)
