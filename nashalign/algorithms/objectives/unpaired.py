"""KTO: single responses that are desirable or not, and what they are compared with.

`(method, groups) -> [B, G]`, as in `pairs.py`. What the policy has come to think of
responses in general is read off mismatched ones: those of the neighbour in the batch,
behind a prompt that is not theirs.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies
from nashalign.algorithms import readings
from nashalign.algorithms.columns import Players, Reduce
from nashalign.algorithms.method import Method
from nashalign.algorithms.state import Setup
from nashalign.types import Array, Groups


def desirable(method: Method, groups: Groups) -> Groups:
    """Label: whether a reward is above `threshold`; 1/2 where it is there."""
    above = jnp.sign(readings.all_rewards(groups) - method.settings["threshold"])
    return dataclasses.replace(groups, rewards=(1 + above) / 2)


def prospect(method: Method, groups: Groups) -> Array:
    r"""KTO's value of the first member, in expectation over its label p.

    .. math:: p\, \lambda_D (1 - \sigma(\tau (h - z_0)))
              + (1 - p) \lambda_U (1 - \sigma(\tau (z_0 - h)))

    where z_0 is the divergence of mismatched responses, a number for the whole batch.
    Ethayarajh et al. 2024 (arXiv:2402.01306), whose beta is tau.
    """
    settings, wanted = method.settings, readings.rewards(groups)[..., 0]
    h = readings.log_ratios(method, groups)[..., 0]
    gain = method.tau * (h - groups.statistics["divergence"])
    # The logistic function of -x is what that of x leaves of 1, without cancelling.
    missed = settings["desirable"] * jax.nn.sigmoid(-gain)
    suffered = settings["undesirable"] * jax.nn.sigmoid(gain)
    return wanted * missed + (1 - wanted) * suffered


def mismatched(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """Log-ratios from the reference of the neighbour's responses, `[B, N]` nats.

    Detached; a statistic as in `statistics.py`.
    """
    del hidden
    others = neighbours(len(groups.prompts.ids))
    responses = jax.tree.map(lambda x: x[others], groups.responses)
    policy, reference = (
        policies.log_probs(setup.policy, params, groups.prompts, responses)
        for params in (players["policy"], frozen["reference"])
    )
    return jax.lax.stop_gradient(jnp.sum(policy - reference, -1))


def mismatched_divergence(method: Method, groups: Groups, reduce: Reduce) -> Array:
    """The mean log-ratio of mismatched responses in a batch, 0 where it is negative."""
    del method
    others = neighbours(len(groups.prompts.ids))
    found = readings.take(groups.statistics["mismatched"], groups.members[others])
    weight = groups.probability[others]
    total, count = reduce((jnp.sum(weight * found[..., 0]), jnp.sum(weight)))
    return jnp.maximum(total / count, 0.0)


def neighbours(size: int) -> np.ndarray:
    """Whose response is read behind each of so many prompts, `[size]`.

    The first two exchange theirs, the next two, and so on; of an odd number the last
    one reads that before it. Devices that each have an even part of a batch so read
    what one device with all of it reads.

    Raises:
      ValueError: there is one prompt, which has no neighbour.
    """
    if size < 2:
        raise ValueError(
            "mismatched responses are those to another prompt of the batch, which has "
            f"{size}; give each device at least two prompts"
        )
    others = np.arange(size) ^ 1
    return np.where(others < size, others, size - 2)
