r"""Ensembles of annotators: several judges asked as one, and several made into one.

A policy trained against one reward model finds where that model is wrong. Members that
differ in the seed, or in how they were fine-tuned, are wrong in different places:

    Ensemble          asks every member and combines their rewards r_1, ..., r_k, at the
                      price of k forward passes (Coste et al. 2023, arXiv:2310.02743)
    average_weights   one model whose parameters are the mean of the members', for one
                      forward pass (WARM, Rame et al. 2024, arXiv:2401.12187)

A combination maps `[k, *B]` rewards to `[*B]`: `mean`, `worst_case` (the paper's WCO)
and `uncertainty_weighted` (UWO) are the paper's, and any other function will do. To add
the same number to every member's reward adds it to each of the three.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import chex
import jax
import jax.numpy as jnp

from nashalign import checks
from nashalign.preferences import annotators
from nashalign.types import Array, Prompts, Responses, pytree

Combine = Callable[[Array], Array]


def mean(rewards: Array) -> Array:
    """The members' mean reward, `[k, *B]` to `[*B]`."""
    return jnp.mean(rewards, 0)


def worst_case(rewards: Array) -> Array:
    """The least of the members' rewards, `[k, *B]` to `[*B]`; at most their mean."""
    return jnp.min(rewards, 0)


def uncertainty_weighted(weight: float) -> Combine:
    r"""Returns the mean less a multiple of the members' variance.

    .. math:: \frac1k \sum_i r_i - \lambda \cdot
        \frac1k \sum_i \Big(r_i - \frac1k \sum_j r_j\Big)^2

    The variance is the population's, as in the paper's code for best-of-n. Its PPO
    divides by k - 1 instead: what is lambda there is `weight = lambda k / (k - 1)` here
    (1.25 lambda for its five members). A weight of 0 is the mean, though the paper's
    code for best-of-n takes 0 for 1. Coste et al. 2023 (arXiv:2310.02743).

    Args:
      weight: lambda, per unit of reward, >= 0; 0.5 in the paper for best-of-n, 0.1 for
        PPO. Equal weights give the same function, and programs are compiled once.

    Returns:
      Function of `[k, *B]` rewards to `[*B]`.
    """

    return _uncertainty_weighted(float(checks.setting(weight, "weight", least=0)))


@functools.cache
def _uncertainty_weighted(weight: float) -> Combine:
    """The same function for the same weight, so that programs are compiled once."""

    def combine(rewards: Array) -> Array:
        return mean(rewards) - weight * jnp.var(rewards, 0)

    return combine


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Several annotators asked as one.

    Each member has a key of its own. The members' weights are the leaves.

    Attributes:
      members: annotators that score, or that prefer; at least one.
      combine: `[k, *B]` rewards to `[*B]`, such as `worst_case`.

    Raises:
      ValueError: there is no member.
    """

    members: tuple[annotators.Annotator, ...]
    combine: Combine = dataclasses.field(metadata=dict(static=True))

    def __post_init__(self):
        """Checks that there is somebody to ask."""
        if not self.members:
            raise ValueError("an ensemble has no members; give it at least one")

    @property
    def host(self) -> bool:
        """Whether some member answers on the host, so that all are asked there."""
        return any(annotators.on_host(member) for member in self.members)

    def can_answer(self, question: str) -> bool:
        """Whether every member answers a question, and the answers can be combined."""
        if question == "prefer" and self.combine is not mean:
            return False
        return all(annotators.can_answer(own, question) for own in self.members)

    def score(
        self, key: chex.PRNGKey | None, prompts: Prompts, responses: Responses
    ) -> Array:
        """The members' rewards, combined.

        Args:
          key: split among the members; None where they draw nothing.
          prompts: `B` prompts.
          responses: `[B, N, T]`.

        Returns:
          `[B, N]`, in the members' unit of reward.
        """
        return self.combine(self._ask("score", key, prompts, responses))

    def prefer(
        self, key: chex.PRNGKey | None, prompts: Prompts, y: Responses, z: Responses
    ) -> Array:
        """The mean of the members' P(y beats z): a vote of a population of judges.

        Only the mean is on offer. The least of the members' P(y beats z) is one minus
        the *largest* of their P(z beats y), and a penalty on the variance, which is the
        same both ways, lowers both: neither leaves P(y beats z) + P(z beats y) = 1
        unless all members agree.

        Args:
          key: split among the members; None where they draw nothing.
          prompts: `B` prompts.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]` in [0, 1]; its complement when y and z change places. It is the mean
          of probabilities, also where members have rewards: no longer Bradley-Terry.

        Raises:
          ValueError: the ensemble combines by something else than `mean`.
        """
        if self.combine is not mean:
            raise ValueError(
                f"an ensemble that combines by {self.combine} has no preference: P(y "
                "beats z) and P(z beats y) would not add up to one; combine by "
                "`preferences.mean`, or ask for its `score`"
            )
        return mean(self._ask("prefer", key, prompts, y, z))

    def _ask(self, method, key, *texts):
        """What each member answers, `[k, B, N]`."""
        num_members = len(self.members)
        keys = (
            [None] * num_members if key is None else jax.random.split(key, num_members)
        )
        asked = zip(self.members, keys, strict=True)
        return jnp.stack([getattr(member, method)(k, *texts) for member, k in asked])


def average_weights(models: Sequence[chex.ArrayTree]) -> chex.ArrayTree:
    r"""The model whose every parameter is the mean of the models' parameters.

    .. math:: \theta = \frac1M \sum_{m=1}^M \theta_m

    It is close to the ensemble of their predictions where the models were fine-tuned
    from one start, so that they lie in one basin; equal to it where they differ in a
    linear head alone; and means nothing for models trained from different starts.
    Rame et al. 2024 (arXiv:2401.12187).

    Args:
      models: `M` >= 1 pytrees of one structure with leaves of equal shapes, such as
        reward models that share their policy's functions, or just their parameters.

    Returns:
      A pytree like each of them, in the precision of their leaves.

    Raises:
      ValueError: there is no model, or structures or shapes differ.
    """
    forms = [
        (
            jax.tree.structure(model),
            [jnp.shape(leaf) for leaf in jax.tree.leaves(model)],
        )
        for model in models
    ]
    if not forms:
        raise ValueError("there are no weights to average; give at least one model")
    for index, form in enumerate(forms):
        if form != forms[0]:
            raise ValueError(
                f"model {index} differs from model 0 in structure or shapes; average "
                "models fine-tuned from one start, with the same policy and settings "
                f"({form} against {forms[0]})"
            )
    return jax.tree.map(lambda *leaves: jnp.mean(jnp.stack(leaves), 0), *models)
