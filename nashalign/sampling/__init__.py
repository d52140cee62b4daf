"""Sampling: responses from policies and mixtures, drawn or enumerated."""

from nashalign.sampling.decoding import Behaviour, Decoding, sample
from nashalign.sampling.enumeration import enumerate_responses, exact_log_probs

__all__ = [
    "Behaviour",
    "Decoding",
    "enumerate_responses",
    "exact_log_probs",
    "sample",
]
