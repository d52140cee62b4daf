"""The SmolLM3 family (Hugging Face 2025): some layers have no positions at all."""

import dataclasses
from typing import Any

from nashalign.policies import decoder, rotary
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import unnamed
from nashalign.policies.families.rope import read_rope
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmolLM3Config(RotaryShape):
    """Shape of a SmolLM3 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      attention_bias: whether attention's four projections have biases.
      mlp_bias: whether the MLP's three have.
      turns: for each layer whether its heads turn; those of the others know no
        positions.
      windows: how far back each layer sees, tokens; see `layers.Options`.
    """

    rope_theta: float = 2_000_000.0
    max_position_embeddings: int = 32_768
    tie_word_embeddings: bool = True
    attention_bias: bool = False
    mlp_bias: bool = False
    turns: tuple[bool, ...] = unnamed()
    windows: Windows | None = unnamed(None)


def _options(config):
    """Those of the decoder."""
    still = dataclasses.replace(config.rotary, scaling=rotary.Still())
    return decoder.Options(
        qkv_bias=config.attention_bias,
        output_bias=config.attention_bias,
        mlp_bias=config.mlp_bias,
        rotaries=tuple(config.rotary if own else still for own in config.turns),
        windows=config.windows,
    )


def _gather(options, path) -> dict[str, Any]:
    """Rotary positions, the layers that have them, and windows."""
    number, name = num_layers(options, path), "no_rope_layers"
    turns = options.get(name)
    if turns is None:
        every = pattern(options, "no_rope_layer_interval", 4, path)
        turns = [int((layer + 1) % every != 0) for layer in range(number)]
    right = isinstance(turns, list) and all(own in (0, 1) for own in turns)
    if not right or len(turns) != number:
        raise ValueError(
            f"{path}: {name} is {turns!r:.60}, not a 0 or 1 for each of the {number} "
            "layers."
        )
    windowed = options.get("use_sliding_window") and options.get("sliding_window")
    types = options.get("layer_types")
    if types is None:
        types = [SLIDING if windowed and not own else FULL for own in turns]
    window = window_size(options, path) if windowed else None
    if SLIDING in types and window is None:
        raise ValueError(
            f"{path}: layer_types have a window, and use_sliding_window or "
            "sliding_window says that there is none."
        )
    return {
        **read_rope(options, path, SmolLM3Config.rope_theta),
        "turns": tuple(map(bool, turns)),
        "windows": by_type(types, window, number, path),
    }


FAMILY = decoder_family(
    model_type="smollm3",
    architecture="SmolLM3ForCausalLM",
    config=SmolLM3Config,
    options=_options,
    gather=_gather,
    only={},
    written=lambda config: {
        **written_windows(config.windows, config.num_hidden_layers),
        "no_rope_layers": [int(own) for own in config.turns],
    },
    known=(
        "layer_types",
        "max_window_layers",
        "no_rope_layer_interval",
        "no_rope_layers",
        "sliding_window",
        "use_sliding_window",
    ),
    required=("num_key_value_heads",),
)
