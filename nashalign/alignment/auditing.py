"""An audit: a judge is asked about pairs in both orders, beside people's votes."""

import itertools
from collections.abc import Sequence

import numpy as np

from nashalign import data, evaluation
from nashalign.alignment.text_asking import Judge, Question, ask_in_both_orders

_AT_ONCE = 64
"""Questions handed to a judge at once; what it has answered of them is kept."""


def audit(
    judge: Judge, records: Sequence[data.Record], *, circles: bool = True
) -> tuple[evaluation.Audit, evaluation.Orders]:
    """Returns what a judge goes by, and what it has said of each pair.

    The chosen response of a record is y, and where nobody has voted the choice is one
    vote. Lengths are in characters; pairs of one prompt are one cluster.

    Args:
      judge: whom to ask, in the order in which responses are given.
      records: pairs.
      circles: whether every two responses to a prompt that has three or more are asked
        about, for triples that beat each other in a circle.

    Raises:
      ValueError: a record is no pair, or there are fewer than two prompts.
    """
    for number, record in enumerate(records, 1):
        if not record.is_pair:
            raise ValueError(
                f"record {number}, {record.prompt!r:.60}, has one response or none; an "
                "audit asks about pairs"
            )
    pairs = [(own.prompt, str(own.chosen), str(own.rejected)) for own in records]
    orders = ask_in_both_orders(judge, pairs, size=_AT_ONCE, name="pairs")
    tables = _tables(judge, pairs) if circles else []
    found = evaluation.audit_judge(
        orders,
        np.array([[len(y), len(z)] for _, y, z in pairs]),
        votes=[own.votes or (1.0,) for own in records],
        tables=tables,
        clusters=[data.prompt_hash(prompt) for prompt, _, _ in pairs],
    )
    return found, orders


def _tables(judge: Judge, pairs: Sequence[Question]) -> list[np.ndarray]:
    """Preferences `[N, N]` among the responses to each prompt that has three."""
    written: dict[str, list[str]] = {}
    for prompt, *both in pairs:
        own = written.setdefault(prompt, [])
        own += [text for text in dict.fromkeys(both) if text not in own]
    several = {prompt: own for prompt, own in written.items() if len(own) > 2}
    questions = [
        (prompt, y, z)
        for prompt, own in several.items()
        for y, z in itertools.combinations(own, 2)
    ]
    if not questions:
        return []
    orders = ask_in_both_orders(judge, questions, size=_AT_ONCE, name="circles")
    said = iter(orders.preferred)
    tables = []
    for own in several.values():
        table = np.full((len(own), len(own)), 0.5)
        for i, j in itertools.combinations(range(len(own)), 2):
            table[i, j] = next(said)
            table[j, i] = 1 - table[i, j]
        tables.append(table)
    return tables
