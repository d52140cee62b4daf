"""The Qwen families: Qwen2 and 2.5 (arXiv:2412.15115), Qwen3 (arXiv:2505.09388)."""

import dataclasses

from nashalign.policies import decoder, norms
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import unnamed
from nashalign.policies.families.rope import read_rope
from nashalign.policies.families.windows import (
    Windows,
    read_windows,
    written_windows,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Qwen2Config(RotaryShape):
    """Shape of a Qwen2 or 2.5 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      windows: how far back each layer sees, tokens; see `layers.Options`.
    """

    max_position_embeddings: int = 32_768
    windows: Windows | None = unnamed(None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Qwen3Config(Qwen2Config):
    """Shape of a dense Qwen3 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      attention_bias: whether attention's four projections have biases.
    """

    head_dim: int = 128
    attention_bias: bool = False


def _options_2(config):
    """Those of the decoder: queries, keys and values always have biases."""
    return decoder.Options(
        qkv_bias=True, rotaries=(config.rotary,), windows=config.windows
    )


def _options_3(config):
    """Those of the decoder: the heads of queries and keys are normalised."""
    return decoder.Options(
        qkv_bias=config.attention_bias,
        output_bias=config.attention_bias,
        qk_norm=norms.each_head,
        rotaries=(config.rotary,),
        windows=config.windows,
    )


def _gather(options, path):
    """Rotary positions and windows."""
    rope = read_rope(options, path, Qwen2Config.rope_theta)
    return {**rope, "windows": read_windows(options, path)}


def _gather_3(options, path):
    """The same, and the width of a head, which is no quotient here."""
    width = options.get("head_dim")
    return {**_gather(options, path), "head_dim": 128 if width is None else width}


def _written(config):
    """What a file says of windows."""
    return written_windows(config.windows, config.num_hidden_layers)


_WINDOWS = ("layer_types", "max_window_layers", "sliding_window", "use_sliding_window")
QWEN2 = decoder_family(
    model_type="qwen2",
    architecture="Qwen2ForCausalLM",
    config=Qwen2Config,
    options=_options_2,
    gather=_gather,
    only={"mlp_bias": (False, None), "use_mrope": (False, None)},
    known=_WINDOWS,
    written=_written,
    required=("num_key_value_heads",),
)
QWEN3 = decoder_family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    config=Qwen3Config,
    options=_options_3,
    gather=_gather_3,
    only={"mlp_bias": (False, None)},
    known=_WINDOWS,
    written=_written,
    required=("num_key_value_heads",),
)
