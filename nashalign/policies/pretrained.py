"""Hugging Face checkpoints of known families, read and written.

A folder holds `config.json` (see `config_file.py`) and the weights (see `weights.py`),
in one `model.safetensors` or in shards that `model.safetensors.index.json` lists;
beside them lies the tokenizer.
"""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nashalign import checks, conventions, writing
from nashalign.policies import adapters, config_file, weights
from nashalign.policies.config_file import check_vocabulary, read_config
from nashalign.policies.families import Config, Family, family_of
from nashalign.policies.lora import Lora, join
from nashalign.policies.policy import Params, Policy

# What belongs to a tokenizer, in its folder.
TOKENIZER_FILES = (
    conventions.TOKENIZER,
    conventions.SETTINGS,
    "special_tokens_map.json",
    *conventions.TEMPLATES,
    conventions.GENERATION,
)

# A sharding, a pytree of them, or a function from a pytree of shapes to one of either.
Shardings = jax.sharding.Sharding | Mapping[str, Any] | Callable[[Params], Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint in memory.

    Attributes:
      policy: the model's pure functions.
      params: its parameters.
      config: its shape.
      lora: the adapters that it has; None where it has none.
    """

    policy: Policy
    params: Params
    config: Config
    lora: Lora | None = None


def load_pretrained(
    folder: pathlib.Path | str,
    shardings: Shardings | None = None,
    *,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> Pretrained:
    """Loads a Hugging Face folder of a known family, such as Llama.

    Every weight is read for the devices that it goes to: beside the parameters, the
    host holds at most the largest of them, all its layers (or a device's share of it).
    The folder of an adapter in PEFT's format names that of its base, and both are
    loaded; adapters are float32.

    Args:
      folder: with `config.json` and `model.safetensors`, or its shards and their index.
      shardings: where the parameters go: a sharding, a pytree of them like the
        parameters, or a function from the pytree of their shapes to one. None is the
        default device.
      dtype: what the parameters become, whatever they are stored in. In less than
        float32, updates smaller than its rounding are lost: that is for a policy that
        is not trained.

    Returns:
      The policy, its parameters and its configuration.

    Raises:
      FileNotFoundError: if the folder, `config.json`, the weights or a shard is absent.
      ValueError: if the architecture or an option is not supported, a file is damaged,
        or a tensor is missing, unknown, not finite, or of another shape or type than
        expected.
      TypeError: if `dtype` is no floating type.
    """
    folder, dtype = pathlib.Path(folder), floating(dtype)
    base = conventions.base_folder(folder)
    if base is not None:
        return _adapted(folder, base, shardings, dtype)
    family, config = read_config(folder)
    policy = family.build(config)
    shapes = jax.eval_shape(policy.init, jax.random.key(0))
    if callable(shardings):
        shardings = shardings(shapes)
    params = weights.read_weights(folder, family, config, shapes, shardings, dtype)
    return Pretrained(policy=policy, params=params, config=config)


def _adapted(folder, base, shardings, dtype) -> Pretrained:
    """A base and the adapters in a folder of their own."""
    lora = adapters.read_lora(folder)
    if conventions.base_folder(base) is not None:
        raise ValueError(
            f"{folder} has an adapter for {base}, which is one itself; merge that one "
            "into its base."
        )
    start = load_pretrained(base, shardings, dtype=dtype)
    family = family_of(start.config)
    lora = adapters.our_targets(family, start.config, start.params, lora, folder)
    policy = family.build(start.config, lora)
    shapes = jax.eval_shape(policy.init, jax.random.key(0))
    own = adapters.read_adapters(folder, family, start.config, shapes)
    if callable(shardings):
        shardings = shardings(own)
    return Pretrained(
        policy=policy,
        params=join(start.params, jax.device_put(own, shardings)),
        config=start.config,
        lora=lora,
    )


def save_pretrained(
    folder: pathlib.Path | str,
    params: Params,
    config: Config,
    tokenizer_folder: pathlib.Path | str | None = None,
    *,
    dtype: jax.typing.DTypeLike = jnp.float32,
    max_shard_size: int = 5_000_000_000,
) -> None:
    """Writes a Hugging Face folder, which `transformers` loads as well.

    Every file is written beside its place. Then they are moved there together, and
    those of an earlier model removed, while there is no `config.json`: a folder loads
    as what it was, as what is saved, or, if just then all ends, not at all. One tensor
    after another passes through the host.

    Args:
      folder: made if need be; files of the same names in it are replaced.
      params: parameters of the policy of that shape.
      config: the model's shape.
      tokenizer_folder: where the tokenizer's files are copied from and the ids of its
        special tokens are looked up; None writes a folder without tokenizer. Its end
        tokens are written as they are found, and a chat template is kept.
      dtype: type of the stored weights. Rounding to bfloat16 erases small updates.
      max_shard_size: of how many bytes the weights of a file are at most; more are
        written in shards, with `model.safetensors.index.json`.

    Raises:
      FileNotFoundError: if `tokenizer_folder` lacks one of its two files.
      ValueError: if `params` are not of the shapes of that policy's, or if the
        tokenizer has more ids than the model has embeddings.
      TypeError: if the config is of no known family, or `dtype` no floating type.
      OSError: if the folder cannot be written.
    """
    folder, dtype = pathlib.Path(folder), floating(dtype)
    write_folder(
        folder,
        family_of(config),
        params,
        config,
        tokenizer_folder,
        dtype=dtype,
        max_shard_size=max_shard_size,
    )


def write_folder(
    folder: pathlib.Path,
    family: Family,
    params: Params,
    config: Config,
    tokenizer_folder: pathlib.Path | str | None,
    *,
    dtype: jnp.dtype,
    max_shard_size: int,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Writes the folder of a model of a family: see `save_pretrained`.

    Args:
      folder: made if need be.
      family: which says where the parameters are stored.
      params: the parameters.
      config: the model's shape.
      tokenizer_folder: of the tokenizer that goes along.
      dtype: type of the stored weights.
      max_shard_size: bytes of weights in a file.
      options: what `config.json` says beside or instead of what the shape does.
    """
    checks.whole(max_shard_size, "max_shard_size", least=1)
    shapes = jax.eval_shape(family.build(config).init, jax.random.key(0))
    weights.require_params(params, shapes)
    token_ids, companions = {}, []
    if tokenizer_folder is not None:
        token_ids = _token_ids(pathlib.Path(tokenizer_folder), config)
        companions = _companions(pathlib.Path(tokenizer_folder))
    told = config_file.config_options(config, dtype.name, token_ids)
    shards = weights.sharded(family, config, shapes, dtype, max_shard_size)
    texts: dict[str, Any] = {config_file.NAME: {**told, **(options or {})}}
    if len(shards) > 1:
        texts[weights.INDEX] = weights.index_of(shards, dtype)
    for left in folder.glob(f"{writing.TEMPORARY}*.safetensors"):
        left.unlink()
    # An adapter would be taken for what the folder holds, a template for its model's.
    others = {conventions.ADAPTER, adapters.WEIGHTS}
    others |= {*TOKENIZER_FILES} if companions else set()
    stale = weights.usual_files(folder) | others
    stale -= {*shards, *texts, *(source.name for source in companions)}
    with writing.replacing_together(folder, config_file.NAME, stale) as beside:
        for name, tensors in shards.items():
            with beside(name) as partial:
                weights.write_weights(partial, tensors, params, dtype)
        for source in companions:
            with beside(source.name) as partial:
                shutil.copyfile(source, partial)
        for name, content in texts.items():
            with beside(name) as partial:
                partial.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def floating(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """Returns a type of parameters.

    Raises:
      TypeError: it is no floating type.
    """
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype is {dtype}; parameters are floating numbers")
    return dtype


def _companions(folder):
    """The files of a tokenizer; an adapter's may lie beside its base alone."""
    base = conventions.base_folder(folder)
    if base is not None and not (folder / conventions.TOKENIZER).is_file():
        return _companions(base)
    places = [folder / name for name in TOKENIZER_FILES]
    return [place for place in places if place.is_file()]


def _token_ids(folder, config):
    """Ids of the special tokens by role, None where there is none.

    Of several end tokens it is the list, as Hugging Face writes it.
    """
    backend, settings = conventions.read_tokenizer(folder)
    check_vocabulary(conventions.num_ids(backend), config)
    ids = {
        role: conventions.special_id(backend, settings, role, folder)
        for role in ("bos", "pad")
    }
    ends = list(conventions.end_ids(backend, settings, folder))
    return ids | {"eos": ends if len(ends) > 1 else next(iter(ends), None)}
