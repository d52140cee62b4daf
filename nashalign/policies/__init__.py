"""Policies: from tokens to logits, as pure functions over parameters."""

from nashalign.policies.config_file import check_vocabulary
from nashalign.policies.llama import LlamaConfig, llama
from nashalign.policies.logits import mixture_logits
from nashalign.policies.policy import Cache, Params, Policy, extend, log_probs, prefill
from nashalign.policies.pretrained import Pretrained, load_pretrained, save_pretrained

__all__ = [
    "Cache",
    "LlamaConfig",
    "Params",
    "Policy",
    "Pretrained",
    "check_vocabulary",
    "extend",
    "llama",
    "load_pretrained",
    "log_probs",
    "mixture_logits",
    "prefill",
    "save_pretrained",
]
