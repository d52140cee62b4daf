"""A decoder with rotary positions, gated MLPs and grouped queries: many families' body.

Touvron et al. 2023 (arXiv:2302.13971), with the names of the Hugging Face
configuration. The modules are `flax.nnx`; `decoder` wraps them into a `Policy`. Layers
are stacked and scanned, so that depth costs neither compile time nor leaves. A family
(`families/`) is a shape of it, with the names under which its weights are stored.
Deliberately absent: rope scaling, attention biases, sliding windows.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from nashalign.policies.policy import Policy
from nashalign.policies.rows import put_rows, take_rows


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

    def __call__(self, x, rotation, visible, cache):
        """Attends; returns `[B, S, D]` and the layer's keys and values."""
        head = self.config.head_dim
        q = _rotate(_heads(self.q_proj(x), head), rotation)
        k = _rotate(_heads(self.k_proj(x), head), rotation)
        v = _heads(self.v_proj(x), head)
        if cache is not None:
            k_cache, v_cache, length = cache
            k, v = _write(k_cache, k, length), _write(v_cache, v, length)
        q = q.reshape(*q.shape[:2], k.shape[2], -1, head)
        scores = jnp.einsum("bskgh,bckh->bkgsc", q, k) / jnp.sqrt(head).astype(q.dtype)
        scores = jnp.where(visible[:, None, None], scores, _lowest(scores.dtype))
        mixed = jnp.einsum("bkgsc,bckh->bskgh", jax.nn.softmax(scores, -1), v)
        return self.o_proj(mixed.reshape(*x.shape[:2], -1)), (k, v)


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

    def __call__(self, x, rotation, visible, cache):
        """Returns the next residual stream and the layer's keys and values."""
        attended, cache = self.self_attn(
            self.input_layernorm(x), rotation, visible, cache
        )
        x = x + attended
        h = self.post_attention_layernorm(x)
        return x + self.down_proj(nnx.silu(self.gate_proj(h)) * self.up_proj(h)), cache


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

    def init(key):
        return nnx.to_pure_dict(nnx.state(Decoder(config, nnx.Rngs(key))))

    def prefill(params, prompts, *, room):
        tokens, mask = prompts.tokens[:, :-1], prompts.mask[:, :-1]
        batch, width = tokens.shape
        dtype = params["embed_tokens"]["embedding"].dtype
        cache = _empty(config, batch, width + room, dtype)
        if width:
            _, cache = hidden(params, tokens, mask, cache)
        return cache, prompts.tokens[:, -1]

    def hidden(params, tokens, mask, cache):
        chex.assert_equal_shape([tokens, mask])
        model = nnx.merge(graph, params)
        return _hidden(model, config, tokens, mask, cache)

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
        take=_take,
        put=_put,
        hidden=hidden,
        logits=logits,
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        context=config.max_position_embeddings,
    )


def _empty(config, batch, slots, dtype):
    """A cache that nothing has been written to; see `_ROWS` for what is in one.

    Each row has as many slots for keys and values, of which `mask` tells those of real
    tokens from those of padding. The next slot is written at `length`: a number, or
    `[B]` numbers once rows of unequal length have been put together.
    """
    keys = (config.num_hidden_layers, batch, slots)
    keys += (config.num_key_value_heads, config.head_dim)
    return {
        "keys": jnp.zeros(keys, dtype),
        "values": jnp.zeros(keys, dtype),
        "mask": jnp.zeros((batch, slots), bool),
        "length": jnp.zeros((), jnp.int32),
    }


# The axis of the rows of what is in a cache. Behind it are the slots.
_ROWS = {"keys": 1, "values": 1, "mask": 0}


def _take(cache, rows):
    """Rows of a cache; see `Policy.take`."""
    length = cache["length"]
    taken = {name: take_rows(cache[name], rows, axis) for name, axis in _ROWS.items()}
    return taken | {"length": take_rows(length, rows) if length.ndim else length}


def _put(cache, rows, other):
    """A cache with rows of another; see `Policy.put`."""
    slots, others = cache["mask"].shape[1], other["mask"].shape[1]
    if others > slots:
        raise ValueError(
            f"rows of {others} slots do not fit into a cache of {slots}: prefill the "
            "one with less room, or the other with more"
        )

    def put(name, axis):
        new = other[name]
        padding = [(0, 0)] * new.ndim
        padding[axis + 1] = (0, slots - others)
        return put_rows(cache[name], rows, jnp.pad(new, padding), axis)

    lengths = jnp.broadcast_to(cache["length"], len(cache["mask"]))
    lengths = put_rows(lengths, rows, other["length"])
    return {name: put(name, axis) for name, axis in _ROWS.items()} | {"length": lengths}


def _write(stored, new, length):
    """Writes `[B, S, ...]` into the slots `[B, C, ...]`, from `length` on."""
    write = jax.lax.dynamic_update_slice_in_dim
    if length.ndim == 0:
        return write(stored, new, length, 1)
    return jax.vmap(lambda row, own, at: write(row, own, at, 0))(stored, new, length)


def _hidden(model, config, tokens, mask, cache):
    """The decoder's forward pass; see `Policy.hidden`."""
    mask = mask.astype(bool)
    seen, length = mask, jnp.zeros((), jnp.int32)
    if cache is not None:
        length = cache["length"]
        seen = _write(cache["mask"], mask, length)
    # Slots hold the row's tokens in order, so causality is an order of slots.
    slots = jnp.arange(seen.shape[1])[None, None, :]
    own_slots = jnp.reshape(length, (-1, 1)) + jnp.arange(tokens.shape[1])[None]
    visible = seen[:, None, :] & (slots <= own_slots[..., None])
    positions = jnp.cumsum(seen, -1) - 1
    if length.ndim:
        positions = jnp.take_along_axis(positions, own_slots, 1)
    else:
        positions = jax.lax.dynamic_slice_in_dim(positions, length, tokens.shape[1], 1)
    rotation = _rotation(jnp.maximum(positions, 0), config)
    graph, layers = nnx.split(model.layers)

    @jax.checkpoint
    def layer(x, inputs):
        params, k, v = inputs
        layer_cache = None if cache is None else (k, v, length)
        return nnx.merge(graph, params)(x, rotation, visible, layer_cache)

    x = model.embed_tokens.embedding[...][tokens]
    stored = (None, None) if cache is None else (cache["keys"], cache["values"])
    x, (keys, values) = jax.lax.scan(layer, x, (layers, *stored))
    x = model.norm(x)
    if cache is None:
        return x, None
    length = length + tokens.shape[1]
    return x, {"keys": keys, "values": values, "mask": seen, "length": length}


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
