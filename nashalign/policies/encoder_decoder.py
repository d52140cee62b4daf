"""An encoder-decoder with relative positions: the body of T5 and what came of it.

Raffel et al. 2020 (arXiv:1910.10683); version 1.1 with gates as in Shazeer 2020
(arXiv:2002.05202). The encoder reads a prompt once, in `prefill`, and every layer of
the decoder its keys and values of what came out; a response is written after a token of
its own, and reads both the prompt's and those of the response so far. To everyone else
it is a `Policy` like any other.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nashalign.policies import encoder_decoder_layers as layers
from nashalign.policies import relative, ring
from nashalign.policies.encoder_decoder_layers import Options, Shape
from nashalign.policies.layers import linear
from nashalign.policies.lora import Lora
from nashalign.policies.policy import Policy
from nashalign.policies.products import project


class EncoderDecoder(nnx.Module):
    """The whole model: one embedding, two stacks, and an output matrix if it has one.

    The embedding is drawn with unit variance, as that of T5 is: tied, it meets states
    that are divided by the root of their width.
    """

    def __init__(
        self, config: Shape, options: Options, lora: Lora | None, rngs: nnx.Rngs
    ):
        """Makes every parameter."""
        self.shared = nnx.Embed(
            config.vocab_size,
            config.d_model,
            embedding_init=nnx.initializers.normal(1.0),
            rngs=rngs,
        )
        rest = (config, options, lora, rngs)
        self.encoder = layers.Stack(layers.EncoderBlock, config.num_layers, *rest)
        self.decoder = layers.Stack(
            layers.DecoderBlock, config.num_decoder_layers, *rest
        )
        if not config.tie_word_embeddings:
            self.lm_head = linear(config.d_model, config.vocab_size, rngs)


def encoder_decoder(
    config: Shape, options: Options, lora: Lora | None = None
) -> Policy:
    """Returns the pure functions of an encoder-decoder of one shape.

    Args:
      config: its shape.
      options: those of its version.
      lora: the adapters in its layers; None where there are none.
    """

    def make(key):
        return EncoderDecoder(config, options, lora, nnx.Rngs(key))

    graph, _ = nnx.split(nnx.eval_shape(lambda: make(0)))
    kept = _encoder_decoder(config, options, make, graph, lambda layer: layer)
    usual = _encoder_decoder(config, options, make, graph, jax.checkpoint)
    return dataclasses.replace(usual, without_remat=kept)


def _encoder_decoder(config, options, make, graph, remat):
    """The functions, with layers whose backward pass is made by `remat`."""
    num_heads = (config.num_decoder_layers, config.num_heads, config.d_kv)

    def init(key):
        return nnx.to_pure_dict(nnx.state(make(key)))

    def prefill(params, prompts, *, room):
        model = nnx.merge(graph, params)
        states = _encode(config, remat, model, prompts.tokens, prompts.mask)
        batch, dtype = len(prompts.tokens), params["shared"]["embedding"].dtype
        response = ring.empty(num_heads, batch, dtype, positions=True)
        prompt = _remembered(model.decoder, states, prompts.mask)
        cache = {"prompt": prompt, "response": ring.widen(response, room)}
        return cache, jnp.full(batch, options.first_token, jnp.int32)

    def hidden(params, tokens, mask, cache):
        chex.assert_equal_shape([tokens, mask])
        if cache is None:
            raise ValueError(
                "an encoder-decoder reads nothing without a prompt: give it the cache "
                "of one, from `prefill`, instead of None"
            )
        model = nnx.merge(graph, params)
        states, own = _read(config, remat, model, tokens, mask, cache)
        return states, cache | {"response": ring.keep(cache["response"], own)}

    def logits(params, hidden):
        # Rounded to bfloat16, logits of ten would be off by a thirtieth.
        dtype = jnp.promote_types(hidden.dtype, jnp.float32)
        if not config.tie_word_embeddings:
            kernel = params["lm_head"]["kernel"]
            return project(hidden, kernel, dtype)
        kernel = params["shared"]["embedding"].T
        found = project(hidden, kernel, dtype)
        return found / jnp.asarray(np.sqrt(config.d_model), dtype)

    return Policy(
        init=init,
        prefill=prefill,
        take=lambda cache, rows: {n: ring.take(own, rows) for n, own in cache.items()},
        put=lambda cache, rows, other: {
            name: ring.put(own, rows, other[name]) for name, own in cache.items()
        },
        hidden=hidden,
        logits=logits,
        vocabulary=config.vocab_size,
        width=config.d_model,
        context=config.n_positions,
    )


def _encode(config, remat, model, tokens, mask):
    """States `[B, P, D]` of prompts, in which every token sees all of its prompt."""
    mask = jnp.asarray(mask, bool)
    places = jnp.cumsum(mask, -1, dtype=jnp.int32) - 1
    stack = model.encoder
    bias = relative.bias(
        stack.relative_attention_bias.embedding[...],
        (places, places),
        jnp.repeat(mask[:, None], mask.shape[1], 1),
        limit=config.relative_attention_max_distance,
        bidirectional=True,
    )
    graph, blocks = nnx.split(stack.layers)

    @remat
    def layer(x, params):
        return nnx.merge(graph, params)(x, bias), None

    x, _ = jax.lax.scan(layer, model.shared.embedding[...][tokens], blocks)
    return stack.norm(x)


def _remembered(stack, states, mask):
    """The decoder's keys and values of a prompt: a cache that is never written to."""
    graph, blocks = nnx.split(stack.layers)

    def layer(_, params):
        return None, nnx.merge(graph, params).cross_attention.read(states)

    _, (keys, values) = jax.lax.scan(layer, None, blocks)
    mask = jnp.asarray(mask, bool)
    return {
        "keys": keys,
        "values": values,
        "mask": mask,
        "count": jnp.sum(mask, -1, dtype=jnp.int32),
        "next": jnp.zeros((), jnp.int32),
    }


def _read(config, remat, model, tokens, mask, cache):
    """Reads tokens of a response after those of a cache.

    Returns:
      States `[B, S, D]`, and a cache of these tokens alone.
    """
    size = tokens.shape[1]
    mask = mask.astype(bool)
    response, prompt = cache["response"], cache["prompt"]
    causal = jnp.tril(jnp.ones((1, size, size), bool))
    before = jnp.repeat(response["mask"][:, None], size, 1)
    positions = response["count"][:, None] + jnp.cumsum(mask, -1, dtype=jnp.int32) - 1
    stack = model.decoder
    bias = relative.bias(
        stack.relative_attention_bias.embedding[...],
        (positions, jnp.concatenate([response["positions"], positions], -1)),
        jnp.concatenate([before, causal & mask[:, None]], -1),
        limit=config.relative_attention_max_distance,
        bidirectional=False,
    )
    # How far a token of the prompt is says nothing.
    nowhere = relative.unseen(
        prompt["mask"][:, None], jnp.zeros((1, 1, 1, 1), bias.dtype)
    )
    graph, blocks = nnx.split(stack.layers)

    @remat
    def layer(x, inputs):
        params, kept, read = inputs
        return nnx.merge(graph, params)(x, (bias, nowhere), kept, read)

    # The cache is read in the scan and written behind it: written in it, it is copied.
    parts = [(part["keys"], part["values"]) for part in (response, prompt)]
    x = model.shared.embedding[...][tokens]
    x, (keys, values) = jax.lax.scan(layer, x, (blocks, *parts))
    return stack.norm(x), {
        "positions": positions,
        "keys": keys,
        "values": values,
        "mask": mask,
        "count": response["count"] + jnp.sum(mask, -1, dtype=jnp.int32),
        "next": jnp.asarray(size, jnp.int32),
    }
