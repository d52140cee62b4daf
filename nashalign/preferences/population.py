r"""A population of voters: an exact preference that no reward explains.

Voters of kind k have a utility u_k of a text and vote with logistic noise of
temperature T_k. A share w_k of the population is of kind k, so that

    P(y beats z) = \sum_k w_k sigmoid((u_k(y) - u_k(z)) / T_k).

Each kind alone is Bradley-Terry; their mean is not: y may beat z, z beat v, and v beat
y (Condorcet's paradox). It runs on the host in float64 and reads text, once per text:
`utilities` first, then any number of comparisons by `prefer`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import chex
import numpy as np
from scipy.special import expit

from nashalign import checks, data
from nashalign.preferences import annotators
from nashalign.types import Array, Prompts, Responses

Utility = Callable[[Sequence[str], Sequence[str]], np.ndarray]
"""Of `n` prompts and the response to each: `[n]` float64."""


@dataclasses.dataclass(frozen=True)
class Population:
    """Voters of several kinds, each kind with its share and its temperature.

    Attributes:
      voters: utility functions by the name of the kind.
      weights: share of each kind, positive, summing to one.
      temperatures: noise of each kind's votes, in units of its utility, positive.

    Raises:
      ValueError: lengths differ, or a weight or temperature is out of range.
    """

    voters: Mapping[str, Utility]
    weights: Sequence[float]
    temperatures: Sequence[float]

    def __post_init__(self):
        """Checks the numbers."""
        if not len(self.voters) == len(self.weights) == len(self.temperatures):
            raise ValueError(
                f"population: {len(self.voters)} kinds of voter, "
                f"{len(self.weights)} weights and {len(self.temperatures)} "
                "temperatures; give one weight and one temperature to each kind"
            )
        if not self.voters:
            raise ValueError("population: there is nobody in it; give voters")
        for name in ("weights", "temperatures"):
            for number in getattr(self, name):
                if np.ndim(checks.setting(number, f"population: one of the {name}")):
                    raise ValueError(
                        f"population: one of the {name} is {np.size(number)} numbers; "
                        "give one to each kind"
                    )
        if min(self.weights) <= 0 or not np.isclose(sum(self.weights), 1):
            raise ValueError(
                f"population: weights {tuple(self.weights)} are to be positive and "
                f"sum to 1, but sum to {sum(self.weights):g}; divide them by their sum"
            )
        if min(self.temperatures) <= 0:
            raise ValueError(
                f"population: temperatures {tuple(self.temperatures)} are to be "
                "positive; a small one makes votes nearly certain"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds, in the order of every `[kinds, ...]` array."""
        return tuple(self.voters)

    def alone(self, kind: str) -> "Population":
        """The voters of one kind, who agree but for the noise of their votes.

        Args:
          kind: one of `kinds`.

        Raises:
          ValueError: there is no such kind.
        """
        if kind not in self.kinds:
            raise ValueError(
                f"population: there is no kind {kind!r}; there are "
                f"{', '.join(self.kinds)}"
            )
        place = self.kinds.index(kind)
        return Population(
            voters={kind: self.voters[kind]},
            weights=(1.0,),
            temperatures=(self.temperatures[place],),
        )

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Every kind's utility of every response, `[kinds, n]` float64.

        Args:
          prompts: `n` texts.
          responses: `n` texts, each an answer to the prompt at its place.

        Returns:
          `[kinds, n]`; reshape the last axis as the texts are arranged.
        """
        return np.stack([u(prompts, responses) for u in self.voters.values()])

    def verdicts(self, u_y: Array, u_z: Array) -> np.ndarray:
        """Each kind's own P(y beats z) = sigmoid((u(y) - u(z)) / T), `[kinds, ...]`.

        Args:
          u_y: `[kinds, ...]` utilities of y.
          u_z: `[kinds, ...]` utilities of z; broadcast against u_y.

        Returns:
          `[kinds, ...]` float64 in (0, 1), antisymmetric about 1/2.

        Raises:
          ValueError: a utility is not finite, or they are not of these kinds.
        """
        u_y = np.asarray(checks.number(u_y, "u_y"), np.float64)
        u_z = np.asarray(checks.number(u_z, "u_z"), np.float64)
        kinds = (len(self.kinds),)
        fit = u_y.ndim == u_z.ndim and u_y.shape[:1] == u_z.shape[:1] == kinds
        sizes = zip(u_y.shape, u_z.shape, strict=False)
        if not (fit and all(1 in pair or len(set(pair)) == 1 for pair in sizes)):
            raise ValueError(
                f"u_y {list(u_y.shape)} and u_z {list(u_z.shape)} must be of the same "
                f"texts, with a row for each of the {len(self.kinds)} kinds: "
                "[kinds, ...]"
            )
        difference = u_y - u_z
        temperatures = np.asarray(self.temperatures, np.float64)
        return expit(
            difference / temperatures.reshape(-1, *[1] * (difference.ndim - 1))
        )

    def prefer(self, u_y: Array, u_z: Array) -> np.ndarray:
        """The population's P(y beats z), `[...]`: the weighted mean of `verdicts`.

        Args:
          u_y: `[kinds, ...]` utilities of y.
          u_z: `[kinds, ...]` utilities of z; broadcast against u_y.

        Returns:
          `[...]` float64 in (0, 1), antisymmetric about 1/2.
        """
        weights = np.asarray(self.weights, np.float64)
        return np.tensordot(weights, self.verdicts(u_y, u_z), axes=1)

    def matrix(self, utilities: Array) -> np.ndarray:
        """P(row beats column) among the K responses to each prompt, `[*B, K, K]`.

        Args:
          utilities: `[kinds, *B, K]`.

        Returns:
          `[*B, K, K]` float64, antisymmetric about 1/2.
        """
        utilities = np.asarray(utilities)
        return self.prefer(utilities[..., :, None], utilities[..., None, :])

    def votes(
        self,
        rng: np.random.Generator,
        u_y: Array,
        u_z: Array,
        *,
        num_voters: int = 1,
    ) -> np.ndarray:
        """The share of hard votes for y, of voters drawn for each comparison.

        Args:
          rng: source of the draws.
          u_y: `[kinds, ...]` utilities of y.
          u_z: `[kinds, ...]` utilities of z; broadcast against u_y.
          num_voters: how many are drawn with replacement for each comparison.

        Returns:
          `[...]` float64: each vote is one with probability `prefer(u_y, u_z)`, else
          zero, and the votes of a comparison are averaged.

        Raises:
          ValueError: fewer than one voter.
        """
        checks.whole(num_voters, "num_voters")
        preferred = self.prefer(u_y, u_z)
        return rng.binomial(num_voters, preferred) / num_voters


@dataclasses.dataclass(frozen=True)
class PopulationAnnotator:
    """The population as an annotator: decodes the responses and reads them.

    Attributes:
      population: the voters.
      tokenizer: whatever has `decode(ids) -> str`, which stops at the end of sequence.
      prompts: text of every example's prompt; `Prompts.ids` index into them.
      host: true, as it reads text: see `on_host`.
    """

    population: Population
    tokenizer: data.Decodes
    prompts: Sequence[str]
    host: ClassVar[bool] = True

    def utilities(self, prompts: Prompts, responses: Responses) -> np.ndarray:
        """Every kind's utility of every response, `[kinds, B, N]` float64.

        Args:
          prompts: `B` prompts, of which only the ids are read.
          responses: `[B, N, T]`.

        Returns:
          `[kinds, B, N]`.

        Raises:
          ValueError: an id has no text.
        """
        ids = np.asarray(prompts.ids)
        if ids.min() < 0 or ids.max() >= len(self.prompts):
            raise ValueError(
                f"population annotator: prompt ids run from {ids.min()} to "
                f"{ids.max()}, but there are {len(self.prompts)} texts; pass those of "
                "the split that the prompts were taken from"
            )
        texts = data.decode_responses(self.tokenizer, responses)
        shape = responses.tokens.shape[:2]
        asked = [self.prompts[i] for i in np.repeat(ids, shape[1])]
        # Where every two responses to a prompt are compared, each comes many times.
        pairs = list(zip(asked, itertools.chain(*texts), strict=True))
        places = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
        found = self.population.utilities(*map(list, zip(*places, strict=True)))
        found = found[:, [places[pair] for pair in pairs]]
        return found.reshape(-1, *shape)

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> np.ndarray:
        """The population's exact P(y beats z), `[B, M]` float64; draws nothing.

        Args:
          key: not used.
          prompts: `B` prompts, of which only the ids are read.
          y: `[B, M, T]`.
          z: `[B, M, T]`.

        Returns:
          `[B, M]` in (0, 1).
        """
        del key
        u_y, u_z = self.utilities(prompts, y), self.utilities(prompts, z)
        return self.population.prefer(u_y, u_z)


def best_attainable_accuracy(preferred: Array) -> float:
    r"""Accuracy of knowing P exactly, against hard votes: mean of max(p, 1 - p).

    Args:
      preferred: P(y beats z) of comparisons, any shape, in [0, 1].

    Returns:
      In [1/2, 1]; on votes drawn with these probabilities no model can expect more.
    """
    preferred = annotators.check_preferred(preferred, "preferred").astype(np.float64)
    return float(np.maximum(preferred, 1 - preferred).mean())
