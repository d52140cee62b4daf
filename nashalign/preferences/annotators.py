"""What an annotator is, and the check of what it answers.

An annotator says how good responses are. It is a value, passed as an argument, with one
of two methods, or both:

    prefer(key, prompts, y, z) -> [B, M]   P(y beats z), and P(z beats y) = 1 - that
    score(key, prompts, responses) -> [B, N]   a reward

`y` and `z` are Responses of equal shape, M comparisons to a prompt. Annotators that
compute with JAX are pytrees whose leaves are their weights, and can be traced. Those
that read text run on the host: they take and return numpy arrays, between two compiled
programs.
"""

from typing import Protocol

import chex
import numpy as np

from nashalign import checks
from nashalign.types import Prompts, Responses


class PairAnnotator(Protocol):
    """Says how probably one response beats another."""

    def prefer(
        self, key: chex.PRNGKey, prompts: Prompts, y: Responses, z: Responses
    ) -> chex.Array:
        """Return `[B, M]`, P(y beats z) in [0, 1]; P(z beats y) is its complement."""


class ScoreAnnotator(Protocol):
    """Gives every response a reward."""

    def score(
        self, key: chex.PRNGKey, prompts: Prompts, responses: Responses
    ) -> chex.Array:
        """Return `[B, N]` rewards, comparable among the responses to one prompt."""


def check_preferred(preferred: chex.Array, where: str) -> np.ndarray:
    """Return the probabilities P(y beats z) as they came, or say why they are none.

    Args:
      preferred: array of any shape, every entry to be in [0, 1].
      where: who said so, to begin the message with.

    Returns:
      The same numbers as a numpy array.

    Raises:
      ValueError: an entry is NaN or outside [0, 1]; names the place and the first one.
    """
    preferred = np.asarray(checks.numeric(preferred, where))
    wrong = ~((preferred >= 0) & (preferred <= 1))
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{where}: a preference is a probability in [0, 1], but entry {first} is "
            f"{preferred[first]} ({wrong.sum()} of {wrong.size} entries are wrong). "
            "Return P(y beats z); a difference of scores needs a sigmoid."
        )
    return preferred
