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

import chex
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies
from nashalign.preferences.annotators import Pairs
from nashalign.types import Array, Prompts, Responses, pytree


class _Judge(abc.ABC):
    """An annotator whose preference is the logistic function of its `logit`."""

    @abc.abstractmethod
    def logits(self, prompts: Prompts, responses: Responses, pairs: Pairs) -> Array:
        """Log-odds that one response to a prompt beats another, `[B, len(pairs)]`."""

    def logit(self, prompts: Prompts, y: Responses, z: Responses) -> Array:
        """Log-odds that y beats z.

        Args:
          prompts: `B` prompts.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]`; changes sign when y and z change places.
        """
        chex.assert_equal_shape([y.tokens, z.tokens])
        both = jax.tree.map(lambda *p: jnp.concatenate(p, 1), y, z)
        number = y.tokens.shape[1]
        pairs = [(index, number + index) for index in range(number)]
        return self.logits(prompts, both, pairs)

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

    def prefer_pairs(
        self,
        key: chex.PRNGKey,
        prompts: Prompts,
        responses: Responses,
        pairs: Pairs,
    ) -> Array:
        """P(y beats z) = sigmoid(logit) of pairs of responses, which share readings.

        Args:
          key: not used.
          prompts: `B` prompts.
          responses: `[B, N, T]`.
          pairs: `(y, z)` places of the responses that are compared.

        Returns:
          `[B, len(pairs)]` in [0, 1].
        """
        del key
        return jax.nn.sigmoid(self.logits(prompts, responses, pairs))


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

    def logits(self, prompts: Prompts, responses: Responses, pairs: Pairs) -> Array:
        r"""Log-odds that y beats z, for pairs of responses.

        .. math:: (u(y | x) + u(y | x, z) - u(z | x) - u(z | x, y)) / 2

        Args:
          prompts: `B` prompts, each read once.
          responses: `[B, N, T]`, each read once after its prompt, and once after each
            other one that it is compared with.
          pairs: `(y, z)` places of the responses that are compared.

        Returns:
          `[B, len(pairs)]`.
        """
        tokens, mask = _closed(responses, self.eos_id)
        turns = sorted({*pairs, *((z, y) for y, z in pairs)})
        params, head = self.params["policy"], self.params["head"]
        alone, behind = policies.extend_pairs(
            self.policy, params, prompts, tokens, mask, turns
        )
        u = _last(alone @ head, mask)
        u_behind = _last(behind @ head, mask[:, np.asarray([z for _, z in turns])])
        y, z = np.asarray(pairs).T
        y_after, z_after = (
            np.asarray([turns.index(turn) for turn in zip(*own, strict=True)])
            for own in ((z, y), (y, z))
        )
        difference = u[:, y] + u_behind[:, y_after] - u[:, z] - u_behind[:, z_after]
        return difference / 2


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModel(_Judge):
    """A scalar reward; differences of rewards are log-odds (Bradley and Terry, 1952).

    Attributes:
      params: `{"policy": parameters of the language model, "head": [D]}`.
      policy: the language model's functions.
      eos_id: the end-of-sequence token, or all of them; the first closes what was cut.
      pad_id: a token after which the reward is not read, but before it, at a text's
        end: Hugging Face's models pass over padding so, and where that is their end
        token as well, they do not see it. None reads after the last token.
    """

    params: policies.Params
    policy: policies.Policy = dataclasses.field(metadata=dict(static=True))
    eos_id: int | tuple[int, ...] = dataclasses.field(metadata=dict(static=True))
    pad_id: int | None = dataclasses.field(default=None, metadata=dict(static=True))

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

    def logits(self, prompts: Prompts, responses: Responses, pairs: Pairs) -> Array:
        """Log-odds r(y) - r(z) that y beats z, for pairs of responses.

        Args:
          prompts: `B` prompts, each read once.
          responses: `[B, N, T]`, each read once.
          pairs: `(y, z)` places of the responses that are compared.

        Returns:
          `[B, len(pairs)]`.
        """
        rewards = self._rewards(prompts, responses)
        y, z = np.asarray(pairs).T
        return rewards[:, y] - rewards[:, z]

    def _rewards(self, prompts, responses):
        """`score`, which needs no key."""
        tokens, mask = _closed(responses, self.eos_id)
        read = mask if self.pad_id is None else mask & (tokens != self.pad_id)
        # Of a response without a token that is read it is the prompt's end.
        read = jnp.concatenate([jnp.ones_like(read[..., :1]), read], -1)
        states = policies.extend_from_end(
            self.policy, self.params["policy"], prompts, tokens, mask
        )
        return _last(states @ self.params["head"], read)


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
    responses: Responses,
    pairs: Pairs,
    votes: Array,
) -> Array:
    r"""Cross-entropy of the model's preference to the votes, one number per comparison.

    .. math:: -v \log \sigma(\ell) - (1 - v) \log \sigma(-\ell)

    Args:
      model: what is trained; differentiate by it.
      prompts: `B` prompts.
      responses: `[B, N, T]`.
      pairs: `(y, z)` places of the responses that were compared.
      votes: `[B, len(pairs)]`, one where y won, zero where z did; or a probability.

    Returns:
      `[B, len(pairs)]` nats, at least the entropy of the votes; the caller averages.
    """
    logit = model.logits(prompts, responses, pairs)
    chex.assert_equal_shape([logit, votes])
    # log sigmoid(-l) = log sigmoid(l) - l leaves one softplus, exact at both ends.
    return (1 - votes) * logit - jax.nn.log_sigmoid(logit)


def _closed(responses, eos_id):
    """Tokens and mask `[B, N, T + 1]`, with an EOS after those that were cut."""
    eos = jnp.full_like(responses.tokens[..., :1], np.atleast_1d(eos_id)[0])
    tokens = jnp.concatenate([responses.tokens, eos], -1)
    mask = jnp.concatenate([responses.mask, responses.truncated[..., None]], -1)
    return tokens, mask


def _last(values, mask):
    """Of values `[B, N, S]`, those `[B, N]` at the last real tokens."""
    end = mask.shape[-1] - 1 - jnp.argmax(mask[..., ::-1], -1)
    return jnp.take_along_axis(values, end[..., None], -1)[..., 0]
