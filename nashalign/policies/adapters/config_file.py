"""Reading and writing `adapter_config.json`, PEFT's description of an adapter.

What would change the numbers and is not done here is refused by name; what is absent,
or says that it is not so, changes nothing.
"""

import dataclasses
import json
import pathlib
from typing import Any

from nashalign import conventions, json_file
from nashalign.policies.lora import Lora

ALL = "all-linear"

# Read below, or without effect on what the adapters compute.
_KNOWN = frozenset(
    """
    alpha_pattern auto_mapping base_model_name_or_path bias fan_in_fan_out
    inference_mode init_lora_weights layers_pattern lora_alpha lora_dropout
    megatron_core peft_type peft_version qalora_group_size r rank_pattern revision
    runtime_config target_modules task_type use_rslora
    """.split()
)
# Ways to begin that leave the base as it is.
_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")


def read_lora(folder: pathlib.Path) -> Lora:
    """Reads rank, scale and places from `adapter_config.json`.

    Args:
      folder: of the adapter.

    Returns:
      Those, its targets being names of stored modules.

    Raises:
      FileNotFoundError: it does not exist.
      ValueError: it is no JSON object, something is missing in it, or it has an option
        that would change the numbers and is not supported; the option is named.
    """
    path = folder / conventions.ADAPTER
    options = json_file.read_object(path)
    _require_plain(options, path)
    targets: Any = options.get("target_modules")
    if targets != ALL and not _is_names(targets):
        raise ValueError(
            f"{path}: target_modules is {targets!r:.60}; read are a list of names, and "
            f"{ALL!r}."
        )
    lora = Lora(
        rank=_number(options, "r", path),
        alpha=_number(options, "lora_alpha", path),
        targets=None if targets == ALL else tuple(targets),
        rank_stabilized=bool(options.get("use_rslora")),
    )
    _require_one_scale(options, lora, path)
    return lora


def adapter_options(
    lora: Lora,
    modules: dict[str, int],
    *,
    base: pathlib.Path,
    task_type: str,
    turned: bool,
) -> str:
    """Returns the text of `adapter_config.json`.

    Args:
      lora: rank and scale.
      modules: stored module -> of how many of ours its adapter is made.
      base: the folder of the base.
      task_type: PEFT's name of what the model is for.
      turned: whether kernels are stored as `[outputs, inputs]`.
    """
    joint = {name: lora.rank * own for name, own in modules.items() if own > 1}
    power = 0.5 if lora.rank_stabilized else 1.0
    options = {
        "alpha_pattern": {n: lora.scale * rank**power for n, rank in joint.items()},
        "base_model_name_or_path": str(base.resolve()),
        "bias": "none",
        "fan_in_fan_out": not turned,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": joint,
        "target_modules": sorted(modules),
        "task_type": task_type,
        "use_dora": False,
        "use_rslora": lora.rank_stabilized,
    }
    return json.dumps(options, indent=2) + "\n"


def _require_plain(options: dict[str, Any], path: pathlib.Path) -> None:
    """Refuses what would change the numbers, by name."""
    if options.get("peft_type") != "LORA":
        raise ValueError(
            f"{path}: peft_type is {options.get('peft_type')!r:.60}; read is 'LORA'."
        )
    changed = [name for name, own in options.items() if own and name not in _KNOWN]
    if options.get("bias", "none") != "none":
        changed.append("bias")
    if options.get("init_lora_weights", True) not in _BEGINNINGS:
        changed.append("init_lora_weights")
    if changed:
        shown = ", ".join(f"{name} {options[name]!r:.60}" for name in sorted(changed))
        raise ValueError(
            f"{path} has {shown}, which is not supported and may change the numbers; "
            "merge the adapter into its base with PEFT, and load that."
        )


def _require_one_scale(options, lora: Lora, path: pathlib.Path) -> None:
    """Refuses modules whose adapters are scaled in another way than the others'."""
    ranks, alphas = (
        options.get(name) or {} for name in ("rank_pattern", "alpha_pattern")
    )
    if not isinstance(ranks, dict) or not isinstance(alphas, dict):
        raise ValueError(f"{path}: rank_pattern and alpha_pattern must be objects.")
    for name in {*ranks, *alphas}:
        own = {"r": ranks.get(name, options["r"])}
        own["lora_alpha"] = alphas.get(name, options["lora_alpha"])
        other = dataclasses.replace(
            lora,
            rank=_number(own, "r", path),
            alpha=_number(own, "lora_alpha", path),
        )
        if abs(other.scale - lora.scale) > 1e-6 * lora.scale:
            raise ValueError(
                f"{path}: rank_pattern and alpha_pattern scale {name} by "
                f"{other.scale:.6g}, and the others are scaled by {lora.scale:.6g}; "
                "one scale for all is supported."
            )


def _number(options: dict[str, Any], name: str, path: pathlib.Path) -> Any:
    """A positive number; a whole one, if it is a rank."""
    value = options.get(name)
    kinds = int if name == "r" else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool) and value > 0
    if not good:
        raise ValueError(f"{path}: {name} is {value!r:.60}, not a positive number.")
    return value


def _is_names(value):
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(name, str) for name in value)
    )
