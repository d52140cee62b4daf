"""The door to Hugging Face checkpoints: any Llama model comes in and goes out here.

A folder holds `config.json` (see `config_file.py`) and the weights, in one
`model.safetensors` or in shards that `model.safetensors.index.json` lists; beside them
lies the tokenizer. Hugging Face stores each layer's matrices by themselves and as
`[outputs, inputs]`, a policy stacks the layers and multiplies from the left. Everything
is checked from the files' headers before a weight is read.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import tokenizers

from nashalign.policies import config_file
from nashalign.policies.config_file import check_vocabulary, read_config
from nashalign.policies.llama import LlamaConfig, llama
from nashalign.policies.policy import Params, Policy

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
# What may lie beside a tokenizer and belongs to it.
_COMPANIONS = (
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)
_TYPES = ("F32", "F16", "BF16", "F64")
_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A checkpoint in memory.

    Attributes:
      policy: the model's pure functions.
      params: its parameters, float32.
      config: its shape.
    """

    policy: Policy
    params: Params
    config: LlamaConfig


def load_pretrained(
    folder: pathlib.Path | str,
    shardings: Callable[[Params], Any] | Any = None,
) -> Pretrained:
    """Loads a Hugging Face folder of the Llama family.

    Weights stored in bfloat16 or float16 become float32: updates smaller than their
    rounding would otherwise be lost.

    Args:
      folder: with `config.json` and `model.safetensors`, or its shards and their index.
      shardings: where the parameters go: a sharding, a pytree of them like the
        parameters, or a function from the pytree of their shapes to one. None is the
        default device.

    Returns:
      The policy, its parameters and its configuration.

    Raises:
      FileNotFoundError: if the folder, `config.json`, the weights or a shard is absent.
      ValueError: if the architecture or an option is not supported, a file is damaged,
        or a tensor is missing, unknown, or of another shape or type than expected.
    """
    folder = pathlib.Path(folder)
    config = read_config(folder)
    policy = llama(config)
    shapes = jax.eval_shape(policy.init, jax.random.key(0))
    with contextlib.ExitStack() as stack:
        stored = {}
        for path in _weight_files(folder):
            file = stack.enter_context(_open(path))
            stored |= {name: (file, path) for name in file.keys()}
        _require_fit(stored, shapes, config, folder)
        params = jax.tree.map_with_path(
            lambda path, leaf: _read_leaf(stored, path, leaf), shapes
        )
    if callable(shardings):
        shardings = shardings(shapes)
    return Pretrained(
        policy=policy, params=jax.device_put(params, shardings), config=config
    )


def save_pretrained(
    folder: pathlib.Path | str,
    params: Params,
    config: LlamaConfig,
    tokenizer_folder: pathlib.Path | str | None = None,
    *,
    dtype: Any = jnp.float32,
) -> None:
    """Writes a Hugging Face folder, which `transformers` loads as well.

    Every file is written beside its place and moved there, `config.json` last: a new
    folder that was not finished has none, and does not load.

    Args:
      folder: made if need be; files of the same names in it are replaced.
      params: parameters of `llama(config)`.
      config: the model's shape.
      tokenizer_folder: where the tokenizer's files are copied from and the ids of its
        special tokens are looked up; None writes a folder without tokenizer.
      dtype: type of the stored weights. Rounding to bfloat16 erases small updates.

    Raises:
      FileNotFoundError: if `tokenizer_folder` lacks one of its two files.
      ValueError: if `params` are not of the shapes of `llama(config)`, or if the
        tokenizer has more ids than the model has embeddings.
      OSError: if the folder cannot be written.
    """
    folder, dtype = pathlib.Path(folder), jnp.dtype(dtype)
    _require_params(params, config)
    token_ids, companions = {}, []
    if tokenizer_folder is not None:
        tokenizer_folder = pathlib.Path(tokenizer_folder)
        token_ids = _token_ids(tokenizer_folder, config)
        companions = [
            tokenizer_folder / name
            for name in _TOKENIZER + _COMPANIONS
            if (tokenizer_folder / name).is_file()
        ]
    tensors = {}
    for path, leaf in jax.tree.leaves_with_path(params):
        tensors |= _tensors(path, np.asarray(leaf).astype(dtype))
    options = config_file.config_options(config, dtype.name, token_ids)
    folder.mkdir(parents=True, exist_ok=True)
    with _replacing(folder / _WEIGHTS) as partial:
        _write_tensors(tensors, partial)
    for source in companions:
        with _replacing(folder / source.name) as partial:
            shutil.copyfile(source, partial)
    with _replacing(folder / config_file.NAME) as partial:
        partial.write_text(json.dumps(options, indent=2) + "\n", "utf-8")


def _weight_files(folder):
    """The files that hold the weights; every one of them exists."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    index = folder / _INDEX
    if not index.is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))
        hint = f"; {', '.join(others)} is of a format not read here" if others else ""
        raise FileNotFoundError(f"{folder} has no {_WEIGHTS} and no {_INDEX}{hint}.")
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{index} has no weight_map; copy it again.") from error
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)} of the {len(names)} shards that "
            f"{_INDEX} lists; copy what is missing."
        )
    return [folder / name for name in names]


def _open(path):
    """Opens a weights file, of which only the header is read."""
    try:
        return safetensors.safe_open(path, framework="np")
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file ({error}); copy it again. A "
            "Git LFS pointer has to be fetched first."
        ) from error


def _require_fit(stored, shapes, config, folder):
    """Compares the headers with what the configuration asks for, tensor by tensor."""
    expected = {}
    for path, leaf in jax.tree.leaves_with_path(shapes):
        expected |= {name: shape for name, shape in _stored_shapes(path, leaf)}
    # Buffers that old versions stored, and a copy of the embedding.
    spare = {name for name in stored if name.endswith("rotary_emb.inv_freq")}
    if config.tie_word_embeddings and _HEAD in stored:
        spare.add(_HEAD)
        expected_head = {_HEAD: expected[_EMBEDDING]}
    else:
        expected_head = {}
    missing = [name for name in expected if name not in stored]
    unknown = [name for name in stored if name not in expected and name not in spare]
    for what, names in (("lacks", missing), ("has unknown", unknown)):
        if names:
            raise ValueError(
                f"The checkpoint in {folder} {what} {_some(names)}; its weights do not "
                f"belong to its {config_file.NAME}."
            )
    for name, shape in (expected | expected_head).items():
        file, path = stored[name]
        part = file.get_slice(name)
        if tuple(part.get_shape()) != shape:
            raise ValueError(
                f"{path}: {name} has shape {tuple(part.get_shape())}, but "
                f"{config_file.NAME} asks for {shape}."
            )
        if part.get_dtype() not in _TYPES:
            raise ValueError(
                f"{path}: {name} is stored as {part.get_dtype()}; read are "
                f"{', '.join(_TYPES)}."
            )
    if expected_head:
        _require_tied(stored, folder)


def _require_tied(stored, folder):
    """Refuses a stored output matrix that is not the embedding it should be tied to."""
    head, embedding = (stored[name][0].get_tensor(name) for name in (_HEAD, _EMBEDDING))
    if not np.array_equal(head, embedding):
        raise ValueError(
            f"The checkpoint in {folder} has a {_HEAD} that differs from {_EMBEDDING}, "
            f"but its {config_file.NAME} says tie_word_embeddings; set that to false."
        )


def _require_params(params, config):
    """Refuses parameters of another model than the configuration's."""
    shapes = jax.eval_shape(llama(config).init, jax.random.key(0))
    expected, given = (
        {
            jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape
            for path, leaf in jax.tree.leaves_with_path(tree)
        }
        for tree in (shapes, params)
    )
    wrong = [
        f"{name} is {given.get(name, 'absent')}, not {expected.get(name, 'expected')}"
        for name in sorted(expected | given)
        if given.get(name) != expected.get(name)
    ]
    if wrong:
        raise ValueError(f"The parameters do not fit the config: {_some(wrong)}.")


def _names(path, num_layers):
    """Hugging Face's names of a leaf: one, or one for each layer of a stack."""
    *modules, _ = (entry.key for entry in path)
    if modules[0] == "lm_head":
        return [_HEAD]
    if modules[0] != "layers":
        return [f"model.{modules[0]}.weight"]
    rest = modules[1:]
    if rest[0] in ("gate_proj", "up_proj", "down_proj"):
        rest = ["mlp", *rest]
    return [f"model.layers.{n}.{'.'.join(rest)}.weight" for n in range(num_layers)]


def _is_stacked(path):
    """Whether a leaf holds one array for each layer."""
    return path[0].key == "layers"


def _is_kernel(path):
    """Whether a leaf is stored transposed."""
    return path[-1].key == "kernel"


def _stored_shapes(path, leaf):
    """Pairs of a stored tensor's name and its shape."""
    shape = leaf.shape[1:] if _is_stacked(path) else leaf.shape
    shape = shape[::-1] if _is_kernel(path) else shape
    return [(name, shape) for name in _names(path, leaf.shape[0])]


def _read_leaf(stored, path, leaf):
    """One leaf in float32, its layers stacked and its matrices turned."""
    whole = np.empty(leaf.shape, np.float32)
    parts = whole if _is_stacked(path) else whole[None]
    for part, name in zip(parts, _names(path, leaf.shape[0]), strict=True):
        tensor = stored[name][0].get_tensor(name)
        part[...] = tensor.T if _is_kernel(path) else tensor
    return whole


def _tensors(path, leaf):
    """Stored tensors of a leaf, by name."""
    parts = leaf if _is_stacked(path) else leaf[None]
    # The writer copies memory as it lies, so a transposed view would be stored wrongly.
    return {
        name: np.ascontiguousarray(part.T if _is_kernel(path) else part)
        for name, part in zip(_names(path, leaf.shape[0]), parts, strict=True)
    }


def _write_tensors(tensors, path):
    """Writes a safetensors file; its failures are of the disk."""
    try:
        safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error


def _token_ids(folder, config):
    """Ids of the special tokens by role, None where the tokenizer has none."""
    for name in _TOKENIZER:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"The tokenizer folder {folder} has no {name}; it needs "
                f"{' and '.join(_TOKENIZER)}."
            )
    backend = tokenizers.Tokenizer.from_file(str(folder / _TOKENIZER[0]))
    check_vocabulary(backend.get_vocab_size(with_added_tokens=True), config)
    options = json.loads((folder / _TOKENIZER[1]).read_text("utf-8"))
    ids = {}
    for role in ("bos", "eos", "pad"):
        token = options.get(f"{role}_token")
        text = token.get("content") if isinstance(token, dict) else token
        ids[role] = None if text is None else backend.token_to_id(text)
    return ids


def _some(names, limit=3):
    """The first few names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


@contextlib.contextmanager
def _replacing(path):
    """A temporary file beside `path`, moved there once it is whole."""
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        # Without this, a power cut may leave the new name with no content.
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"cannot write {path}: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)
