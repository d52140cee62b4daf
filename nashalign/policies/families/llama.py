"""The Llama family (Touvron et al. 2023, arXiv:2302.13971), 3.x among it."""

import dataclasses

from nashalign.policies import decoder
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.rope import read_rope
from nashalign.policies.policy import Policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlamaConfig(RotaryShape):
    """Shape of a Llama model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      attention_bias: whether attention's four projections have biases.
      mlp_bias: whether the MLP's three have.
    """

    attention_bias: bool = False
    mlp_bias: bool = False


def llama(config: LlamaConfig) -> Policy:
    """Returns the Llama family's pure functions for one configuration."""
    return decoder.decoder(config, _options(config))


def _options(config):
    """Those of the decoder."""
    return decoder.Options(
        qkv_bias=config.attention_bias,
        output_bias=config.attention_bias,
        mlp_bias=config.mlp_bias,
        rotaries=(config.rotary,),
    )


FAMILY = decoder_family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    config=LlamaConfig,
    options=_options,
    gather=lambda options, path: read_rope(options, path, LlamaConfig.rope_theta),
    only={
        "layer_types": (None,),
        "sliding_window": (None,),
        "use_sliding_window": (False, None),
    },
)
