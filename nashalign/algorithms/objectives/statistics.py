"""What some losses read besides log-probabilities, and the heads they are read from.

A statistic is `(setup, players, frozen, hidden, groups) -> array`: `players` are the
trained policy and heads by name, `frozen` the frozen policies' parameters, `hidden` the
policy's states `[B, N, T, D]` from which each token of the table's responses is
predicted. Gradients flow through `players` and `hidden`.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from nashalign import policies
from nashalign.algorithms.columns import Players, Settings
from nashalign.algorithms.state import Setup
from nashalign.types import Array, Groups


def forward_kl(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """KL of the reference's next-token distributions from the policy's, `[B, N, T]`."""
    params, other = _reference(setup, frozen, groups)
    return policies.token_kl(
        setup.policy, (params, players["policy"]), (other, hidden), groups.responses
    )


def reverse_kl(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """KL of the policy's next-token distributions from the reference's, `[B, N, T]`."""
    params, other = _reference(setup, frozen, groups)
    return policies.token_kl(
        setup.policy, (players["policy"], params), (hidden, other), groups.responses
    )


def log_collision(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """Log-probability that two next tokens of the policy are the same, `[B, N, T]`."""
    del frozen
    return policies.log_collision(
        setup.policy, players["policy"], hidden, groups.responses
    )


def values(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """The critic's prediction before each token, `[B, N, T]`.

    It reads the policy's states and does not train them: its error moves the critic
    alone.
    """
    del setup, frozen
    found = jax.lax.stop_gradient(hidden) @ players["critic"]
    return jnp.where(groups.responses.mask, found, 0.0)


def degrees(
    setup: Setup, players: Players, frozen: Players, hidden: Array, groups: Groups
) -> Array:
    """Log-probabilities `[B, N, L]` of how much was taken out of each response.

    Read off the state from which the last token is predicted.
    """
    del setup, frozen
    last = jnp.sum(groups.responses.mask, -1)[..., None, None] - 1
    state = jnp.take_along_axis(hidden, last, 2)[:, :, 0]
    return jax.nn.log_softmax(state @ players["degree"])


def critic(key: chex.PRNGKey, policy: policies.Policy) -> Array:
    """A value head `[D]`, zero at first: every response is expected to be worth 0."""
    del key
    return jnp.zeros(policy.width)


@dataclasses.dataclass(frozen=True)
class DegreeHead:
    """A head that tells degrees apart, `[D, L]`, zero at first.

    Attributes:
      setting: the setting that the number of degrees is.
      number: of degrees.
    """

    setting: str
    number: int = 0

    def counted(self, settings: Settings) -> "DegreeHead":
        """Returns it with as many degrees as its setting says."""
        return dataclasses.replace(self, number=int(settings[self.setting]))

    def __call__(self, key: chex.PRNGKey, policy: policies.Policy) -> Array:
        """Returns its first parameters."""
        del key
        return jnp.zeros((policy.width, self.number))


def _reference(setup, frozen, groups):
    """The reference's parameters, and its states along the table's responses."""
    params = frozen["reference"]
    hidden = policies.read(setup.policy, params, groups.prompts, groups.responses)
    return params, jax.lax.stop_gradient(hidden)
