"""The OLMo 2 family (OLMo Team 2025, arXiv:2501.00656)."""

import dataclasses

from nashalign.policies import decoder, norms
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.rope import read_rope


@dataclasses.dataclass(frozen=True, kw_only=True)
class Olmo2Config(RotaryShape):
    """Shape of an OLMo 2 model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      attention_bias: whether attention's four projections have biases.
    """

    rms_norm_eps: float = 1e-5
    attention_bias: bool = False


def _options(config):
    """Those of the decoder."""
    return decoder.Options(
        qkv_bias=config.attention_bias,
        output_bias=config.attention_bias,
        placement=norms.AFTER,
        qk_norm=norms.all_heads,
        rotaries=(config.rotary,),
    )


FAMILY = decoder_family(
    model_type="olmo2",
    architecture="Olmo2ForCausalLM",
    config=Olmo2Config,
    options=_options,
    gather=lambda options, path: read_rope(options, path, Olmo2Config.rope_theta),
    only={
        "clip_qkv": (None,),
        "layer_types": (None,),
        "sliding_window": (None,),
    },
)
