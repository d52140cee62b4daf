"""The Phi-3 family (Abdin et al. 2024, arXiv:2404.14219), Phi-4 among it.

Models of the original context: those whose positions are rescaled as a text grows
(`longrope`) are refused.
"""

import dataclasses
from typing import Any

from nashalign.policies import decoder
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import Place, unnamed
from nashalign.policies.families.rope import (
    columns,
    read_partial_rope,
    written_partial_rope,
)
from nashalign.policies.families.windows import window_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phi3Config(RotaryShape):
    """Shape of a Phi-3 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      partial_rotary_factor: share of a head's columns that turn, the first ones.
      window: how many tokens see each other, in every layer; None is all of them.
    """

    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 4096
    partial_rotary_factor: float = 1.0
    window: int | None = unnamed(None)


def _options(config):
    """Those of the decoder."""
    width = int(config.head_dim * config.partial_rotary_factor)
    windows = None
    if config.window is not None:
        windows = (config.window,) * config.num_hidden_layers
    return decoder.Options(
        rotaries=(dataclasses.replace(config.rotary, width=width),), windows=windows
    )


def _gather(options, path) -> dict[str, Any]:
    """Rotary positions, how many columns have them, and the window."""
    # Absent means none here, and not the window of other families.
    window = window_size(options, path) if "sliding_window" in options else None
    rope = read_partial_rope(options, path, Phi3Config.rope_theta, share=_SHARE)
    return {**rope, "window": window}


def _written(config):
    """What a file says of rotary positions and the window."""
    rope = written_partial_rope(
        config.rope_theta, config.scaling, config.partial_rotary_factor
    )
    return {**rope, "sliding_window": config.window}


_SHARE = "partial_rotary_factor"
_PARTS = {
    "q_proj": ("qkv_proj", 0),
    "k_proj": ("qkv_proj", 1),
    "v_proj": ("qkv_proj", 2),
    "gate_proj": ("gate_up_proj", 0),
    "up_proj": ("gate_up_proj", 1),
}


def _stored(config, path, layer) -> Place:
    """See `Stored`: queries, keys and values are one matrix, as are gate and MLP."""
    *before, module, key = path
    name, part = _PARTS.get(module, (module, 0))
    place = _DECODERS.stored(config, (*before, module, key), layer)
    tensor = place.tensor.replace(f".{module}.", f".{name}.")
    return dataclasses.replace(place, tensor=tensor, part=part)


def _complete(values, path):
    """The shape, whose heads turn by an even number of columns."""
    shape: Any = _DECODERS.complete(values, path)
    columns(shape.head_dim, shape.partial_rotary_factor, "partial_rotary_factor", path)
    return shape


_DECODERS = decoder_family(
    model_type="phi3",
    architecture="Phi3ForCausalLM",
    config=Phi3Config,
    options=_options,
    gather=_gather,
    only={"layer_types": (None,)},
    written=_written,
    known=("embd_pdrop", "resid_pdrop", "sliding_window"),
)
FAMILY = dataclasses.replace(
    _DECODERS,
    complete=_complete,
    stored=_stored,
    only={k: v for k, v in _DECODERS.only.items() if k != _SHARE},
)
