"""The losses that rows are made of: `(method, groups) -> [B, G]`, one a group.

A loss reads the log-probabilities of the policy in training (`groups.log_probs`) and
what the annotator has said; it takes no means over groups. Losses of a pair are those
of `losses`, on the margin of the first two members.
"""

import dataclasses
from collections.abc import Callable, Mapping

import chex
import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from nashalign import losses
from nashalign.algorithms import groups as grouped
from nashalign.types import Groups

Loss = Callable[..., chex.Array]


def named(name: str, loss: Loss) -> Loss:
    """The loss, under a name for the table of methods."""
    loss.__name__ = name
    return loss


def own_tau(settings: Mapping[str, chex.Numeric]) -> chex.Numeric:
    """The tau of a pair loss is that of the method."""
    return settings["tau"]


def inverse_eta(settings: Mapping[str, chex.Numeric]) -> chex.Numeric:
    """The tau of a pair loss is the inverse of a mirror-descent step."""
    return 1 / settings["eta"]


def best_of_n_tau(settings: Mapping[str, chex.Numeric]) -> chex.Numeric:
    """BoNBoN's: 1 / (2 (n - 1) (1 + 1/2 + ... + 1 / (n - 1))), n the `num_responses`.

    Then IPO's target is the margin that the best-of-n policy has between best and
    worst, in expectation.
    """
    number = jnp.asarray(settings["num_responses"], float)
    # The sum of the first n - 1 inverses, for any n: it may be traced.
    harmonic = jax.scipy.special.digamma(number) + np.euler_gamma
    return 1 / (2 * (number - 1) * harmonic)


def contrastive(
    pair_loss: Callable[..., chex.Array],
    tau: Callable[[Mapping[str, chex.Numeric]], chex.Numeric] | None = own_tau,
    **settings: str,
) -> Loss:
    """The loss of a comparison from a loss of its margin and preference.

    Args:
      pair_loss: `(margin, preferred, *, ...)`, of `losses`.
      tau: what its `tau` is; None where it takes none.
      **settings: its other arguments, by the names of the method's settings.
    """

    def loss(method, groups):
        given = {name: method.settings[own] for name, own in settings.items()}
        if tau is not None:
            given["tau"] = tau(method.settings)
        margin = grouped.margin(method, groups)
        return pair_loss(margin, grouped.preferred(groups), **given)

    return named(_pair_name(pair_loss, tau), loss)


def chosen(
    pair_loss: Callable[..., chex.Array],
    tau: Callable[[Mapping[str, chex.Numeric]], chex.Numeric] = own_tau,
) -> Loss:
    """The loss of a pair whose first member has won, whoever says so."""

    def loss(method, groups):
        margin = grouped.margin(method, groups)
        return pair_loss(margin, jnp.ones_like(margin), tau=tau(method.settings))

    return named(f"{_pair_name(pair_loss, tau)}, the first has won", loss)


def added(first: Loss, coefficient: str, second: Loss) -> Loss:
    """One loss, plus a setting of the method times another."""

    def loss(method, groups):
        weight = method.settings[coefficient]
        return first(method, groups) + weight * second(method, groups)

    return named(f"{_name(first)} + {coefficient} * {_name(second)}", loss)


def shared(share: str, first: Loss, second: Loss) -> Loss:
    """A setting's share of one loss, and the rest of another."""

    def loss(method, groups):
        weight = method.settings[share]
        return weight * first(method, groups) + (1 - weight) * second(method, groups)

    return named(f"{share} * {_name(first)} + (1 - {share}) * {_name(second)}", loss)


def times(coefficient: str, loss: Loss) -> Loss:
    """A setting of the method times a loss."""

    def scaled(method, groups):
        return method.settings[coefficient] * loss(method, groups)

    return named(f"{coefficient} * {_name(loss)}", scaled)


def last_pair(loss: Loss) -> Loss:
    """A loss of a pair, on the last two members."""

    def of_last(method, groups):
        members = groups.members[..., -2:]
        return loss(method, dataclasses.replace(groups, members=members))

    return named(f"{_name(loss)} of the last pair", of_last)


def likelihood(method, groups: Groups) -> chex.Array:
    """Minus the log-likelihood of the first member, nats."""
    del method
    return -grouped.log_likelihoods(groups)[..., 0]


def winners_likelihood(method, groups: Groups) -> chex.Array:
    """Minus the log-likelihood of a pair's winner, in expectation over the label."""
    del method
    preferred, found = grouped.preferred(groups), grouped.log_likelihoods(groups)
    return -preferred * found[..., 0] - (1 - preferred) * found[..., 1]


def optimism(number: int) -> Loss:
    """The log-likelihood of a member, pushed down; the policy explores elsewhere."""

    def loss(method, groups):
        del method
        return grouped.log_likelihoods(groups)[..., number]

    return named(f"likelihood of response {number + 1}", loss)


def first_candidate(method, groups: Groups) -> chex.Array:
    """tau times the log-ratio of the response that the first author wrote.

    After a selection the candidates are the first opponents.
    """
    first = dataclasses.replace(groups, members=groups.opponents[..., :1])
    return method.tau * grouped.log_ratios(method, first)[..., 0]


def divergence_of_opponent(method, groups: Groups) -> chex.Array:
    """Summed token KL, `statistics["kl"]`, along the first opponent's response."""
    del method
    summed = jnp.sum(groups.statistics["kl"], -1)
    return grouped.take(summed, groups.opponents)[..., 0]


def token_level_dpo(*, detached: bool) -> Loss:
    r"""TDPO: DPO on margins less a difference of sequential forward KLs.

    .. math:: -\log\sigma(\tau [h - \alpha (D_l - D_w)])

    for the winner w and the loser l, where D sums the KL of the reference from the
    policy along a response. TDPO2 (`detached`) stops D_w's gradient; TDPO1 does not,
    and has alpha 1. Zeng et al. 2024 (arXiv:2404.11999).
    """

    def loss(method, groups):
        summed = jnp.sum(groups.statistics["kl"], -1)
        y, z = jnp.moveaxis(grouped.take(summed, groups.members), -1, 0)
        margin, preferred = grouped.margin(method, groups), grouped.preferred(groups)
        alpha = method.settings["alpha"] if detached else 1.0
        fixed = jax.lax.stop_gradient if detached else lambda x: x

        scaled, strength = method.tau * margin, method.tau * alpha
        y_wins = jax.nn.log_sigmoid(scaled - strength * (z - fixed(y)))
        z_wins = jax.nn.log_sigmoid(-(scaled + strength * (y - fixed(z))))
        return -preferred * y_wins - (1 - preferred) * z_wins

    return named("dpo less sequential KL", loss)


def degree_of_corruption(method, groups: Groups) -> chex.Array:
    """Cross-entropy of telling how much was taken out of a pair's winner.

    In expectation over the label: the opponents are both responses, corrupted.
    """
    degree = groups.prompts.ids % method.settings["num_degrees"]
    log_probs = groups.statistics["degrees"]
    found = grouped.take(log_probs, groups.opponents)
    picked = jnp.asarray(degree, jnp.int32)[:, None, None, None]
    error = -jnp.take_along_axis(found, picked, -1)[..., 0]
    preferred = grouped.preferred(groups)
    return preferred * error[..., 0] + (1 - preferred) * error[..., 1]


def choice(method, groups: Groups) -> chex.Array:
    r"""Cross-entropy of choosing one of the K members, over alpha.

    .. math:: -\frac{1}{\alpha} \sum_i q_i \log
              \frac{\pi(y_i)^\alpha}{\sum_k \pi(y_k)^\alpha}, \quad
              q = \mathrm{softmax}(r)

    The annotator's choice has the probabilities q of Bradley-Terry's model of K
    responses; the best of them alone is the limit of large rewards.
    """
    alpha = method.settings["alpha"]
    chosen = jax.nn.softmax(grouped.rewards(groups), -1)
    modelled = jax.nn.log_softmax(alpha * grouped.log_ratios(method, groups), -1)
    return -jnp.sum(chosen * modelled, -1) / alpha


def ranked_pairs(method, groups: Groups) -> chex.Array:
    """Mean cross-entropy over all pairs of members, from win rates over a baseline.

    Each member is compared with the first opponent, and a pair's label is what
    Bradley-Terry's model makes of both: sigmoid(logit p_i - logit p_j).
    """
    wins = jnp.clip(grouped.wins_over_opponents(groups)[..., 0], 1e-6, 1 - 1e-6)
    logit = jnp.log(wins) - jnp.log1p(-wins)
    first, second = jnp.triu_indices(groups.members.shape[-1], 1)
    label = jax.nn.sigmoid(logit[..., first] - logit[..., second])
    ratios = grouped.log_ratios(method, groups)
    margin = ratios[..., first] - ratios[..., second]
    return jnp.mean(losses.dpo(margin, label, tau=method.tau), -1)


def self_labelled(*, sampled: bool) -> Loss:
    r"""SAIL on the policy's own labels, in expectation over them.

    .. math:: -E_{q} \left[ F + \tfrac{\rho}{2} F^2 \right], \quad
              F = \log q, \quad q = \sigma(\pm \tau h)

    with q detached: the ascent gradient (1 + rho F) grad F, of which rho = 1 is the
    exact one. Where the pair is `sampled` from the policy, rho F also multiplies the
    score of both responses. Ding et al. 2024 (arXiv:2406.15567), as derived; the
    released code has another sign and scale.
    """

    def loss(method, groups):
        scaled = method.tau * grouped.margin(method, groups)
        wins = jnp.stack([jax.nn.log_sigmoid(scaled), jax.nn.log_sigmoid(-scaled)])
        share, rho = jax.lax.stop_gradient(jnp.exp(wins)), method.settings["rho"]
        total = -jnp.sum(share * (wins + rho / 2 * jnp.square(wins)), 0)
        if sampled:
            credit = jax.lax.stop_gradient(jnp.sum(share * wins, 0))
            total -= rho * credit * _score(groups)
        return total

    return named("self-labelled dpo", loss)


def sampled_dpo(method, groups: Groups) -> chex.Array:
    """DPO on pairs of the policy's own, with the score of the sampling times rho."""
    per_pair = contrastive(losses.dpo)(method, groups)
    credit = jax.lax.stop_gradient(per_pair)
    return per_pair + method.settings["rho"] * credit * _score(groups)


def _score(groups):
    """Log-likelihood of both members: its gradient is the score of sampling them."""
    return jnp.sum(grouped.log_likelihoods(groups)[..., :2], -1)


def _name(function):
    """A function's name in words."""
    return function.__name__.replace("_", " ")


def _pair_name(pair_loss, tau):
    """The name of a pair loss, and of its tau where that is not the method's."""
    other = tau not in (None, own_tau)
    return _name(pair_loss) + (f" ({_name(tau)})" if other else "")
