"""A decoder with grouped queries: the body of many families.

Touvron et al. 2023 (arXiv:2302.13971), with the names of the Hugging Face
configuration. The modules are `flax.nnx` (`layers.py`); `decoder` wraps them into a
`Policy`. Layers are stacked and scanned, so that depth costs neither compile time nor
leaves. A family (`families/`) is a shape and options of it, with the names under which
its weights are stored.
"""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nashalign.policies import layers, ring, rotary
from nashalign.policies.layers import Options, Shape
from nashalign.policies.lora import Lora, attach
from nashalign.policies.policy import Policy
from nashalign.policies.products import project


class Decoder(nnx.Module):
    """The whole decoder; blocks are stacked along a leading layer axis."""

    def __init__(
        self, config: Shape, options: Options, lora: Lora | None, rngs: nnx.Rngs
    ):
        """Makes every parameter, the layers' by one vmapped initialiser."""

        @nnx.split_rngs(splits=config.num_hidden_layers)
        @nnx.vmap
        def blocks(rngs):
            block = layers.Block(config, options, rngs)
            attach(block, lora, rngs)
            return block

        self.embed_tokens = nnx.Embed(
            config.vocab_size,
            config.hidden_size,
            embedding_init=nnx.initializers.normal(0.02),
            rngs=rngs,
        )
        if not options.rotaries:
            self.embed_positions = nnx.Embed(
                config.max_position_embeddings,
                config.hidden_size,
                embedding_init=nnx.initializers.normal(0.02),
                rngs=rngs,
            )
        self.layers = blocks(rngs)
        self.norm = options.norm(config.hidden_size, config.rms_norm_eps, rngs)
        if not config.tie_word_embeddings:
            self.lm_head = layers.linear(config.hidden_size, config.vocab_size, rngs)


PLAIN = Options()
"""Options of Llama's first models: none."""


def decoder(
    config: Shape, options: Options = PLAIN, lora: Lora | None = None
) -> Policy:
    """Returns the pure functions of a decoder of one shape.

    Args:
      config: its shape.
      options: those of its family.
      lora: the adapters in its layers; None where there are none.
    """

    def make(key):
        return Decoder(config, options, lora, nnx.Rngs(key))

    graph, _ = nnx.split(nnx.eval_shape(lambda: make(0)))
    kept = _decoder(config, options, make, graph, lambda layer: layer)
    usual = _decoder(config, options, make, graph, jax.checkpoint)
    return dataclasses.replace(usual, without_remat=kept)


def _decoder(config, options, make, graph, remat):
    """The functions, with layers whose backward pass is made by `remat`."""
    read = functools.partial(_read, config, options, remat)
    empty = functools.partial(ring.empty, positions=options.windows is not None)
    num_heads = (
        config.num_hidden_layers,
        config.num_key_value_heads,
        config.head_dim,
    )

    def init(key):
        return nnx.to_pure_dict(nnx.state(make(key)))

    def prefill(params, prompts, *, room):
        tokens, mask = prompts.tokens[:, :-1], prompts.mask[:, :-1]
        dtype = params["embed_tokens"]["embedding"].dtype
        kept = empty(num_heads, len(tokens), dtype)
        if tokens.shape[1]:
            model = nnx.merge(graph, params)
            _, kept = read(model, tokens, mask, kept)
        return ring.widen(kept, room), prompts.tokens[:, -1]

    def hidden(params, tokens, mask, cache):
        chex.assert_equal_shape([tokens, mask])
        model = nnx.merge(graph, params)
        if cache is None:
            dtype = model.embed_tokens.embedding.dtype
            start = empty(num_heads, len(tokens), dtype)
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
        found = project(hidden, kernel, dtype)
        return layers.capped(found, options.logit_cap)

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


def _read(config, options, remat, model, tokens, mask, cache):
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
    places = jnp.maximum(positions, 0)
    rotation, kinds = rotary.rotations(places, options.rotaries, head=config.head_dim)
    own = {"positions": positions} if "positions" in cache else {}
    windows = distance = None
    if options.windows is not None:
        there = jnp.concatenate([cache["positions"], positions], -1)
        distance = positions[:, :, None] - there[:, None]
        whole = config.max_position_embeddings
        windows = jnp.asarray([window or whole for window in options.windows])
    graph, stack = nnx.split(model.layers)

    @remat
    def layer(x, inputs):
        params, window, kind, *kept = inputs
        seen = visible if window is None else visible & (distance < window)
        return nnx.merge(graph, params)(x, rotation(kind), seen, kept)

    x = model.embed_tokens.embedding[...][tokens]
    if options.scaled_embedding:
        x = x * jnp.asarray(np.sqrt(config.hidden_size), x.dtype)
    if not options.rotaries:
        x = x + model.embed_positions.embedding[...][places]
    # The cache is read in the scan and written behind it: written in it, it is copied.
    inputs = (stack, windows, kinds, cache["keys"], cache["values"])
    x, (keys, values) = jax.lax.scan(layer, x, inputs)
    return model.norm(x), {
        **own,
        "keys": keys,
        "values": values,
        "mask": mask,
        "count": cache["count"] + jnp.sum(mask, -1, dtype=jnp.int32),
        "next": jnp.asarray(size, jnp.int32),
    }
