"""A decoder with rotary positions, gated MLPs and grouped queries: many families' body.

Touvron et al. 2023 (arXiv:2302.13971), with the names of the Hugging Face
configuration. The modules are `flax.nnx`; `decoder` wraps them into a `Policy`. Layers
are stacked and scanned, so that depth costs neither compile time nor leaves. A family
(`families/`) is a shape of it, with the names under which its weights are stored.
Deliberately absent: rope scaling, attention biases, sliding windows.
"""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nashalign.policies import ring
from nashalign.policies.policy import Policy


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


class Attention(nnx.Module):
    """Grouped-query attention over a cache of keys and values."""

    def __init__(self, config: Shape, rngs: nnx.Rngs):
        """Makes the four projections."""
        width, head = config.hidden_size, config.head_dim
        queries = config.num_attention_heads * head
        keys = config.num_key_value_heads * head
        self.config = config
        self.q_proj = _linear(width, queries, rngs)
        self.k_proj = _linear(width, keys, rngs)
        self.v_proj = _linear(width, keys, rngs)
        self.o_proj = _linear(queries, width, rngs)

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
        q = _rotate(_heads(self.q_proj(x), head), rotation)
        k = _rotate(_heads(self.k_proj(x), head), rotation).transpose(0, 2, 3, 1)
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

    def __init__(self, config: Shape, rngs: nnx.Rngs):
        """Makes the layer's parameters."""
        width, inner = config.hidden_size, config.intermediate_size
        self.input_layernorm = _norm(config, rngs)
        self.self_attn = Attention(config, rngs)
        self.post_attention_layernorm = _norm(config, rngs)
        self.gate_proj = _linear(width, inner, rngs)
        self.up_proj = _linear(width, inner, rngs)
        self.down_proj = _linear(inner, width, rngs)

    def __call__(self, x, rotation, visible, kept):
        """Returns the next residual stream and the layer's keys and values."""
        attended, own = self.self_attn(self.input_layernorm(x), rotation, visible, kept)
        x = x + attended
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(nnx.silu(self.gate_proj(h)) * self.up_proj(h)), own


class Decoder(nnx.Module):
    """The whole decoder; blocks are stacked along a leading layer axis."""

    def __init__(self, config: Shape, rngs: nnx.Rngs):
        """Makes every parameter, the layers' by one vmapped initialiser."""

        @nnx.split_rngs(splits=config.num_hidden_layers)
        @nnx.vmap
        def blocks(rngs):
            return Block(config, rngs)

        self.embed_tokens = nnx.Embed(
            config.vocab_size,
            config.hidden_size,
            embedding_init=nnx.initializers.normal(0.02),
            rngs=rngs,
        )
        self.layers = blocks(rngs)
        self.norm = _norm(config, rngs)
        if not config.tie_word_embeddings:
            self.lm_head = _linear(config.hidden_size, config.vocab_size, rngs)


def decoder(config: Shape) -> Policy:
    """Returns the pure functions of a decoder of one shape."""
    graph, _ = nnx.split(nnx.eval_shape(lambda: Decoder(config, nnx.Rngs(0))))
    kept = _decoder(config, graph, lambda layer: layer)
    usual = _decoder(config, graph, jax.checkpoint)
    return dataclasses.replace(usual, without_remat=kept)


def _decoder(config, graph, remat):
    """The functions, with layers whose backward pass is made by `remat`."""
    read = functools.partial(_read, config, remat)
    num_heads = (
        config.num_hidden_layers,
        config.num_key_value_heads,
        config.head_dim,
    )

    def init(key):
        return nnx.to_pure_dict(nnx.state(Decoder(config, nnx.Rngs(key))))

    def prefill(params, prompts, *, room):
        tokens, mask = prompts.tokens[:, :-1], prompts.mask[:, :-1]
        dtype = params["embed_tokens"]["embedding"].dtype
        kept = ring.empty(num_heads, len(tokens), dtype)
        if tokens.shape[1]:
            model = nnx.merge(graph, params)
            _, kept = read(model, tokens, mask, kept)
        return ring.widen(kept, room), prompts.tokens[:, -1]

    def hidden(params, tokens, mask, cache):
        chex.assert_equal_shape([tokens, mask])
        model = nnx.merge(graph, params)
        if cache is None:
            dtype = model.embed_tokens.embedding.dtype
            start = ring.empty(num_heads, len(tokens), dtype)
            return read(model, tokens, mask, start)[0], None
        states, own = read(model, tokens, mask, cache)
        return states, ring.keep(cache, own)

    def logits(params, hidden):
        tied = config.tie_word_embeddings
        kernel = (
            params["embed_tokens"]["embedding"].T
            if tied
            else params["lm_head"]["kernel"]
        )
        # Rounded to bfloat16, logits of ten would be off by a thirtieth.
        dtype = jnp.promote_types(hidden.dtype, jnp.float32)
        return jnp.matmul(hidden, kernel, preferred_element_type=dtype)

    return Policy(
        init=init,
        prefill=prefill,
        take=ring.take,
        put=ring.put,
        hidden=hidden,
        logits=logits,
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        context=config.max_position_embeddings,
    )


def _read(config, remat, model, tokens, mask, cache):
    """Reads tokens after those of a cache.

    Returns:
      States `[B, S, D]`, and a cache of these tokens alone.
    """
    size = tokens.shape[1]
    mask = mask.astype(bool)
    causal = jnp.tril(jnp.ones((1, size, size), bool))
    before = jnp.repeat(cache["mask"][:, None], size, 1)
    visible = jnp.concatenate([before, causal & mask[:, None]], -1)
    positions = cache["count"][:, None] + jnp.cumsum(mask, -1) - 1
    rotation = _rotation(jnp.maximum(positions, 0), config)
    graph, layers = nnx.split(model.layers)

    @remat
    def layer(x, inputs):
        params, *kept = inputs
        return nnx.merge(graph, params)(x, rotation, visible, kept)

    x = model.embed_tokens.embedding[...][tokens]
    # The cache is read in the scan and written behind it: written in it, it is copied.
    inputs = (layers, cache["keys"], cache["values"])
    x, (keys, values) = jax.lax.scan(layer, x, inputs)
    return model.norm(x), {
        "keys": keys,
        "values": values,
        "mask": mask,
        "count": cache["count"] + jnp.sum(mask, -1, dtype=jnp.int32),
        "next": jnp.asarray(size, jnp.int32),
    }


def _rotation(positions, config):
    """Cosines and sines `[B, S, 1, H/2]` of the rotary positions."""
    half = config.head_dim // 2
    frequencies = config.rope_theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions[..., None].astype(jnp.float32) * frequencies[None, None]
    return jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]


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


def _linear(inputs, outputs, rngs):
    """A projection without bias, initialised as in Llama."""
    init = nnx.initializers.normal(0.02)
    return nnx.Linear(inputs, outputs, use_bias=False, kernel_init=init, rngs=rngs)


def _norm(config, rngs):
    """Root-mean-square norm over the width."""
    return nnx.RMSNorm(config.hidden_size, epsilon=config.rms_norm_eps, rngs=rngs)
