"""What a model's reply says: the probability of each answer.

Guo and others (2024): the probabilities of the two answers' tokens, made to sum to one,
in both orders of the responses, averaged.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, softmax


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
      text: what the model wrote.
      top: the most probable tokens in its place, with their log-probabilities in nats;
        None where the server has said nothing of them.
    """

    text: str
    top: tuple[tuple[str, float], ...] | None


def log_probs(reply: Reply, answers: Sequence[str]) -> np.ndarray | None:
    """Returns the log-probability of each answer, `[A]` in nats.

    All tokens that spell an answer count, white space around it apart. One that is not
    among the top has at most the probability of the least of them, and at most what
    they leave; it is taken to have that.

    Args:
      reply: with its top tokens.
      answers: what may be answered.

    Returns:
      None where no answer is among the top tokens, or those are not known.
    """
    if reply.top is None:
        return None
    found = _listed(reply, answers)
    if not any(found):
        return None
    listed = [value for _, value in reply.top]
    left = max(1.0 - math.fsum(map(math.exp, listed)), 1e-12)
    bound = min(min(listed), math.log(left))
    sums = [np.logaddexp.reduce(own) if own else bound for own in found]
    return np.maximum(np.array(sums, np.float64), -1e4)


def lists_all(reply: Reply, answers: Sequence[str]) -> bool:
    """Returns whether each answer is among the most probable tokens of a reply."""
    return reply.top is not None and all(_listed(reply, answers))


def _listed(reply: Reply, answers: Sequence[str]) -> list[list[float]]:
    """Log-probabilities of the tokens that spell each answer, of those listed."""
    return [
        [value for token, value in reply.top or () if token.strip() == own]
        for own in answers
    ]


def shares(values: np.ndarray) -> np.ndarray:
    """Returns probabilities `[A]` of answers alone, of their log-probabilities `[A]`.

    Of two, the second is one minus the first, so that a judge that reads nothing but
    their place has no preference, exactly.
    """
    if len(values) == 2:
        first = expit(values[0] - values[1])
        return np.array([first, 1.0 - first])
    return softmax(values)


def verdict(reply: Reply, answers: Sequence[str]) -> np.ndarray | None:
    """Returns 1 for the answer that the model wrote, else 0, `[A]`; None for another.

    Full stops, brackets and quotes around an answer are passed over.
    """
    said = reply.text.strip().strip(".()[]\"'*").strip()
    if said not in answers:
        return None
    return np.array([float(own == said) for own in answers])


def both_orders(first: np.ndarray, second: np.ndarray) -> float:
    """Returns P(y beats z) from the shares of both orders.

    Args:
      first: `[2]`, of y shown first: that the first is better, and the second.
      second: `[2]`, of z shown first.
    """
    return float(0.5 * (first[0] + second[1]))
