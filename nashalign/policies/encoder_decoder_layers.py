"""The layers of an encoder-decoder: attention to the own text and to another, an MLP.

Each part of a layer has its norm in front of it. Scores are not divided by the root of
a head's width: that is in the weights.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nashalign.policies.layers import linear
from nashalign.policies.lora import Lora, attach


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of an encoder-decoder, in Hugging Face's names.

    Attributes:
      vocab_size: `V`.
      d_model: `D`.
      d_kv: width of a head; heads together may be wider or narrower than `D`.
      d_ff: width of the MLP.
      num_layers: depth of the encoder.
      num_decoder_layers: depth of the decoder.
      num_heads: of every attention.
      relative_attention_num_buckets: how many distances are told apart.
      relative_attention_max_distance: from which on they are not.
      layer_norm_epsilon: added to the mean square.
      n_positions: context length, tokens of prompt and response together. Relative
        positions have no end: it is the length that the model was trained with.
      tie_word_embeddings: whether the output matrix is the embedding. Then states are
        divided by the root of `D` before it, and only then.
    """

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_decoder_layers: int
    num_heads: int
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6
    n_positions: int = 512
    tie_word_embeddings: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What versions of this body differ in, beside the shape.

    Attributes:
      activation: of the MLP, or of its gate.
      gated: whether the MLP has a gate.
      first_token: what every response is written after.
    """

    activation: Callable[[jax.Array], jax.Array]
    gated: bool
    first_token: int


class Attention(nnx.Module):
    """Attention behind a norm, to whatever keys and values it is given."""

    def __init__(self, config: Shape, rngs: nnx.Rngs):
        """Makes the norm and the projections, which have no bias."""
        inner = config.num_heads * config.d_kv
        self.head = config.d_kv
        self.norm = norm(config, rngs)
        self.q = linear(config.d_model, inner, rngs)
        self.k = linear(config.d_model, inner, rngs)
        self.v = linear(config.d_model, inner, rngs)
        self.o = linear(inner, config.d_model, rngs)

    def read(self, x):
        """Returns keys `[B, H, d, S]` and values `[B, H, S, d]` of states `[B, S, D]`.

        The states are those of another text, or of the own one behind the norm.
        """
        keys, values = (self._heads(project(x)) for project in (self.k, self.v))
        return keys.transpose(0, 2, 3, 1), values.transpose(0, 2, 1, 3)

    def __call__(self, x, others: Sequence, bias, *, itself: bool):
        """Adds what is attended to.

        Args:
          x: `[B, S, D]`.
          others: pairs of keys `[B, H, d, C]` and values `[B, H, C, d]`.
          bias: `[B, H or 1, S or 1, C + ...]`, added to the scores.
          itself: whether these tokens are attended to too, behind the others.

        Returns:
          `[B, S, D]`, and the keys and values of these tokens, None without `itself`.
        """
        h = self.norm(x)
        own = self.read(h) if itself else None
        q = self._heads(self.q(h)).transpose(0, 2, 1, 3)
        mixed = _attend(q, [*others, own] if itself else others, bias)
        mixed = mixed.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
        return x + self.o(mixed.astype(x.dtype)), own

    def _heads(self, x):
        """`[B, S, H * d]` to `[B, S, H, d]`."""
        return x.reshape(*x.shape[:2], -1, self.head)


def _attend(q, parts, bias):
    """Means `[B, H, S, d]` of the parts' values, weighted by scores and their bias."""
    # Scores and sums are in at least float32, whatever the parameters are in.
    dot = functools.partial(
        jnp.einsum, preferred_element_type=jnp.promote_types(q.dtype, jnp.float32)
    )
    scores = [dot("bhsd,bhdc->bhsc", q, keys) for keys, _ in parts]
    weights = jax.nn.softmax(jnp.concatenate(scores, -1) + bias, -1).astype(q.dtype)
    ends = np.cumsum([part.shape[-1] for part in scores])[:-1]
    return functools.reduce(
        jnp.add,
        [
            dot("bhsc,bhcd->bhsd", own, values)
            for own, (_, values) in zip(
                jnp.split(weights, ends, -1), parts, strict=True
            )
        ],
    )


class Mlp(nnx.Module):
    """An MLP behind a norm, with a gate or without."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the norm and two projections, or three with a gate."""
        self.options = options
        self.norm = norm(config, rngs)
        if options.gated:
            self.wi_0 = linear(config.d_model, config.d_ff, rngs)
            self.wi_1 = linear(config.d_model, config.d_ff, rngs)
        else:
            self.wi = linear(config.d_model, config.d_ff, rngs)
        self.wo = linear(config.d_ff, config.d_model, rngs)

    def __call__(self, x):
        """Adds what the MLP makes of `x`."""
        h = self.norm(x)
        if self.options.gated:
            return x + self.wo(self.options.activation(self.wi_0(h)) * self.wi_1(h))
        return x + self.wo(self.options.activation(self.wi(h)))


class EncoderBlock(nnx.Module):
    """One layer of the encoder."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the layer's parameters."""
        self.self_attention = Attention(config, rngs)
        self.mlp = Mlp(config, options, rngs)

    def __call__(self, x, bias):
        """Returns the next residual stream."""
        x, _ = self.self_attention(x, [], bias, itself=True)
        return self.mlp(x)


class DecoderBlock(nnx.Module):
    """One layer of the decoder, which also attends to what the encoder has read."""

    def __init__(self, config: Shape, options: Options, rngs: nnx.Rngs):
        """Makes the layer's parameters."""
        self.self_attention = Attention(config, rngs)
        self.cross_attention = Attention(config, rngs)
        self.mlp = Mlp(config, options, rngs)

    def __call__(self, x, biases, kept, prompt):
        """Returns the next residual stream, and keys and values of these tokens.

        Args:
          x: `[B, S, D]`.
          biases: of the own text's scores, and of the prompt's.
          kept: keys and values of the tokens before.
          prompt: those of the prompt.
        """
        x, own = self.self_attention(x, [kept], biases[0], itself=True)
        x, _ = self.cross_attention(x, [prompt], biases[1], itself=False)
        return self.mlp(x), own


class Stack(nnx.Module):
    """Encoder or decoder: layers along a leading axis, and what they share."""

    def __init__(
        self,
        block: type[EncoderBlock] | type[DecoderBlock],
        depth: int,
        config: Shape,
        options: Options,
        lora: Lora | None,
        rngs: nnx.Rngs,
    ):
        """Makes the layers by one vmapped initialiser, one bias for all, and a norm."""

        @nnx.split_rngs(splits=depth)
        @nnx.vmap
        def blocks(rngs):
            made = block(config, options, rngs)
            attach(made, lora, rngs)
            return made

        self.layers = blocks(rngs)
        self.relative_attention_bias = nnx.Embed(
            config.relative_attention_num_buckets,
            config.num_heads,
            embedding_init=nnx.initializers.normal(0.02),
            rngs=rngs,
        )
        self.norm = norm(config, rngs)


def norm(config, rngs):
    """Root-mean-square norm over the width."""
    return nnx.RMSNorm(config.d_model, epsilon=config.layer_norm_epsilon, rngs=rngs)
