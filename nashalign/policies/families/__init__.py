"""The families of models: what each one's Hugging Face folders have of their own."""

from nashalign.policies.families.family import Config, Family
from nashalign.policies.families.llama import LlamaConfig, llama
from nashalign.policies.families.registry import (
    family_of,
    known_families,
    register_family,
)

__all__ = [
    "Config",
    "Family",
    "LlamaConfig",
    "family_of",
    "known_families",
    "llama",
    "register_family",
]
