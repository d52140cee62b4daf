"""What the families of one decoder share: how their files are read and named."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from nashalign.policies import decoder, layers
from nashalign.policies.families import rope
from nashalign.policies.families.family import Family, Place, unnamed
from nashalign.policies.rotary import Rotary, Scaling

_OUTPUT, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
_MLP = ("gate_proj", "up_proj", "down_proj")
# What no family of these has.
_ABSENT: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "partial_rotary_factor": (1.0, None),
    "quantization_config": (None,),
    "rope_interleaved": (False, None),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryShape(layers.Shape):
    """The shape of a decoder, and the scaling of its rotary frequencies.

    Attributes:
      rope_theta: base of the rotary frequencies.
      scaling: of the rotary frequencies; None where there is none.
    """

    rope_theta: float = 10_000.0
    scaling: Scaling | None = unnamed(None)

    @property
    def rotary(self) -> Rotary:
        """How heads turn."""
        return Rotary(theta=self.rope_theta, scaling=self.scaling)


def decoder_family(
    *,
    model_type: str,
    architecture: str,
    config: type,
    options: Callable[[Any], decoder.Options],
    gather: Callable[..., dict[str, Any]],
    only: Mapping[str, tuple[Any, ...]],
    written: Callable[[Any], dict[str, Any]] = lambda config: {},
    required: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
    scorer: str | None = None,
) -> Family:
    """Returns a family whose policies are `decoder.decoder`'s.

    Args:
      model_type: see `Family`, as all that is not named here.
      architecture: see `Family`.
      config: its shape, a `RotaryShape`.
      options: those of the decoder, of a shape.
      gather: see `Family`.
      only: options beside those that none of these families has.
      written: what a file says besides the shape and the rotary positions.
      required: fields besides those that none of them can do without.
      known: see `Family`.
      scorer: see `Family`; named as its class is, if not said.
    """

    def told(shape):
        positions = rope.written_rope(shape.rope_theta, shape.scaling)
        return {**positions, "hidden_act": "silu", **written(shape)}

    return Family(
        model_type=model_type,
        architecture=architecture,
        config=config,
        build=lambda shape, lora=None: decoder.decoder(shape, options(shape), lora),
        gather=gather,
        complete=lambda values, path: _complete(config, values, path),
        required=(
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            *required,
        ),
        only={**_ABSENT, **only},
        written=told,
        stored=_stored,
        output=_OUTPUT,
        embedding=_EMBEDDING,
        # Old versions stored this buffer, which is a function of the configuration.
        superfluous=("rotary_emb.inv_freq",),
        known=(*rope.KNOWN, *known),
        scorer=scorer
        or f"{architecture.removesuffix('ForCausalLM')}ForSequenceClassification",
    )


def _complete(made: type, values: dict[str, Any], path: pathlib.Path) -> Any:
    """See `Complete`: key and value heads and a head's width follow, if not said."""
    heads = values["num_attention_heads"]
    if "head_dim" not in values and values["hidden_size"] % heads:
        raise ValueError(
            f"{path}: {heads} num_attention_heads do not divide the hidden_size "
            f"{values['hidden_size']}, and there is no head_dim."
        )
    values.setdefault("head_dim", values["hidden_size"] // heads)
    values.setdefault("num_key_value_heads", heads)
    shape = made(**values)
    _require_consistent(shape, path)
    return shape


def _require_consistent(shape: layers.Shape, path: pathlib.Path) -> None:
    """Refuses numbers that no model can have together."""
    queries, keys = shape.num_attention_heads, shape.num_key_value_heads
    if queries % keys:
        raise ValueError(
            f"{path}: {keys} num_key_value_heads do not divide the {queries} "
            "num_attention_heads."
        )
    if shape.head_dim % 2:
        raise ValueError(
            f"{path}: head_dim is {shape.head_dim}; rotary positions need an even one."
        )
    if shape.rms_norm_eps >= 1:
        raise ValueError(
            f"{path}: rms_norm_eps is {shape.rms_norm_eps}; added to a mean square, "
            "it must be below 1."
        )


def _stored(config, path, layer):
    """See `Stored`."""
    del config
    *modules, key = path
    if layer is not None:
        modules = ["model", "layers", str(layer), *modules[1:]]
        if modules[3] in _MLP:
            modules.insert(3, "mlp")
    elif modules[0] != "lm_head":
        modules = ["model", *modules]
    kind = "bias" if key == "bias" else "weight"
    return Place(tensor=".".join([*modules, kind]), turned=key == "kernel")
