r"""Learned annotators: a pairwise preference model and a Bradley-Terry reward model.

Both are a language model, initialised from a policy, with a scalar head, and both are
trained on votes with the cross-entropy of P(y beats z) = sigmoid(logit):

    PairwiseModel  logit = (u(y | x) + u(y | x, z) - u(z | x) - u(z | x, y)) / 2, where
                   u is the head on the state after a response, read directly after the
                   prompt x, or after the prompt and the other response:
                   antisymmetric, and as intransitive as the votes
    RewardModel    logit = r(x, y) - r(x, z), where r is the head on the state after the
                   response; a pairwise model that did not look at the other response

as in Munos et al. 2023 (arXiv:2312.00886) and Calandriello et al. 2024
(arXiv:2403.08635), whose models are prompted language models. A response that was cut
at the maximal length is closed with an <eos>, as its reader could not tell either.

A model is a pytree whose leaves are its parameters: differentiate `vote_loss` by it.
"""

import abc
import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies
from nashalign.types import Array, Prompts, Responses, pytree


class _Judge(abc.ABC):
    """An annotator whose preference is the logistic function of its `logit`."""

    @abc.abstractmethod
    def logit(self, prompts: Prompts, y: Responses, z: Responses) -> Array:
        """Log-odds that y beats z, `[B, M]`."""

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> Array:
        """P(y beats z) = sigmoid(logit), `[B, M]` in [0, 1].

        Args:
          key: not used.
          prompts: `B` prompts.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]`; its complement when y and z change places.
        """
        del key
        return jax.nn.sigmoid(self.logit(prompts, y, z))


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class PairwiseModel(_Judge):
    """P(y beats z) by a model that reads both responses, in both orders.

    Attributes:
      params: `{"policy": parameters of the language model, "head": [D]}`.
      policy: the language model's functions.
      eos_id: the end-of-sequence token, or all of them; the first closes what was cut.
    """

    params: policies.Params
    policy: policies.Policy = dataclasses.field(metadata=dict(static=True))
    eos_id: int | tuple[int, ...] = dataclasses.field(metadata=dict(static=True))

    def logit(self, prompts: Prompts, y: Responses, z: Responses) -> Array:
        r"""Log-odds that y beats z, `[B, M]`.

        .. math:: (u(y | x) + u(y | x, z) - u(z | x) - u(z | x, y)) / 2

        Args:
          prompts: `B` prompts, each read once.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]`; changes sign when y and z change places.
        """
        chex.assert_equal_shape([y.tokens, z.tokens])
        ours, theirs = _closed(y, self.eos_id), _closed(z, self.eos_id)
        first = [jnp.concatenate(p, 1) for p in zip(ours, theirs, strict=True)]
        second = [jnp.concatenate(p, 1) for p in zip(theirs, ours, strict=True)]
        alone, after = _read(self.policy, self.params, prompts, first, second)
        y_alone, z_alone = jnp.split(alone, 2, axis=1)
        z_after, y_after = jnp.split(after, 2, axis=1)
        return (y_alone + y_after - z_alone - z_after) / 2


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModel(_Judge):
    """A scalar reward; differences of rewards are log-odds (Bradley and Terry, 1952).

    Attributes:
      params: `{"policy": parameters of the language model, "head": [D]}`.
      policy: the language model's functions.
      eos_id: the end-of-sequence token, or all of them; the first closes what was cut.
    """

    params: policies.Params
    policy: policies.Policy = dataclasses.field(metadata=dict(static=True))
    eos_id: int | tuple[int, ...] = dataclasses.field(metadata=dict(static=True))

    def score(self, key: chex.PRNGKey, prompts: Prompts, responses: Responses) -> Array:
        """Rewards `[B, N]`; only differences between responses to one prompt mean much.

        Args:
          key: not used.
          prompts: `B` prompts, each read once.
          responses: `[B, N, T]`.

        Returns:
          `[B, N]`, in log-odds.
        """
        del key
        return self._rewards(prompts, responses)

    def logit(self, prompts: Prompts, y: Responses, z: Responses) -> Array:
        """Log-odds r(y) - r(z) that y beats z, `[B, M]`.

        Args:
          prompts: `B` prompts, each read once.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]`.
        """
        chex.assert_equal_shape([y.tokens, z.tokens])
        both = jax.tree.map(lambda *p: jnp.concatenate(p, 1), y, z)
        r_y, r_z = jnp.split(self._rewards(prompts, both), 2, axis=1)
        return r_y - r_z

    def _rewards(self, prompts, responses):
        """`score`, which needs no key."""
        closed = _closed(responses, self.eos_id)
        return _read(self.policy, self.params, prompts, closed)[0]


def init_params(
    key: chex.PRNGKey, policy: policies.Policy, params: policies.Params
) -> dict:
    """Parameters of either model: those of a policy, and a small random head.

    Args:
      key: for the head, whose entries have a standard deviation of 1 / D.
      policy: the language model's functions.
      params: its parameters, which the model starts from.

    Returns:
      Those of the `policy`, and the `head` `[D]`, by these names.
    """
    head = jax.random.normal(key, (policy.width,)) / policy.width
    return {"policy": params, "head": head}


def vote_loss(
    model: PairwiseModel | RewardModel,
    prompts: Prompts,
    y: Responses,
    z: Responses,
    votes: Array,
) -> Array:
    r"""Cross-entropy of the model's preference to the votes, one number per comparison.

    .. math:: -v \log \sigma(\ell) - (1 - v) \log \sigma(-\ell)

    Args:
      model: what is trained; differentiate by it.
      prompts: `B` prompts.
      y: `[B, M, T]`.
      z: `[B, M, T]`.
      votes: `[B, M]`, one where y won, zero where z did; or a probability.

    Returns:
      `[B, M]` nats, at least the entropy of the votes; the caller averages.
    """
    logit = model.logit(prompts, y, z)
    chex.assert_equal_shape([logit, votes])
    # log sigmoid(-l) = log sigmoid(l) - l leaves one softplus, exact at both ends.
    return (1 - votes) * logit - jax.nn.log_sigmoid(logit)


def _closed(responses, eos_id):
    """Tokens and mask `[B, N, T + 1]`, with an EOS after those that were cut."""
    eos = jnp.full_like(responses.tokens[..., :1], np.atleast_1d(eos_id)[0])
    tokens = jnp.concatenate([responses.tokens, eos], -1)
    mask = jnp.concatenate([responses.mask, responses.truncated[..., None]], -1)
    return tokens, mask


def _read(policy, params, prompts, *texts):
    """The head's values `[B, N]` after each of some continuations read in a row.

    A continuation is its tokens and mask, `[B, N, T]`.
    """
    tokens, mask = (jnp.concatenate(parts, -1) for parts in zip(*texts, strict=True))
    # Real tokens first, in order: then an end's place is a count, and padding between
    # two texts is padding at the end.
    order = jnp.argsort(~mask, axis=-1, stable=True)
    tokens = jnp.take_along_axis(tokens, order, -1)
    mask = jnp.take_along_axis(mask, order, -1)
    hidden = policies.extend(policy, params["policy"], prompts, tokens, mask)
    values = hidden @ params["head"]
    ends = itertools.accumulate(own.sum(-1) for _, own in texts)
    return [jnp.take_along_axis(values, end[..., None] - 1, -1)[..., 0] for end in ends]
