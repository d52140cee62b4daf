"""Asks a judge about pairs of texts, a part at a time, in one order or in both."""

from collections.abc import Sequence

import numpy as np

from nashalign import evaluation, preferences, terminal

Judge = preferences.TextPreference | preferences.TextReward
# Prompt, y and z.
Question = tuple[str, str, str]


def ask(
    judge: Judge, questions: Sequence[Question], *, size: int = 256, name: str = ""
) -> np.ndarray:
    """Returns P(y beats z), `[n]`, of questions in the order in which they are given.

    Args:
      judge: whom to ask.
      questions: texts.
      size: questions handed over at once; what has been answered of them is kept before
        the next are asked.
      name: of the progress bar; none is shown without one.
    """
    found = []
    with terminal.progress_bar(name, len(questions)) as advance:
        for begin in range(0, len(questions), size):
            part = questions[begin : begin + size]
            found.append(judge.compare(part))
            advance(len(part), "")
    return np.concatenate(found)


def ask_in_both_orders(
    judge: Judge, questions: Sequence[Question], *, size: int = 256, name: str = ""
) -> evaluation.Orders:
    """Returns what a judge says with y shown first, and with z.

    Args:
      judge: whom to ask; one to whom the order is nothing is asked once.
      questions: see `ask`.
      size: see `ask`.
      name: see `ask`.
    """
    forth = ask(judge, questions, size=size, name=name)
    if judge.ask.antisymmetric:
        return evaluation.Orders(y_first=forth, z_first=1 - forth)
    turned = [(prompt, z, y) for prompt, y, z in questions]
    label = f"{name}, in the other order" if name else ""
    back = ask(judge, turned, size=size, name=label)
    return evaluation.Orders(y_first=forth, z_first=back)
