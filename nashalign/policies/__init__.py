"""Policies: from tokens to logits, as pure functions over parameters."""

from nashalign.policies.llama import LlamaConfig, llama
from nashalign.policies.logits import mixture_logits
from nashalign.policies.policy import Cache, Params, Policy, extend, log_probs, prefill

__all__ = [
    "Cache",
    "LlamaConfig",
    "Params",
    "Policy",
    "extend",
    "llama",
    "log_probs",
    "mixture_logits",
    "prefill",
]
