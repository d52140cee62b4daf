"""Losses: one number per comparison or response; the update weighs and averages."""

from nashalign.losses.pairwise import dpo, ipo, slic
from nashalign.losses.policy_gradient import policy_gradient

__all__ = ["dpo", "ipo", "policy_gradient", "slic"]
