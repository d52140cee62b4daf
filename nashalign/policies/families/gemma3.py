"""The Gemma 3 family, text alone (Gemma Team 2025, arXiv:2503.19786)."""

import dataclasses
from typing import Any

from flax import nnx

from nashalign.policies import decoder, norms
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import unnamed
from nashalign.policies.families.gemma import GELU, GELU_ALONE, cap
from nashalign.policies.families.rope import read_rope, written_rope
from nashalign.policies.families.windows import (
    FULL,
    SLIDING,
    Windows,
    by_type,
    num_layers,
    pattern,
    window_size,
    written_windows,
)
from nashalign.policies.rotary import Rotary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gemma3Config(RotaryShape):
    """Shape of a Gemma 3 model of text, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      rope_theta: base of the rotary frequencies of layers without a window, to which
        alone the scaling applies.
      rope_local_base_freq: that of layers with one.
      query_pre_attn_scalar: what scores are divided by the root of.
      logit_cap: what logits are kept below; None, by nothing.
      windows: how far back each layer sees, tokens; see `layers.Options`.
    """

    max_position_embeddings: int = 131_072
    tie_word_embeddings: bool = True
    rope_theta: float = 1_000_000.0
    rope_local_base_freq: float = 10_000.0
    query_pre_attn_scalar: int = 256
    logit_cap: float | None = unnamed(None)
    windows: Windows | None = unnamed(None)


def _options(config):
    """Those of the decoder."""
    local = Rotary(theta=config.rope_local_base_freq)
    windows = config.windows or (None,) * config.num_hidden_layers
    return decoder.Options(
        norm=norms.offset_rms,
        placement=norms.AROUND,
        qk_norm=norms.each_head,
        activation=nnx.gelu,
        query_width=config.query_pre_attn_scalar,
        logit_cap=config.logit_cap,
        scaled_embedding=True,
        rotaries=tuple(local if window else config.rotary for window in windows),
        windows=config.windows,
    )


def _gather(options, path):
    """Rotary positions of two kinds, windows, a cap, and a head's width."""
    number = num_layers(options, path)
    types = options.get("layer_types")
    if types is None:
        full = pattern(options, "sliding_window_pattern", 6, path)
        types = [SLIDING if (layer + 1) % full else FULL for layer in range(number)]
    window, width = window_size(options, path), options.get("head_dim")
    windows = by_type(types, window, number, path)
    if windows and window is None:
        raise ValueError(f"{path}: layer_types have a window, and sliding_window none.")
    name = "final_logit_softcapping"
    return {
        **_read_ropes(options, path),
        "windows": windows,
        "head_dim": 256 if width is None else width,
        "logit_cap": cap(options.get(name), name, path),
    }


def _read_ropes(options, path) -> dict[str, Any]:
    """Rotary positions of layers without a window, and the base of those with one."""
    nested = options.get("rope_parameters") or {}
    if not isinstance(nested, dict) or not set(nested) <= {SLIDING, FULL}:
        raise ValueError(
            f"{path}: rope_parameters is {nested!r:.60}, not an object for each of "
            f"{SLIDING!r} and {FULL!r}."
        )
    whole = read_rope(
        {**options, "rope_parameters": nested.get(FULL)},
        path,
        Gemma3Config.rope_theta,
    )
    base = "rope_local_base_freq"
    local = read_rope(
        {base: options.get(base), "rope_parameters": nested.get(SLIDING)},
        path,
        Gemma3Config.rope_local_base_freq,
        base=base,
    )
    if local["scaling"] is not None:
        raise ValueError(
            f"{path}: rope_parameters scale the positions of layers with a window, "
            "which is not supported."
        )
    return {**whole, base: local["rope_theta"]}


def _written(config):
    """What a file says of rotary positions, windows, the cap and the activation."""
    windows = written_windows(config.windows, config.num_hidden_layers)
    del windows["use_sliding_window"]
    whole = written_rope(config.rope_theta, config.scaling)
    local = written_rope(config.rope_local_base_freq, None)
    return {
        **windows,
        "rope_parameters": {
            FULL: whole["rope_parameters"],
            SLIDING: local["rope_parameters"],
        },
        "final_logit_softcapping": config.logit_cap,
        "hidden_act": GELU,
        "hidden_activation": GELU,
    }


FAMILY = decoder_family(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    scorer="Gemma3TextForSequenceClassification",
    config=Gemma3Config,
    options=_options,
    gather=_gather,
    only={**GELU_ALONE, "attn_logit_softcapping": (None,)},
    known=(
        "cache_implementation",
        "final_logit_softcapping",
        "layer_types",
        "sliding_window",
        "sliding_window_pattern",
    ),
    written=_written,
    required=("num_key_value_heads",),
)
