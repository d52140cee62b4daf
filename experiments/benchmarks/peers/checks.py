"""Whether peers compute what we do: looked at before anything is timed."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.peers.measures import Measure, Peer, competitors
from experiments.benchmarks.peers.rows import CHECKS
from experiments.benchmarks.peers.tools import Failed, Workers

_DEVIATION = 1e-4
_AGREEMENT = 0.95
# Rounding may choose another token where two are as likely, and all that follows it
# is then another text.


@dataclasses.dataclass(frozen=True)
class Found:
    """What a check has found.

    Attributes:
      tool: who was asked.
      model: about which model.
      check: a name of `CHECKS`.
      figure: the largest deviation of logits over their spread, or the share of tokens
        that agree; None if there was no answer.
      right: whether that will do.
      reason: why there was no answer.
    """

    tool: str
    model: str
    check: str
    figure: float | None
    right: bool
    reason: str = ""


def run(
    measures: Sequence[Measure],
    workers: Workers,
    folder: pathlib.Path,
    *,
    before: bool,
) -> list[Found]:
    """Asks whoever competes what its checks are, about every model of its rows.

    Args:
      measures: the rows.
      workers: of the tools.
      folder: where the models are.
      before: whether another checkout competes.
    """
    wanted = {
        (peer.tool, measure.model, check)
        for measure in measures
        for peer in competitors(measure, before)
        for check in peer.checks
    }
    return [_found(*each, workers, folder) for each in sorted(wanted)]


def fault(found: Sequence[Found], measure: Measure, peer: Peer) -> str:
    """Why a peer's figure in a row would be of something else; empty if it is not."""
    for each in found:
        about = (each.tool, each.model) == (peer.tool, measure.model)
        if about and each.check in peer.checks and not each.right:
            return each.reason or f"wrong: {each.check} {each.figure:.3g}"
    return ""


def _found(tool, model, check, workers, folder) -> Found:
    """What one check of one tool on one model has found."""
    wanted = CHECKS[check]
    given = Measure(
        title=check, kind="answer", name=check, model=model, others=wanted.others
    ).given(folder)
    try:
        theirs = _answer(workers, tool, wanted.name, given)
        ours = _answer(workers, "own", wanted.ours, given)
    except Failed as failed:
        return Found(tool, model, check, None, False, str(failed))
    if check == "logits":
        figure = float(np.max(np.abs(theirs - ours)) / np.std(ours))
        return Found(tool, model, check, figure, figure <= _DEVIATION)
    share = float(np.mean(theirs == ours)) if theirs.shape == ours.shape else 0.0
    return Found(tool, model, check, share, share >= _AGREEMENT)


def _answer(workers: Workers, tool: str, name: str, given: dict[str, Any]):
    """An answer as an array."""
    return np.asarray(workers[tool].ask("answer", name=name, given=given)["value"])
