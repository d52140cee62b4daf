"""The T5 family: 1.0 and 1.1 (Raffel et al. 2020, arXiv:1910.10683), Flan-T5.

Flan-T5 (Chung et al. 2022, arXiv:2210.11416) is 1.1 trained further. What tells the
versions apart is whether the output matrix is the embedding, and the MLP's gate.
"""

import dataclasses
import pathlib
from typing import Any

from flax import nnx

from nashalign import conventions, json_file
from nashalign.policies import encoder_decoder
from nashalign.policies.families.family import Family, Options, Place, unnamed
from nashalign.policies.lora import Lora
from nashalign.policies.policy import Policy

# The MLPs by their names in files: activation, its own name, and whether it is a gate.
_MLPS = {
    "relu": (nnx.relu, "relu", False),
    "gated-gelu": (nnx.gelu, "gelu_new", True),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Config(encoder_decoder.Shape):
    """Shape of a T5: see `encoder_decoder.Shape`.

    Attributes:
      feed_forward_proj: the MLP: `relu`, or `gated-gelu` since version 1.1.
      decoder_start_token_id: what every response is written after: the padding.
    """

    feed_forward_proj: str = unnamed("relu")
    decoder_start_token_id: int = unnamed(0)


def build(config: T5Config, lora: Lora | None = None) -> Policy:
    """Returns the T5 family's pure functions for one configuration."""
    activation, _, gated = _MLPS[config.feed_forward_proj]
    options = encoder_decoder.Options(
        activation=activation, gated=gated, first_token=config.decoder_start_token_id
    )
    return encoder_decoder.encoder_decoder(config, options, lora)


def _gather(options: Options, path: pathlib.Path) -> dict[str, Any]:
    """The MLP, the first token, and whether the output matrix is the embedding."""
    return {
        "feed_forward_proj": _mlp(options, path),
        "decoder_start_token_id": _first_token(options, path),
        "tie_word_embeddings": _tied(options, path),
    }


def _mlp(options, path):
    """The name of the MLP, which is said in three ways at once."""
    name = options.get("feed_forward_proj", "relu")
    if not isinstance(name, str) or name not in _MLPS:
        supported = ", ".join(map(repr, _MLPS))
        raise ValueError(
            f"{path}: feed_forward_proj {name!r:.60} is not supported, only {supported}"
        )
    _, activation, gated = _MLPS[name]
    for other, expected in (("dense_act_fn", activation), ("is_gated_act", gated)):
        said = options.get(other)
        if said is not None and (said != expected or type(said) is not type(expected)):
            raise ValueError(
                f"{path}: {other} is {said!r:.60}, but {expected!r} belongs to the "
                f"feed_forward_proj {name!r}; delete the wrong one."
            )
    return name


def _tied(options, path):
    """Whether the output matrix is the embedding, and states are scaled before it.

    To transformers 4 `tie_word_embeddings` says both. Transformers 5 writes true of
    every T5, and `scale_decoder_outputs` beside it.
    """
    names = ("tie_word_embeddings", "scale_decoder_outputs")
    tied, scaled = (options.get(name) for name in names)
    for name, value in zip(names, (tied, scaled), strict=True):
        if not isinstance(value, bool | None):
            raise ValueError(f"{path}: {name} is {value!r:.60}, not a bool.")
    if tied is False and scaled:
        raise ValueError(
            f"{path}: scale_decoder_outputs true is not supported with "
            "tie_word_embeddings false: a T5 scales what meets its embedding."
        )
    return tied is not False if scaled is None else scaled


def _first_token(options, path):
    """What a response is written after, said in one of two files; else the padding."""
    name, told = "decoder_start_token_id", dict(options)
    other = path.with_name(conventions.GENERATION)
    where = path
    if told.get(name) is None and other.is_file():
        told[name], where = json_file.read_object(other).get(name), other
    if told.get(name) is None:
        name, where = "pad_token_id", path
    value = told.get(name)
    if value is None:
        return 0
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value < 2**31:
        raise ValueError(f"{where}: {name} is {value!r:.60}, not the id of a token.")
    return value


def _complete(values: dict[str, Any], path: pathlib.Path) -> T5Config:
    """See `Complete`: the decoder is as deep as the encoder, if not said."""
    values.setdefault("num_decoder_layers", values["num_layers"])
    shape = T5Config(**values)
    number, limit = (
        shape.relative_attention_num_buckets,
        shape.relative_attention_max_distance,
    )
    if number < 4 or limit <= number // 2:
        raise ValueError(
            f"{path}: {number} relative_attention_num_buckets and "
            f"relative_attention_max_distance {limit} do not go together: there must "
            "be at least 4, of which half end before that distance."
        )
    if shape.layer_norm_epsilon >= 1:
        raise ValueError(
            f"{path}: layer_norm_epsilon is {shape.layer_norm_epsilon}; added to a "
            "mean square, it must be below 1."
        )
    if shape.decoder_start_token_id >= shape.vocab_size:
        raise ValueError(
            f"{path}: decoder_start_token_id is {shape.decoder_start_token_id}, but "
            f"the model has only {shape.vocab_size} embeddings."
        )
    return shape


def _written(config: T5Config) -> dict[str, Any]:
    """What a file says of the MLP, the head and the first token, in both styles."""
    _, activation, gated = _MLPS[config.feed_forward_proj]
    return {
        "feed_forward_proj": config.feed_forward_proj,
        "dense_act_fn": activation,
        "is_gated_act": gated,
        "is_encoder_decoder": True,
        "scale_decoder_outputs": config.tie_word_embeddings,
        "decoder_start_token_id": config.decoder_start_token_id,
    }


# A layer's parts, in their order, by their names here and in files.
_PARTS = {
    "encoder": {"self_attention": "SelfAttention", "mlp": "DenseReluDense"},
    "decoder": {
        "self_attention": "SelfAttention",
        "cross_attention": "EncDecAttention",
        "mlp": "DenseReluDense",
    },
}


def _stored(config, path, layer):
    """See `Stored`: the relative bias of all layers lies in the first of them."""
    del config
    *modules, key = path
    turned = key == "kernel"
    if modules[0] not in _PARTS:
        return Place(tensor=f"{modules[0]}.weight", turned=turned)
    stack, *_, name = modules
    if layer is None:
        place = {
            "relative_attention_bias": f"block.0.layer.0.SelfAttention.{name}",
            "norm": "final_layer_norm",
        }[name]
    else:
        parts, part = _PARTS[stack], modules[2]
        inner = "layer_norm" if name == "norm" else f"{parts[part]}.{name}"
        place = f"block.{layer}.layer.{list(parts).index(part)}.{inner}"
    return Place(tensor=f"{stack}.{place}.weight", turned=turned)


FAMILY = Family(
    model_type="t5",
    architecture="T5ForConditionalGeneration",
    config=T5Config,
    build=build,
    gather=_gather,
    complete=_complete,
    required=("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads"),
    only={
        "is_encoder_decoder": (True, None),
        "quantization_config": (None,),
    },
    written=_written,
    stored=_stored,
    output="lm_head.weight",
    embedding="shared.weight",
    # A bias that no score has: the first files hold it.
    superfluous=("EncDecAttention.relative_attention_bias.weight",),
    copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
    known=(
        "classifier_dropout",
        "decoder_start_token_id",
        "dense_act_fn",
        "dropout_rate",
        "feed_forward_proj",
        "gradient_checkpointing",
        "initializer_factor",
        "is_gated_act",
        "output_past",
        "scale_decoder_outputs",
        "task_specific_params",
    ),
)
