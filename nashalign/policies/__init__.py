"""Policies: from tokens to logits, as pure functions over parameters."""

from nashalign.policies import lora
from nashalign.policies.adapted import adapt, is_written, save_adapters
from nashalign.policies.capacity import fits, require_prompts
from nashalign.policies.config_file import check_vocabulary
from nashalign.policies.continuing import begin, continuing
from nashalign.policies.extrapolation import extrapolate
from nashalign.policies.families import (
    Config,
    Family,
    Gemma2Config,
    Gemma3Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    Place,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
    T5Config,
    family_of,
    known_families,
    llama,
    register_family,
)
from nashalign.policies.logits import (
    geometric_mixture,
    log_power,
    mixture_logits,
    precise,
)
from nashalign.policies.lora import Lora
from nashalign.policies.policy import Cache, Params, Policy, prefill
from nashalign.policies.precision import cast, computing_in
from nashalign.policies.pretrained import (
    Pretrained,
    Shardings,
    load_pretrained,
    save_pretrained,
)
from nashalign.policies.scorers import (
    is_scorer,
    load_scorer,
    require_scorer,
    save_scorer,
)
from nashalign.policies.scoring import (
    extend,
    extend_from_end,
    extend_pairs,
    log_collision,
    log_probs,
    log_probs_of,
    read,
    token_kl,
)
from nashalign.policies.tabular import tabular

__all__ = [
    "Cache",
    "Config",
    "Family",
    "Gemma2Config",
    "GPT2Config",
    "GPTNeoXConfig",
    "Gemma3Config",
    "LlamaConfig",
    "Lora",
    "MistralConfig",
    "Olmo2Config",
    "Phi3Config",
    "Params",
    "Place",
    "Policy",
    "Pretrained",
    "Qwen2Config",
    "Qwen3Config",
    "Shardings",
    "SmolLM3Config",
    "T5Config",
    "adapt",
    "cast",
    "begin",
    "check_vocabulary",
    "computing_in",
    "continuing",
    "extend",
    "extend_from_end",
    "extend_pairs",
    "extrapolate",
    "family_of",
    "fits",
    "geometric_mixture",
    "is_scorer",
    "is_written",
    "known_families",
    "llama",
    "load_pretrained",
    "load_scorer",
    "lora",
    "log_power",
    "log_collision",
    "log_probs",
    "log_probs_of",
    "mixture_logits",
    "precise",
    "prefill",
    "read",
    "register_family",
    "require_prompts",
    "save_adapters",
    "save_pretrained",
    "require_scorer",
    "save_scorer",
    "tabular",
    "token_kl",
]
