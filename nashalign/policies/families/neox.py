"""The GPT-NeoX family (Black et al. 2022, arXiv:2204.06745), Pythia among it.

Pythia: Biderman et al. 2023 (arXiv:2304.01373).
"""

import dataclasses
from typing import Any

from flax import nnx

from nashalign.policies import decoder, norms
from nashalign.policies.families.decoders import RotaryShape, decoder_family
from nashalign.policies.families.family import Place, spelt, unnamed
from nashalign.policies.families.rope import (
    columns,
    read_partial_rope,
    written_partial_rope,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPTNeoXConfig(RotaryShape):
    """Shape of a GPT-NeoX model, in Hugging Face's names: see `layers.Shape`.

    Attributes:
      rotary_pct: share of a head's columns that turn, the first ones.
      use_parallel_residual: whether the MLP reads what attention reads.
      attention_bias: whether attention's projections have biases.
    """

    rms_norm_eps: float = spelt("layer_norm_eps", 1e-5)
    num_key_value_heads: int = unnamed()
    head_dim: int = unnamed()
    rope_theta: float = spelt("rotary_emb_base", 10_000.0)
    rotary_pct: float = 0.25
    use_parallel_residual: bool = True
    attention_bias: bool = True


def exact_gelu(x):
    """Hendrycks and Gimpel 2016 (arXiv:1606.08415), not its approximation by tanh."""
    return nnx.gelu(x, approximate=False)


def _options(config):
    """Those of the decoder."""
    width = int(config.head_dim * config.rotary_pct)
    return decoder.Options(
        qkv_bias=config.attention_bias,
        output_bias=config.attention_bias,
        mlp_bias=True,
        norm=norms.layer_norm,
        placement=norms.PARALLEL if config.use_parallel_residual else norms.BEFORE,
        gated=False,
        activation=exact_gelu,
        rotaries=(dataclasses.replace(config.rotary, width=width),),
    )


def _gather(options, path) -> dict[str, Any]:
    """Rotary positions, and how many columns have them."""
    return read_partial_rope(
        options, path, 10_000.0, share="rotary_pct", base="rotary_emb_base"
    )


def _written(config):
    """What a file says of rotary positions and the activation, in both styles."""
    rope = written_partial_rope(config.rope_theta, config.scaling, config.rotary_pct)
    return {**rope, "hidden_act": "gelu"}


_PARTS = ("q_proj", "k_proj", "v_proj")
_NAMES = {
    "embed_tokens": "gpt_neox.embed_in",
    "norm": "gpt_neox.final_layer_norm",
    "lm_head": "embed_out",
    "o_proj": "attention.dense",
    "up_proj": "mlp.dense_h_to_4h",
    "down_proj": "mlp.dense_4h_to_h",
}


def _stored(config, path, layer) -> Place:
    """See `Stored`: queries, keys and values are together, head by head."""
    *_, module, key = path
    name, part, groups = _NAMES.get(module, module), 0, 1
    if module in _PARTS:
        name, part = "attention.query_key_value", _PARTS.index(module)
        groups = config.num_attention_heads
    if layer is not None:
        name = f"gpt_neox.layers.{layer}.{name}"
    kind = "bias" if key == "bias" else "weight"
    return Place(
        tensor=f"{name}.{kind}", turned=key == "kernel", part=part, groups=groups
    )


def _complete(values, path):
    """The shape, whose heads turn by an even number of columns."""
    shape: Any = _DECODERS.complete(values, path)
    columns(shape.head_dim, shape.rotary_pct, "rotary_pct", path)
    return shape


_DECODERS = decoder_family(
    model_type="gpt_neox",
    architecture="GPTNeoXForCausalLM",
    config=GPTNeoXConfig,
    options=_options,
    gather=_gather,
    only={"hidden_act": ("gelu",)},
    written=_written,
    known=("hidden_dropout", "classifier_dropout"),
)
FAMILY = dataclasses.replace(
    _DECODERS,
    complete=_complete,
    stored=_stored,
    output="embed_out.weight",
    embedding="gpt_neox.embed_in.weight",
    # transformers 5 calls lm_head what the files on the hub call embed_out.
    renamed=lambda name: "embed_out.weight" if name == "lm_head.weight" else name,
    # Buffers that old versions stored.
    superfluous=(
        ".attention.bias",
        ".attention.masked_bias",
        "rotary_emb.inv_freq",
    ),
    scorer="GPTNeoXForSequenceClassification",
)
