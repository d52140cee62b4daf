"""The Llama family (Touvron et al. 2023, arXiv:2302.13971)."""

import dataclasses

from nashalign.policies import decoder
from nashalign.policies.families.family import Family
from nashalign.policies.families.rope import rope_theta
from nashalign.policies.policy import Policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlamaConfig(decoder.Shape):
    """Shape of a Llama model, in Hugging Face's names: see `decoder.Shape`."""


def llama(config: LlamaConfig) -> Policy:
    """Returns the Llama family's pure functions for one configuration."""
    return decoder.decoder(config)


def _gather(options, path):
    """The base of the rotary frequencies, in either style."""
    return {"rope_theta": rope_theta(options, path, LlamaConfig.rope_theta)}


def _complete(values, path):
    """See `Complete`: key and value heads and a head's width follow, if not said."""
    heads = values["num_attention_heads"]
    if "head_dim" not in values and values["hidden_size"] % heads:
        raise ValueError(
            f"{path}: {heads} num_attention_heads do not divide the hidden_size "
            f"{values['hidden_size']}, and there is no head_dim."
        )
    values.setdefault("head_dim", values["hidden_size"] // heads)
    values.setdefault("num_key_value_heads", heads)
    config = LlamaConfig(**values)
    _require_consistent(config, path)
    return config


def _require_consistent(config, path):
    """Refuses numbers that no model can have together."""
    queries, keys = config.num_attention_heads, config.num_key_value_heads
    if queries % keys:
        raise ValueError(
            f"{path}: {keys} num_key_value_heads do not divide the {queries} "
            "num_attention_heads."
        )
    if config.head_dim % 2:
        raise ValueError(
            f"{path}: head_dim is {config.head_dim}; rotary positions need an even one."
        )
    if config.rms_norm_eps >= 1:
        raise ValueError(
            f"{path}: rms_norm_eps is {config.rms_norm_eps}; added to a mean square, "
            "it must be below 1."
        )


def _written(config):
    """What a file says besides the shape."""
    return {
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
    }


_OUTPUT, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


def _stored(modules, layer):
    """See `Stored`."""
    if layer is None:
        return _OUTPUT if modules[0] == "lm_head" else f"model.{modules[0]}.weight"
    rest = modules[1:]
    if rest[0] in ("gate_proj", "up_proj", "down_proj"):
        rest = ["mlp", *rest]
    return f"model.layers.{layer}.{'.'.join(rest)}.weight"


FAMILY = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    config=LlamaConfig,
    build=llama,
    gather=_gather,
    complete=_complete,
    required=(
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    ),
    only={
        "attention_bias": (False, None),
        "hidden_act": ("silu", "swish"),
        "layer_types": (None,),
        "mlp_bias": (False, None),
        "partial_rotary_factor": (1.0, None),
        "quantization_config": (None,),
        "rope_interleaved": (False, None),
        "sliding_window": (None,),
        "use_sliding_window": (False, None),
    },
    written=_written,
    stored=_stored,
    output=_OUTPUT,
    embedding=_EMBEDDING,
    # Old versions stored this buffer, which is a function of the configuration.
    superfluous=("rotary_emb.inv_freq",),
)
