"""Models with a score in the place of logits, as Hugging Face's folders.

Such a folder is that of `...ForSequenceClassification` with one label: the body of a
family, no output matrix, and `score.weight`, whose product with the state of a text's
last token is its score. That is what reward models are published as.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import json_file
from nashalign.policies import config_file, weights
from nashalign.policies.families import (
    Config,
    Family,
    Place,
    family_of,
    known_families,
)
from nashalign.policies.policy import Params
from nashalign.policies.pretrained import (
    Pretrained,
    Shardings,
    floating,
    write_folder,
)


def is_scorer(folder: pathlib.Path) -> bool:
    """Returns whether a folder's `config.json` names the class of such a model."""
    path = folder / config_file.NAME
    named = json_file.read_object(path).get("architectures") if path.is_file() else None
    classes = {family.scorer for family in known_families()} - {None}
    return isinstance(named, list) and any(name in named for name in classes)


def require_scorer(config: Config) -> None:
    """Requires a shape whose family has folders of models with a score.

    Raises:
      ValueError: it has none.
    """
    if family_of(config).scorer is None:
        raise ValueError(
            f"no folder holds a model of {family_of(config).model_type} with a score "
            "for its head; begin with a decoder of another family"
        )


def load_scorer(
    folder: pathlib.Path | str,
    shardings: Shardings | None = None,
    *,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> Pretrained:
    """Loads the folder of a model with a score.

    Args:
      folder: as `load_pretrained` takes it, of `...ForSequenceClassification` with one
        label.
      shardings: see `load_pretrained`.
      dtype: see `load_pretrained`.

    Returns:
      The body as a policy whose logits mean nothing, its shape, and parameters:
      `"policy"`, the body's, and `"head"` `[D]`.

    Raises:
      FileNotFoundError: see `load_pretrained`.
      ValueError: see `load_pretrained`; or it has another number of labels than one, or
        what they mean is no regression.
      TypeError: see `load_pretrained`.
    """
    folder, dtype = pathlib.Path(folder), floating(dtype)
    families = [_scorer(family) for family in known_families() if family.scorer]
    family, config = config_file.read_config(folder, families)
    policy = family.build(config)
    shapes = jax.eval_shape(policy.init, jax.random.key(0))
    if callable(shardings):
        shardings = shardings(shapes)
    params = weights.read_weights(folder, family, config, shapes, shardings, dtype)
    head = params["head"]["kernel"][:, 0]
    return Pretrained(
        policy=policy,
        params={"policy": params["policy"], "head": head},
        config=_headless(config),
    )


def save_scorer(
    folder: pathlib.Path | str,
    params: Params,
    config: Config,
    tokenizer_folder: pathlib.Path | str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    dtype: jax.typing.DTypeLike = jnp.float32,
    max_shard_size: int = 5_000_000_000,
) -> None:
    """Writes a folder that `AutoModelForSequenceClassification` of transformers loads.

    Args:
      folder: see `save_pretrained`, as all that is not named here.
      params: `"policy"`, a policy's, and `"head"` `[D]`.
      config: that policy's shape. Its output matrix, if it has one, is not written.
      tokenizer_folder: of the tokenizer.
      options: what `config.json` says beside or instead of what the shape does, such
        as another `pad_token_id`: transformers reads the last token that is not that.
      dtype: type of the stored weights.
      max_shard_size: bytes of weights in a file.

    Raises:
      FileNotFoundError: see `save_pretrained`.
      ValueError: see `save_pretrained`; or models of that family have no such folder.
      TypeError: see `save_pretrained`.
      OSError: see `save_pretrained`.
    """
    require_scorer(config)
    family = family_of(config)
    body = {name: own for name, own in params["policy"].items() if name != "lm_head"}
    write_folder(
        pathlib.Path(folder),
        _scorer(family),
        {"policy": body, "head": {"kernel": params["head"][:, None]}},
        _headless(config),
        tokenizer_folder,
        dtype=floating(dtype),
        max_shard_size=max_shard_size,
        options={
            "architectures": [family.scorer],
            "id2label": {"0": "LABEL_0"},
            "label2id": {"LABEL_0": 0},
            **(options or {}),
        },
    )


def _headless(config: Any) -> Any:
    """The shape of a body without an output matrix of its own."""
    return dataclasses.replace(config, tie_word_embeddings=True)


def _scorer(family: Family) -> Family:
    """The family of bodies with a score: what its folders have of their own."""

    def build(config, lora=None):
        policy = family.build(_headless(config), lora)

        def init(key):
            head = jnp.zeros((policy.width, 1))
            return {"policy": policy.init(key), "head": {"kernel": head}}

        return dataclasses.replace(policy, init=init)

    def stored(config, path, layer):
        if path[0] == "head":
            return Place(tensor="score.weight", turned=True)
        return family.stored(config, path[1:], layer)

    def gather(options, path):
        labels = options.get("id2label")
        number = (
            len(labels) if isinstance(labels, dict) else options.get("num_labels", 2)
        )
        if number != 1:
            raise ValueError(
                f"{path}: num_labels is {number!r:.60} (labels in id2label; 2 where a "
                "file says nothing); a reward model has one."
            )
        return family.gather(options, path)

    return dataclasses.replace(
        family,
        architecture=family.scorer,
        build=build,
        stored=stored,
        gather=gather,
        # Training that begins with a language model may leave its output matrix.
        output="",
        superfluous=(*family.superfluous, family.output),
        only={**family.only, "problem_type": ("regression", None)},
        known=(*family.known, "num_labels"),
    )
