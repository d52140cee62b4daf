"""How answers are read: verdicts, rankings, and rewards of the row's own.

`(method, groups) -> groups`, with another preference or other rewards.
"""

import dataclasses

import jax.numpy as jnp

from nashalign.algorithms import readings
from nashalign.algorithms.method import Method
from nashalign.types import Groups


def verdict(method: Method, groups: Groups) -> Groups:
    """Label: the more probable winner has won; a tie is 1/2."""
    del method
    hard = _sign(readings.preference(groups) - 0.5)
    return dataclasses.replace(groups, preference=hard)


def ranking(method: Method, groups: Groups) -> Groups:
    """Label: the higher reward has won; a tie is 1/2."""
    del method
    rewards = readings.all_rewards(groups)
    gaps = rewards[:, :, None] - rewards[:, None, :]
    return dataclasses.replace(groups, preference=_sign(gaps))


def own_rewards(method: Method, groups: Groups) -> Groups:
    """Label: implicit rewards, less `penalty` a token.

    The reward is the log-ratio of the iterate from the previous one: what the last
    round has learnt.
    """
    log_probs = groups.frozen_log_probs
    implicit = jnp.sum(log_probs["iterate"] - log_probs["previous"], -1)
    length = jnp.sum(groups.responses.mask, -1)
    rewards = implicit - method.settings["penalty"] * length
    return dataclasses.replace(groups, rewards=rewards)


def _sign(gaps):
    """One where positive, zero where negative, 1/2 at zero."""
    return jnp.where(gaps > 0, 1.0, jnp.where(gaps < 0, 0.0, 0.5)).astype(gaps.dtype)
