"""Reading and writing `config.json`, the description of a Hugging Face checkpoint.

It comes in two styles: transformers 4 writes `rope_theta` and `torch_dtype`,
transformers 5 `rope_parameters` and `dtype`. Both are read, and both are written. An
option that would change the numbers, and one that nobody here knows, are errors: a
model that is silently not the one that was trained is worse than none.
"""

import difflib
import pathlib
import typing
from collections.abc import Sequence
from typing import Any

from nashalign import json_file
from nashalign.policies.families import (
    Config,
    Family,
    family_of,
    known_families,
    option_names,
    refused,
)

NAME = "config.json"
# The largest numbers: ids, positions and sizes are counted in 32 bits, and computed so.
_MOST = {int: 2**31 - 1, float: 3.4e38}

WITHOUT_EFFECT = frozenset(
    """
    architectures attention_dropout bos_token_id chunk_size_feed_forward do_sample dtype
    eos_token_id id2label initializer_range is_decoder is_encoder_decoder
    is_llama_config label2id max_length max_sequence_length model_type output_attentions
    output_hidden_states pad_token_id pretraining_tp problem_type return_dict
    sep_token_id temperature tokenizer_class top_p torch_dtype transformers.js_config
    transformers_version unsloth_fixed unsloth_version use_cache
    """.split()
)
"""Options that are known, and that logits do not depend on."""


def read_config(
    folder: pathlib.Path, families: Sequence[Family] | None = None
) -> tuple[Family, Config]:
    """Reads the shape of a model from a folder's `config.json`.

    Args:
      folder: a Hugging Face model folder.
      families: those that it may be of; all that are known unless given.

    Returns:
      Its family and its shape, in which what is absent has the family's default.

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
    families = known_families() if families is None else families
    family = _family(options, path, families)
    _require_supported(family, options, path)
    return family, _complete(family, options, path)


def config_options(
    config: Config, dtype: str, token_ids: dict[str, int | list[int] | None]
) -> dict[str, Any]:
    """Returns the content of `config.json`, in both styles at once.

    Args:
      config: the model's shape.
      dtype: name of the stored weights' type, such as `float32`.
      token_ids: ids by role, `bos`, `eos` (a list, if there are several) and `pad`;
        None where there is no such token, which has to be said: absent means 1 and 2
        to transformers.
    """
    family, shape = family_of(config), typing.cast(Any, config)
    names = option_names(type(shape))
    return {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        **{name: getattr(shape, own) for own, name in names.items()},
        **family.written(config),
        **{f"{role}_token_id": token_ids.get(role) for role in ("bos", "eos", "pad")},
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def check_vocabulary(num_ids: int, config: Config) -> None:
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


def _family(options, path, families):
    """The family that the file names; other architectures are refused by name."""
    named = options.get("architectures") or []
    kind = options.get("model_type")
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise ValueError(
            f"{path}: architectures is {named!r:.60}, not a list of names."
        )
    if not isinstance(kind, str | None):
        raise ValueError(f"{path}: model_type is {kind!r:.60}, not a name.")
    for family in families:
        fits = kind in (None, family.model_type)
        if fits and (named or kind) and set(named) <= {family.architecture}:
            return family
    known = {family.architecture: family.model_type for family in families}
    foreign = [name for name in named if name not in known]
    name = ", ".join(foreign) or kind or "no architecture"
    supported = (f"{name} (model_type {kind!r})" for name, kind in known.items())
    why = refused.reason(kind, foreign)
    what = f"names {name}, {why}" if why else f"names {name}"
    raise ValueError(f"{path} {what}; supported is {', '.join(supported)}.")


def _require_supported(family, options, path):
    """Refuses options that ask for another model, and options unknown here."""
    for name, value in options.items():
        if name in family.only and value not in family.only[name]:
            raise ValueError(
                f"{path}: {name} {value!r:.60} is not supported, "
                f"only {family.only[name][0]!r}."
            )
        fields = option_names(family.config).values()
        known = (*fields, *family.only, *family.known, *WITHOUT_EFFECT)
        if name not in known and not name.startswith("_") and value is not None:
            near = difflib.get_close_matches(name, known)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise ValueError(
                f"{path}: unknown option {name!r:.60}. {hint}If it has no effect on "
                "the logits, delete it from the file."
            )


def _complete(family, options, path):
    """The shape, with Hugging Face's defaults for what is absent."""
    missing = [name for name in family.required if options.get(name) is None]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    kinds, names = typing.get_type_hints(family.config), option_names(family.config)
    values = {
        own: options[name]
        for own, name in names.items()
        if options.get(name) is not None
    }
    values |= family.gather(options, path)
    for own in values.keys() & names.keys():
        values[own] = _number(path, names[own], values[own], kinds[own])
    return family.complete(values, path)


def _number(path, name, value, kind):
    """A value of the shape, of its kind and in the range of numbers."""
    wrong_kind = isinstance(value, bool) != (kind is bool)
    if wrong_kind or not isinstance(value, int | float):
        raise ValueError(f"{path}: {name} is {value!r:.60}, not a {kind.__name__}.")
    most = _MOST.get(kind)
    if most and (not 0 < value <= most or kind(value) != value):
        raise ValueError(
            f"{path}: {name} is {value!r:.60}, not a positive {kind.__name__} of "
            f"at most {most}."
        )
    return kind(value)
