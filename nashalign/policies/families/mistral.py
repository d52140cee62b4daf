"""The Mistral family (Jiang et al. 2023, arXiv:2310.06825)."""

import dataclasses

from nashalign.policies import decoder
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import unnamed
from nashalign.policies.families.rope import read_rope
from nashalign.policies.families.windows import window_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class MistralConfig(RotaryShape):
    """Shape of a Mistral model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      window: how far back every layer sees, tokens; None is all of them.
    """

    max_position_embeddings: int = 131_072
    window: int | None = unnamed(None)


def _options(config):
    """Those of the decoder."""
    windows = None
    if config.window is not None:
        windows = (config.window,) * config.num_hidden_layers
    return decoder.Options(rotaries=(config.rotary,), windows=windows)


def _gather(options, path):
    """Rotary positions, and the window."""
    return {
        **read_rope(options, path, MistralConfig.rope_theta),
        "window": window_size(options, path),
    }


FAMILY = decoder_family(
    model_type="mistral",
    architecture="MistralForCausalLM",
    config=MistralConfig,
    options=_options,
    gather=_gather,
    only={
        "attention_bias": (False, None),
        "layer_types": (None,),
        "mlp_bias": (False, None),
    },
    known=("sliding_window",),
    written=lambda config: {"sliding_window": config.window},
    required=("num_key_value_heads",),
)
