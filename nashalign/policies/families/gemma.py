"""The Gemma 2 family (Gemma Team 2024, arXiv:2408.00118)."""

import dataclasses
import pathlib
from typing import Any

from flax import nnx

from nashalign.policies import decoder, norms
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import unnamed
from nashalign.policies.families.rope import read_rope
from nashalign.policies.families.windows import (
    FULL,
    SLIDING,
    Windows,
    by_type,
    num_layers,
    window_size,
    written_windows,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gemma2Config(RotaryShape):
    """Shape of a Gemma 2 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      query_pre_attn_scalar: what scores are divided by the root of.
      attention_cap: what scores are kept below; None, by nothing.
      logit_cap: what logits are kept below; None, by nothing.
      windows: how far back each layer sees, tokens; see `layers.Options`.
    """

    max_position_embeddings: int = 8192
    tie_word_embeddings: bool = True
    query_pre_attn_scalar: int = 256
    attention_cap: float | None = unnamed(50.0)
    logit_cap: float | None = unnamed(30.0)
    windows: Windows | None = unnamed(None)


def _options(config):
    """Those of the decoder."""
    return decoder.Options(
        norm=norms.offset_rms,
        placement=norms.AROUND,
        activation=nnx.gelu,
        query_width=config.query_pre_attn_scalar,
        attention_cap=config.attention_cap,
        logit_cap=config.logit_cap,
        scaled_embedding=True,
        rotaries=(config.rotary,),
        windows=config.windows,
    )


_CAPS = {
    "attention_cap": ("attn_logit_softcapping", 50.0),
    "logit_cap": ("final_logit_softcapping", 30.0),
}


def _gather(options, path):
    """Rotary positions, windows of every other layer, caps, and a head's width."""
    number = num_layers(options, path)
    types = options.get("layer_types")
    if types is None:
        types = [FULL if layer % 2 else SLIDING for layer in range(number)]
    window, width = window_size(options, path), options.get("head_dim")
    return {
        **read_rope(options, path, Gemma2Config.rope_theta),
        "windows": by_type(types, window, number, path) if window else None,
        "head_dim": 256 if width is None else width,
        **{
            own: cap(options.get(name, default), name, path)
            for own, (name, default) in _CAPS.items()
        },
    }


def cap(value: object, name: str, path: pathlib.Path) -> float | None:
    """Returns a cap, or None where the file says null.

    Raises:
      ValueError: it is no positive number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"{path}: {name} is {value!r:.60}, not a positive number.")
    return float(value)


def _written(config):
    """What a file says of windows, caps and the activation."""
    windows = written_windows(config.windows, config.num_hidden_layers)
    del windows["use_sliding_window"]
    return {
        **windows,
        **{name: getattr(config, own) for own, (name, _) in _CAPS.items()},
        "hidden_act": GELU,
        "hidden_activation": GELU,
    }


GELU = "gelu_pytorch_tanh"
GELU_ALONE: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False, None),
    "hidden_act": (GELU, None),
    "hidden_activation": (GELU, None),
    "use_bidirectional_attention": (False, None),
}
"""What a Gemma has no other value of."""

FAMILY = decoder_family(
    model_type="gemma2",
    architecture="Gemma2ForCausalLM",
    config=Gemma2Config,
    options=_options,
    gather=_gather,
    only=GELU_ALONE,
    known=(
        *(name for name, _ in _CAPS.values()),
        "cache_implementation",
        "layer_types",
        "sliding_window",
        "sliding_window_size",
    ),
    written=_written,
    required=("num_key_value_heads",),
)
