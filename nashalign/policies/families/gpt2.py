"""The GPT-2 family (Radford et al. 2019), whose positions are embedded."""

import dataclasses
from typing import Any

from flax import nnx

from nashalign.policies import decoder, layers, norms
from nashalign.policies.families.decoders import decoder_family
from nashalign.policies.families.family import Place, spelt, unnamed


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPT2Config(layers.Shape):
    """Shape of a GPT-2 model: see `layers.Shape`."""

    hidden_size: int = spelt("n_embd")
    intermediate_size: int = spelt("n_inner")
    num_hidden_layers: int = spelt("n_layer")
    num_attention_heads: int = spelt("n_head")
    num_key_value_heads: int = unnamed()
    head_dim: int = unnamed()
    rms_norm_eps: float = spelt("layer_norm_epsilon", 1e-5)
    max_position_embeddings: int = spelt("n_positions", 1024)
    tie_word_embeddings: bool = True


def _options(config):
    """Those of the decoder."""
    del config
    return decoder.Options(
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm=norms.layer_norm,
        gated=False,
        activation=nnx.gelu,
        rotaries=(),
    )


def _gather(options, path) -> dict[str, Any]:
    """The width of the MLP, which is four times the model's if it is not said."""
    del path
    width = options.get("n_embd")
    if options.get("n_inner") is not None or not isinstance(width, int):
        return {}
    return {"intermediate_size": 4 * width}


_PARTS = ("q_proj", "k_proj", "v_proj")
_NAMES = {
    "embed_tokens": "wte",
    "embed_positions": "wpe",
    "norm": "ln_f",
    "input_layernorm": "ln_1",
    "post_attention_layernorm": "ln_2",
    "o_proj": "attn.c_proj",
    "up_proj": "mlp.c_fc",
    "down_proj": "mlp.c_proj",
}
_PREFIX = "transformer."


def _stored(config, path, layer) -> Place:
    """See `Stored`: matrices lie as `[inputs, outputs]`, but for the output's."""
    del config
    *_, module, key = path
    kind = "bias" if key == "bias" else "weight"
    if module == "lm_head":
        return Place(tensor=f"lm_head.{kind}", turned=key == "kernel")
    name, part = _NAMES.get(module, "attn.c_attn"), 0
    if module in _PARTS:
        part = _PARTS.index(module)
    own = name if layer is None else f"h.{layer}.{name}"
    return Place(tensor=f"{_PREFIX}{own}.{kind}", part=part)


def _renamed(name: str) -> str:
    """The name of a tensor, which the first files have without its prefix."""
    inside = name.startswith(("h.", "wte.", "wpe.", "ln_f."))
    return _PREFIX + name if inside else name


_DECODERS = decoder_family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    config=GPT2Config,
    options=_options,
    gather=_gather,
    only={
        "activation_function": ("gelu_new",),
        "add_cross_attention": (False, None),
        "hidden_act": (None,),
        "reorder_and_upcast_attn": (False, None),
        "rope_parameters": (None,),
        "rope_scaling": (None,),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "scale_attn_weights": (True, None),
    },
    known=(
        "attn_pdrop",
        "embd_pdrop",
        "n_ctx",
        "resid_pdrop",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "task_specific_params",
    ),
)
FAMILY = dataclasses.replace(
    _DECODERS,
    written=lambda config: {"activation_function": "gelu_new"},
    required=("vocab_size", "n_embd", "n_layer", "n_head"),
    stored=_stored,
    embedding="transformer.wte.weight",
    renamed=_renamed,
    # Buffers that old versions stored.
    superfluous=(".attn.bias", ".attn.masked_bias"),
    scorer="GPT2ForSequenceClassification",
)
