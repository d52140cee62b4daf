"""What a run was begun with, as JSON, and how two such records differ."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from typing import Any

import jax

from nashalign.training import processes


def differences(old, new, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Returns settings that differ, by dotted name; what is not there is "(absent)"."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(prefix, old, new)]
    absent = "(absent)"
    return [
        difference
        for key in sorted(old.keys() | new.keys())
        for difference in differences(
            old.get(key, absent),
            new.get(key, absent),
            f"{prefix}.{key}" if prefix else key,
        )
    ]


def environment() -> dict[str, str]:
    """Returns what bit-identical resuming depends on besides the configuration."""
    packages = ("jax", "jaxlib", "flax", "optax")
    devices = jax.devices()
    # On how many cores a sum is shared out decides how it is rounded.
    cores = processes.cores() if devices[0].platform == "cpu" else ()
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        **({"cores": str(len(cores))} if cores else {}),
    }


def plain(config) -> dict:
    """Returns a configuration as JSON gives it back: tuples are lists, paths text."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    return json.loads(as_json(config))


def as_json(value: Any) -> str:
    """Returns readable JSON of a configuration."""
    return json.dumps(value, indent=2, allow_nan=False, default=_encoded) + "\n"


def _encoded(value):
    """What JSON holds of a path or of a dataclass inside a mapping."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(
        f"a configuration holds plain values, not the {type(value).__name__} {value!r}"
    )
