"""Losses: one number per comparison or response; the update weighs and averages."""

from nashalign.losses.clipped import (
    advantages,
    clipped_policy,
    clipped_value,
    token_rewards,
)
from nashalign.losses.pairwise import (
    bounded_dpo,
    cdpo,
    dpo,
    hinge,
    ipo,
    rdpo,
    simpo,
    slic,
    soft,
)
from nashalign.losses.policy_gradient import k3, policy_gradient

__all__ = [
    "advantages",
    "bounded_dpo",
    "cdpo",
    "clipped_policy",
    "clipped_value",
    "dpo",
    "hinge",
    "ipo",
    "k3",
    "policy_gradient",
    "rdpo",
    "simpo",
    "slic",
    "soft",
    "token_rewards",
]
