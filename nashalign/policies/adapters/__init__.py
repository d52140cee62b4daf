"""Adapters of a checkpoint: made, and read and written in PEFT's format."""

from nashalign.policies.adapters.config_file import read_lora
from nashalign.policies.adapters.stored import (
    WEIGHTS,
    our_targets,
    read_adapters,
    require_storable,
    write_adapters,
)

__all__ = [
    "WEIGHTS",
    "our_targets",
    "read_adapters",
    "read_lora",
    "require_storable",
    "write_adapters",
]
