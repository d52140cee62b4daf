"""A GGUF file's shape and weights, as a Llama policy has them.

Weights are stored one layer after another, possibly quantised, and the rows of queries
and keys in the order in which llama.cpp turns them: pairs of neighbours, where Hugging
Face turns the two halves of a head.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from nashalign import policies

TYPES = ("F32", "F16", "Q8_0", "Q4_0", "Q4_1")

# Ours -> what the file calls them.
_FIELDS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
_OPTIONAL = {
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "rope_theta": "rope.freq_base",
}
# These say the same once more, or nothing of the numbers.
_CHECKED = ("attention.value_length", "rope.dimension_count", "vocab_size")
_LAYERS = {
    "attn_norm": ("input_layernorm", "scale"),
    "ffn_norm": ("post_attention_layernorm", "scale"),
    "attn_q": ("self_attn", "q_proj", "kernel"),
    "attn_k": ("self_attn", "k_proj", "kernel"),
    "attn_v": ("self_attn", "v_proj", "kernel"),
    "attn_output": ("self_attn", "o_proj", "kernel"),
    "ffn_gate": ("gate_proj", "kernel"),
    "ffn_up": ("up_proj", "kernel"),
    "ffn_down": ("down_proj", "kernel"),
}
_OTHERS = {
    "token_embd": ("embed_tokens", "embedding"),
    "output_norm": ("norm", "scale"),
    "output": ("lm_head", "kernel"),
}


def read_config(
    fields: Mapping[str, Any], tensors: Mapping[str, Any], path: pathlib.Path
) -> policies.LlamaConfig:
    """Returns the shape of the model.

    Args:
      fields: of the file, by name.
      tensors: of the file, by name.
      path: of the file, to begin a message with.

    Raises:
      ValueError: it is of another architecture, has an option that would change the
        numbers, or lacks one; the option is named.
    """
    architecture = fields.get("general.architecture")
    if architecture != "llama":
        raise ValueError(
            f"{path}: the architecture is {architecture!r:.60}; read is 'llama'."
        )
    own = {
        name.removeprefix("llama."): _meant(value)
        for name, value in fields.items()
        if name.startswith("llama.")
    }
    known = {*_FIELDS.values(), *_OPTIONAL.values(), *_CHECKED}
    if unknown := sorted(own.keys() - known):
        raise ValueError(
            f"{path} has llama.{', llama.'.join(unknown)}, which is not supported and "
            "may change the numbers."
        )
    if missing := sorted(set(_FIELDS.values()) - own.keys()):
        raise ValueError(f"{path} lacks llama.{missing[0]}.")
    values: dict[str, Any] = {name: own[it] for name, it in _FIELDS.items()}
    values |= {name: own[called] for name, called in _OPTIONAL.items() if called in own}
    heads = values["num_attention_heads"]
    values.setdefault("num_key_value_heads", heads)
    values.setdefault("head_dim", values["hidden_size"] // heads)
    embedding = tensors.get("token_embd.weight")
    if embedding is None:
        raise ValueError(f"{path} lacks the tensor token_embd.weight.")
    size = int(embedding.shape[-1])
    told = {"attention.value_length": values["head_dim"], "vocab_size": size}
    told["rope.dimension_count"] = values["head_dim"]
    for name, expected in told.items():
        if own.get(name, expected) != expected:
            raise ValueError(
                f"{path}: llama.{name} is {own[name]}, and the model has {expected}."
            )
    return policies.LlamaConfig(
        vocab_size=size, tie_word_embeddings="output.weight" not in tensors, **values
    )


def read_params(
    tensors: Mapping[str, Any], config: policies.LlamaConfig, path: pathlib.Path
) -> dict[str, Any]:
    """Returns the parameters of the policy, float32.

    Args:
      tensors: of the file, by name.
      config: the model's shape.
      path: of the file, to begin a message with.

    Raises:
      ValueError: a tensor is missing, unknown, or of a type that is not read.
    """
    numbers = range(config.num_hidden_layers)
    wanted = {f"{name}.weight" for name in _OTHERS if name != "output"}
    wanted |= {f"blk.{number}.{name}.weight" for number in numbers for name in _LAYERS}
    if not config.tie_word_embeddings:
        wanted.add("output.weight")
    for what, names in (
        ("lacks", wanted - tensors.keys()),
        ("has unknown", tensors.keys() - wanted),
    ):
        if names:
            raise ValueError(f"{path} {what} {', '.join(sorted(names)[:3])}.")
    found: dict[str, Any] = {}
    for name, leaf in _OTHERS.items():
        if f"{name}.weight" in wanted:
            _put(found, leaf, _read(tensors[f"{name}.weight"], leaf, path))
    heads = {
        "attn_q": config.num_attention_heads,
        "attn_k": config.num_key_value_heads,
    }
    for name, leaf in _LAYERS.items():
        parts = [
            _read(tensors[f"blk.{number}.{name}.weight"], leaf, path, heads.get(name))
            for number in numbers
        ]
        _put(found, ("layers", *leaf), np.stack(parts))
    return found


def halves(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """Returns rows of queries or keys with the halves of each head one after another.

    Args:
      rows: `[H * head, D]`, in each head pairs of neighbours that turn together.
      num_heads: `H`.
    """
    pairs = rows.reshape(num_heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _meant(value: Any) -> Any:
    """The decimal number that one of four bytes was written for."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _read(tensor, leaf, path, num_heads=None):
    """A tensor in float32, as the policy has it."""
    from gguf import quants  # pyright: ignore[reportMissingImports]

    kind = tensor.tensor_type.name
    if kind not in TYPES:
        raise ValueError(
            f"{path}: {tensor.name} is stored as {kind}; read are {', '.join(TYPES)}."
        )
    values = quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: {tensor.name} holds NaN or infinity; copy it again.")
    if num_heads is not None:
        values = halves(values, num_heads)
    return values.T if leaf[-1] == "kernel" else values


def _put(tree, leaf, values):
    """Puts a leaf into nested dictionaries."""
    for key in leaf[:-1]:
        tree = tree.setdefault(key, {})
    tree[leaf[-1]] = values
