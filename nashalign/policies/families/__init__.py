"""The families of models: what each one's Hugging Face folders have of their own."""

from nashalign.policies.families.family import Config, Family, Place, option_names
from nashalign.policies.families.gemma import Gemma2Config
from nashalign.policies.families.gemma3 import Gemma3Config
from nashalign.policies.families.gpt2 import GPT2Config
from nashalign.policies.families.llama import LlamaConfig, llama
from nashalign.policies.families.mistral import MistralConfig
from nashalign.policies.families.neox import GPTNeoXConfig
from nashalign.policies.families.olmo import Olmo2Config
from nashalign.policies.families.phi import Phi3Config
from nashalign.policies.families.qwen import Qwen2Config, Qwen3Config
from nashalign.policies.families.registry import (
    family_of,
    known_families,
    register_family,
)
from nashalign.policies.families.smollm import SmolLM3Config
from nashalign.policies.families.t5 import T5Config

__all__ = [
    "Config",
    "Family",
    "Gemma2Config",
    "GPT2Config",
    "GPTNeoXConfig",
    "Gemma3Config",
    "LlamaConfig",
    "MistralConfig",
    "Place",
    "Olmo2Config",
    "Phi3Config",
    "Qwen2Config",
    "Qwen3Config",
    "SmolLM3Config",
    "T5Config",
    "family_of",
    "known_families",
    "llama",
    "option_names",
    "register_family",
]
