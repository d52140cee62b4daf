"""Sampling: responses from policies and mixtures, drawn, enumerated or searched."""

from nashalign.sampling.decoding import Behaviour, Decoding, sample
from nashalign.sampling.drawing import draw
from nashalign.sampling.enumeration import enumerate_responses, exact_log_probs
from nashalign.sampling.pairs import StepPair, step_pairs
from nashalign.sampling.search import Expand, Node, Step, Value, tree_search
from nashalign.sampling.steps import (
    Continuation,
    enumerated_steps,
    sampled_steps,
    step_prior,
)
from nashalign.sampling.truncation import sharpen

__all__ = [
    "Behaviour",
    "Continuation",
    "Decoding",
    "Expand",
    "Node",
    "Step",
    "StepPair",
    "Value",
    "draw",
    "enumerate_responses",
    "enumerated_steps",
    "exact_log_probs",
    "sample",
    "sampled_steps",
    "sharpen",
    "step_pairs",
    "step_prior",
    "tree_search",
]
