"""The losses that rows are made of: `(method, groups) -> [B, G]`, one a group.

A loss reads the log-probabilities of the policy in training (`groups.log_probs`) and
what the annotator has said; it takes no means over groups. Losses of a pair are those
of `losses`, on the margin of the first two members.
"""

import dataclasses

import jax
import jax.numpy as jnp

from nashalign import losses
from nashalign.algorithms import ratios, readings
from nashalign.algorithms.method import Method
from nashalign.algorithms.objectives.composed import contrastive
from nashalign.types import Array, Groups


def likelihood(method: Method, groups: Groups) -> Array:
    """Minus the log-likelihood of the first member, nats."""
    del method
    return -readings.log_likelihoods(groups)[..., 0]


def mean_likelihood(method: Method, groups: Groups) -> Array:
    """Minus the mean log-likelihood of the first member's tokens, nats a token."""
    del method
    return -_mean_log_likelihoods(groups)[..., 0]


def winners_likelihood(method: Method, groups: Groups) -> Array:
    """Minus the log-likelihood of a pair's winner, in expectation over the label."""
    del method
    preferred, found = readings.preferred(groups), readings.log_likelihoods(groups)
    return -preferred * found[..., 0] - (1 - preferred) * found[..., 1]


def winners_mean_likelihood(method: Method, groups: Groups) -> Array:
    """The same as a mean over the winner's own tokens, nats a token."""
    del method
    preferred, found = readings.preferred(groups), _mean_log_likelihoods(groups)
    return -preferred * found[..., 0] - (1 - preferred) * found[..., 1]


@dataclasses.dataclass(frozen=True)
class Optimism:
    """The log-likelihood of a member, pushed down; the policy explores elsewhere."""

    number: int

    @property
    def formula(self) -> str:
        """Which member's."""
        return f"likelihood of response {self.number + 1}"

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        del method
        return readings.log_likelihoods(groups)[..., self.number]


def optimism(number: int) -> Optimism:
    """The log-likelihood of a member, pushed down; the policy explores elsewhere."""
    return Optimism(number)


def first_candidate(method: Method, groups: Groups) -> Array:
    """tau times the log-ratio of the response that the first author wrote.

    After a selection the candidates are the first opponents.
    """
    first = dataclasses.replace(groups, members=groups.opponents[..., :1])
    return method.tau * readings.log_ratios(method, first)[..., 0]


def divergence_of_opponent(method: Method, groups: Groups) -> Array:
    """Summed token KL, `statistics["kl"]`, along the first opponent's response."""
    del method
    summed = jnp.sum(groups.statistics["kl"], -1)
    return readings.take(summed, groups.opponents)[..., 0]


@dataclasses.dataclass(frozen=True)
class TokenLevelDPO:
    r"""TDPO: DPO on margins less a difference of sequential forward KLs.

    .. math:: -\log\sigma(\tau [h - \alpha (D_l - D_w)])

    for the winner w and the loser l, where D sums the KL of the reference from the
    policy along a response. TDPO2 (`detached`) stops D_w's gradient; TDPO1 does not,
    and has alpha 1. Zeng et al. 2024 (arXiv:2404.11999).
    """

    detached: bool
    formula: str = dataclasses.field(default="dpo less sequential KL", init=False)

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        summed = jnp.sum(groups.statistics["kl"], -1)
        y, z = jnp.moveaxis(readings.take(summed, groups.members), -1, 0)
        margin, preferred = readings.margin(method, groups), readings.preferred(groups)
        alpha = method.settings["alpha"] if self.detached else 1.0
        fixed = jax.lax.stop_gradient if self.detached else lambda x: x

        scaled, strength = method.tau * margin, method.tau * alpha
        y_wins = jax.nn.log_sigmoid(scaled - strength * (z - fixed(y)))
        z_wins = jax.nn.log_sigmoid(-(scaled + strength * (y - fixed(z))))
        return -preferred * y_wins - (1 - preferred) * z_wins


def token_level_dpo(*, detached: bool) -> TokenLevelDPO:
    """TDPO2 (`detached`) or TDPO1."""
    return TokenLevelDPO(detached)


def degree_of_corruption(method: Method, groups: Groups) -> Array:
    """Cross-entropy of telling how much was taken out of a pair's winner.

    In expectation over the label: the opponents are both responses, corrupted.
    """
    degree = groups.prompts.ids % method.settings["num_degrees"]
    log_probs = groups.statistics["degrees"]
    found = readings.take(log_probs, groups.opponents)
    picked = jnp.asarray(degree, jnp.int32)[:, None, None, None]
    error = -jnp.take_along_axis(found, picked, -1)[..., 0]
    preferred = readings.preferred(groups)
    return preferred * error[..., 0] + (1 - preferred) * error[..., 1]


def choice(method: Method, groups: Groups) -> Array:
    r"""Cross-entropy of choosing one of the K members, over alpha.

    .. math:: -\frac{1}{\alpha} \sum_i q_i \log
              \frac{\pi(y_i)^\alpha}{\sum_k \pi(y_k)^\alpha}, \quad
              q = \mathrm{softmax}(r)

    The annotator's choice has the probabilities q of Bradley-Terry's model of K
    responses; the best of them alone is the limit of large rewards.
    """
    alpha = method.settings["alpha"]
    chosen = jax.nn.softmax(readings.rewards(groups), -1)
    modelled = jax.nn.log_softmax(alpha * readings.log_ratios(method, groups), -1)
    return -jnp.sum(chosen * modelled, -1) / alpha


def ranked_pairs(method: Method, groups: Groups) -> Array:
    """Mean cross-entropy over all pairs of members, from win rates over a baseline.

    Each member is compared with the first opponent, and a pair's label is what
    Bradley-Terry's model makes of both: sigmoid(logit p_i - logit p_j).
    """
    wins = jnp.clip(readings.wins_over_opponents(groups)[..., 0], 1e-6, 1 - 1e-6)
    logit = jnp.log(wins) - jnp.log1p(-wins)
    first, second = jnp.triu_indices(groups.members.shape[-1], 1)
    label = jax.nn.sigmoid(logit[..., first] - logit[..., second])
    ratios = readings.log_ratios(method, groups)
    margin = ratios[..., first] - ratios[..., second]
    return jnp.mean(losses.dpo(margin, label, tau=method.tau), -1)


@dataclasses.dataclass(frozen=True)
class SelfLabelled:
    r"""SAIL on the policy's own labels, in expectation over them.

    .. math:: -E_{q} \left[ F + \tfrac{\rho}{2} F^2 \right], \quad
              F = \log q, \quad q = \sigma(\pm \tau h)

    with q detached: the ascent gradient (1 + rho F) grad F, of which rho = 1 is the
    exact one. Where the pair is `sampled` from the policy, rho F also multiplies the
    score of both responses. Ding et al. 2024 (arXiv:2406.15567), as derived; the
    released code has another sign and scale.
    """

    sampled: bool
    formula: str = dataclasses.field(default="self-labelled dpo", init=False)

    def __call__(self, method: Method, groups: Groups) -> Array:
        """See the class."""
        scaled = method.tau * readings.margin(method, groups)
        wins = jnp.stack([jax.nn.log_sigmoid(scaled), jax.nn.log_sigmoid(-scaled)])
        share, rho = jax.lax.stop_gradient(jnp.exp(wins)), method.settings["rho"]
        total = -jnp.sum(share * (wins + rho / 2 * jnp.square(wins)), 0)
        if self.sampled:
            credit = jax.lax.stop_gradient(jnp.sum(share * wins, 0))
            total -= rho * credit * _score(groups)
        return total


def self_labelled(*, sampled: bool) -> SelfLabelled:
    """SAIL's loss on pairs of the policy's own, or of the data set's."""
    return SelfLabelled(sampled)


def sampled_dpo(method: Method, groups: Groups) -> Array:
    """DPO on pairs of the policy's own, with the score of the sampling times rho."""
    per_pair = contrastive(losses.dpo)(method, groups)
    credit = jax.lax.stop_gradient(per_pair)
    return per_pair + method.settings["rho"] * credit * _score(groups)


def _score(groups):
    """Log-likelihood of both members: its gradient is the score of sampling them."""
    return jnp.sum(readings.log_likelihoods(groups)[..., :2], -1)


def _mean_log_likelihoods(groups):
    """The members' mean log-likelihoods over their own tokens, `[B, G, K]`."""
    found = ratios.averaged(groups.log_probs, groups.responses.mask)
    return readings.take(found, groups.members)
