"""Reading and writing `config.json`, the description of a Hugging Face checkpoint.

It comes in two styles: transformers 4 writes `rope_theta` and `torch_dtype`,
transformers 5 `rope_parameters` and `dtype`. Both are read, and both are written. An
option that would change the numbers, and one that nobody here knows, are errors: a
model that is silently not the one that was trained is worse than none.
"""

import dataclasses
import difflib
import pathlib
import typing
from typing import Any

from nashalign import json_file
from nashalign.policies.llama import LlamaConfig

NAME = "config.json"
_ARCHITECTURES = ("LlamaForCausalLM",)
_MODEL_TYPE = "llama"
_FIELDS = {field.name: field for field in dataclasses.fields(LlamaConfig)}
_TYPES = typing.get_type_hints(LlamaConfig)
_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
# The largest numbers: ids, positions and sizes are counted in 32 bits, and computed so.
_MOST = {int: 2**31 - 1, float: 3.4e38}

# The only values under which an option means the model of `llama.py`.
_ONLY = {
    "attention_bias": (False, None),
    "hidden_act": ("silu", "swish"),
    "layer_types": (None,),
    "mlp_bias": (False, None),
    "partial_rotary_factor": (1.0, None),
    "quantization_config": (None,),
    "rope_interleaved": (False, None),
    "sliding_window": (None,),
    "use_sliding_window": (False, None),
}

# Known, and without effect on the logits.
_WITHOUT_EFFECT = frozenset(
    """
    architectures attention_dropout bos_token_id chunk_size_feed_forward do_sample dtype
    eos_token_id id2label initializer_range is_decoder is_encoder_decoder
    is_llama_config label2id max_length max_sequence_length model_type output_attentions
    output_hidden_states pad_token_id pretraining_tp problem_type return_dict
    rope_parameters rope_scaling sep_token_id temperature tokenizer_class top_p
    torch_dtype transformers.js_config transformers_version unsloth_fixed
    unsloth_version use_cache
    """.split()
)


def read_config(folder: pathlib.Path) -> LlamaConfig:
    """Reads the shape of a model from a folder's `config.json`.

    Args:
      folder: a Hugging Face model folder.

    Returns:
      The configuration; a missing `head_dim` is the width over the heads, missing key
      and value heads are as many as the query heads.

    Raises:
      FileNotFoundError: if the folder or its `config.json` does not exist.
      ValueError: if the file is no JSON object, if the architecture or an option is
        unknown or unsupported, or if a number is missing or does not fit the others.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is no folder; a checkpoint is a folder with {NAME} and "
            "model.safetensors."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {NAME}; a checkpoint is a folder with {NAME} and "
            "model.safetensors."
        )
    options = json_file.read_object(path)
    _require_llama(options, path)
    _require_supported(options, path)
    config = _llama_config(options, path)
    _require_consistent(config, path)
    return config


def config_options(
    config: LlamaConfig, dtype: str, token_ids: dict[str, int | list[int] | None]
) -> dict[str, Any]:
    """Returns the content of `config.json`, in both styles at once.

    Args:
      config: the model's shape.
      dtype: name of the stored weights' type, such as `float32`.
      token_ids: ids by role, `bos`, `eos` (a list, if there are several) and `pad`;
        None where there is no such token, which has to be said: absent means 1 and 2
        to transformers.
    """
    return {
        "architectures": list(_ARCHITECTURES),
        "model_type": _MODEL_TYPE,
        **dataclasses.asdict(config),
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        **{f"{role}_token_id": token_ids.get(role) for role in ("bos", "eos", "pad")},
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def check_vocabulary(num_ids: int, config: LlamaConfig) -> None:
    """Requires that every id of a tokenizer has an embedding.

    A model may have more embeddings than its tokenizer has ids, never fewer.

    Args:
      num_ids: one more than the tokenizer's largest id, special ones included.
      config: the model's.

    Raises:
      ValueError: if the largest id lies beyond the model's embeddings.
    """
    if num_ids > config.vocab_size:
        raise ValueError(
            f"The largest id of the tokenizer is {num_ids - 1}, but the model has only "
            f"{config.vocab_size} embeddings (vocab_size in {NAME}); use the tokenizer "
            "that the model was trained with."
        )


def _require_llama(options, path):
    """Refuses other architectures by name."""
    named = options.get("architectures") or []
    kind = options.get("model_type")
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise ValueError(
            f"{path}: architectures is {named!r:.60}, not a list of names."
        )
    if not isinstance(kind, str | None):
        raise ValueError(f"{path}: model_type is {kind!r:.60}, not a name.")
    foreign = [name for name in named if name not in _ARCHITECTURES]
    if foreign or (kind is not None and kind != _MODEL_TYPE) or not (named or kind):
        name = ", ".join(foreign) or kind or "no architecture"
        raise ValueError(
            f"{path} names {name}; supported is {', '.join(_ARCHITECTURES)} "
            f"(model_type {_MODEL_TYPE!r})."
        )


def _require_supported(options, path):
    """Refuses options that ask for another model, and options unknown here."""
    for name, value in options.items():
        if name in _ONLY and value not in _ONLY[name]:
            raise ValueError(
                f"{path}: {name} {value!r:.60} is not supported, "
                f"only {_ONLY[name][0]!r}."
            )
        known = (*_FIELDS, *_ONLY, *_WITHOUT_EFFECT)
        if name not in known and not name.startswith("_") and value is not None:
            near = difflib.get_close_matches(name, known)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise ValueError(
                f"{path}: unknown option {name!r:.60}. {hint}If it has no effect on "
                "the logits, delete it from the file."
            )


def _rope_theta(options, path):
    """The base of the rotary frequencies in either style; refuses scaled ones."""
    theta = options.get("rope_theta")
    for style in ("rope_parameters", "rope_scaling"):
        given = options.get(style) or {}
        if not isinstance(given, dict):
            raise ValueError(f"{path}: {style} is {given!r:.60}, not an object.")
        rope = dict(given)
        kind = rope.pop("rope_type", rope.pop("type", "default"))
        rope.pop("type", None)
        if kind != "default":
            raise ValueError(
                f"{path}: {style} of type {kind!r:.60} is not supported, only "
                "'default'."
            )
        own = rope.pop("rope_theta", None)
        if own is not None and theta is not None and own != theta:
            raise ValueError(
                f"{path}: rope_theta is {theta!r:.60}, but {own!r:.60} in {style}; "
                "delete the wrong one."
            )
        theta = own if theta is None else theta
        rest = {name: value for name, value in rope.items() if value is not None}
        if rest.pop("partial_rotary_factor", 1.0) != 1.0 or rest:
            raise ValueError(
                f"{path}: {style} {given!r:.60} is not supported, only rope_theta "
                "and rope_type 'default'."
            )
    return _FIELDS["rope_theta"].default if theta is None else theta


def _llama_config(options, path):
    """The configuration, with Hugging Face's defaults for what is absent."""
    missing = [name for name in _REQUIRED if options.get(name) is None]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    values = {name: options[name] for name in _FIELDS if options.get(name) is not None}
    values["rope_theta"] = _rope_theta(options, path)
    for name, value in values.items():
        kind = _TYPES[name]
        wrong_kind = isinstance(value, bool) != (kind is bool)
        if wrong_kind or not isinstance(value, int | float):
            raise ValueError(f"{path}: {name} is {value!r:.60}, not a {kind.__name__}.")
        most = _MOST.get(kind)
        if most and (not 0 < value <= most or kind(value) != value):
            raise ValueError(
                f"{path}: {name} is {value!r:.60}, not a positive {kind.__name__} of "
                f"at most {most}."
            )
        values[name] = kind(value)
    heads = values["num_attention_heads"]
    if "head_dim" not in values and values["hidden_size"] % heads:
        raise ValueError(
            f"{path}: {heads} num_attention_heads do not divide the hidden_size "
            f"{values['hidden_size']}, and there is no head_dim."
        )
    values.setdefault("head_dim", values["hidden_size"] // heads)
    values.setdefault("num_key_value_heads", heads)
    return LlamaConfig(**values)


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
