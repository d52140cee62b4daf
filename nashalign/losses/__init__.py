"""Losses: one number per comparison or response; the update weighs and averages."""

from nashalign.losses.clipped import (
    advantages,
    clipped_policy,
    clipped_value,
    token_rewards,
)
from nashalign.losses.pairwise import (
    cdpo,
    dpo,
    hinge,
    ipo,
    rdpo,
    simpo,
    slic,
    soft,
)
from nashalign.losses.policy_gradient import policy_gradient

__all__ = [
    "advantages",
    "cdpo",
    "clipped_policy",
    "clipped_value",
    "dpo",
    "hinge",
    "ipo",
    "policy_gradient",
    "rdpo",
    "simpo",
    "slic",
    "soft",
    "token_rewards",
]
