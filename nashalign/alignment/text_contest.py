"""A contest of texts: whoever wrote them, all are asked about, in both orders.

Policies of different families share no tokens, and answers of others are no policy at
all: here a policy is a name and what it has answered.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nashalign import evaluation
from nashalign.alignment import text_asking


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextContest:
    """What policies have answered to the same prompts.

    Attributes:
      prompts: their texts.
      answers: by the name of the policy, `N` texts for each prompt.
      clusters: name of each prompt's cluster; None, each its own.

    Raises:
      ValueError: there are fewer than two prompts or policies, or not the same number
        of answers to each prompt.
    """

    prompts: Sequence[str]
    answers: Mapping[str, Sequence[Sequence[str]]]
    clusters: Sequence[str] | None = None

    def __post_init__(self):
        """Requires answers that can be compared."""
        if len(self.prompts) < 2 or len(self.answers) < 2:
            raise ValueError(
                f"a comparison needs two policies and two prompts, and has "
                f"{len(self.answers)} and {len(self.prompts)}"
            )
        for name, own in self.answers.items():
            if len(own) != len(self.prompts):
                raise ValueError(
                    f"{name} has answered {len(own)} of {len(self.prompts)} prompts"
                )
        numbers = {len(one) for own in self.answers.values() for one in own}
        if len(numbers) != 1 or not min(numbers):
            raise ValueError(
                f"prompts have {sorted(numbers)} answers; all must have the same number"
            )

    @property
    def names(self) -> list[str]:
        """Names of the policies."""
        return list(self.answers)

    def characters(self) -> np.ndarray:
        """Number of characters of every answer, `[M, num_prompts, N]`."""
        lengths = [
            [[len(text) for text in one] for one in own]
            for own in self.answers.values()
        ]
        return np.array(lengths, np.float64)


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """What a judge has said of a contest.

    Attributes:
      preferences: `[num_prompts, M, M, N]` P(row's answer beats column's), the mean of
        both orders; 1/2 on the diagonal.
      shown_first: mean probability that the answer shown first wins, over both orders;
        1/2 for a judge to whom the order is nothing. None where it was asked in one.
    """

    preferences: np.ndarray
    shown_first: float | None

    def table(self) -> np.ndarray:
        """Preferences `[num_prompts, M, M]`, the mean over a prompt's answers."""
        return self.preferences.mean(axis=-1)


def judge_texts(
    contest: TextContest,
    judge: text_asking.Judge,
    *,
    both_orders: bool = True,
    name: str = "",
) -> Verdicts:
    """Asks a judge about every two policies' answers to every prompt.

    The first answers to a prompt meet each other, the second ones do, and so on.

    Args:
      contest: the answers.
      judge: whom to ask; what it has answered before it is not asked again.
      both_orders: whether P(y beats z) is the mean of what it says of (y, z) and what
        it leaves to 1 of (z, y); one to whom the order is nothing is asked once.
      name: of the progress bar; none is shown without one.
    """
    twice = both_orders and not judge.ask.antisymmetric
    answers = list(contest.answers.values())
    pairs = evaluation.pairs_of(len(answers))
    questions = [
        (prompt, y, z)
        for i, j in pairs
        for prompt, own, other in zip(
            contest.prompts, answers[i], answers[j], strict=True
        )
        for y, z in zip(own, other, strict=True)
    ]
    shown_first = None
    if twice:
        orders = text_asking.ask_in_both_orders(judge, questions, name=name)
        shown_first = float(np.mean(orders.y_first + orders.z_first) / 2)
        said = orders.preferred
    else:
        said = text_asking.ask(judge, questions, name=name)
    number = len(answers[0][0])
    shape = len(contest.prompts), len(answers), len(answers), number
    found = np.full(shape, 0.5)
    for (i, j), own in zip(pairs, said.reshape(len(pairs), -1, number), strict=True):
        found[:, i, j], found[:, j, i] = own, 1 - own
    return Verdicts(found, shown_first)
