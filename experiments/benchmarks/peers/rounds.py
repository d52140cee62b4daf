"""Rounds: every competitor of a row in turn, so that what else goes on meets all."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

from experiments.benchmarks.peers import checks
from experiments.benchmarks.peers.measures import Measure, Peer, competitors
from experiments.benchmarks.peers.tools import Failed, Workers


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one competitor of a row has done.

    Attributes:
      samples: CPU seconds, or bytes, of each round.
      reason: why there are none, or fewer than rounds.
    """

    samples: list[float] = dataclasses.field(default_factory=list)
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """What a measure has come to.

    Attributes:
      measure: the row.
      figures: title of a competitor -> what it has done, ours first.
    """

    measure: Measure
    figures: dict[str, Figures]


def run(
    measures: Sequence[Measure],
    workers: Workers,
    folder: pathlib.Path,
    *,
    rounds: int,
    before: bool,
    found: Sequence[checks.Found] = (),
) -> Iterator[Row]:
    """Measures rows, one after another.

    Args:
      measures: the rows.
      workers: of the tools.
      folder: where the models are.
      rounds: how often each competitor is measured, in turn.
      before: whether another checkout competes.
      found: what checks have found; who is wrong is not timed.

    Yields:
      Each row once it is measured.
    """
    for measure in measures:
        competing = competitors(measure, before)
        faults = {peer: checks.fault(found, measure, peer) for peer in competing}
        right = [peer for peer in competing if not faults[peer]]
        measured = _KINDS[measure.kind](measure, right, workers, folder, rounds)
        figures = {
            peer.title: measured.get(peer.title, Figures(reason=faults[peer]))
            for peer in competing
        }
        yield Row(measure, figures)


def _timed(measure, competing, workers, folder, rounds) -> dict[str, Figures]:
    """CPU seconds of each competitor's runs, after those that compile."""
    found, ready = {}, []
    for peer in competing:
        given = measure.given(folder) | peer.others
        try:
            workers[peer.tool].ask(
                "prepare", name=peer.name, key=peer.title, given=given
            )
        except Failed as failed:
            found[peer.title] = Figures(reason=str(failed))
        else:
            found[peer.title] = Figures()
            ready.append(peer)
    for _ in range(rounds):
        for peer in list(ready):
            try:
                answer = workers[peer.tool].ask("run", key=peer.title)
            except Failed as failed:
                ready.remove(peer)
                own = found[peer.title]
                found[peer.title] = dataclasses.replace(own, reason=str(failed))
            else:
                found[peer.title].samples.append(answer["seconds"])
    workers.release()
    return found


def _peaks(measure, competing, workers, folder, rounds) -> dict[str, Figures]:
    """Bytes that a fresh process of each has held at most, after some steps."""
    del rounds
    return _once(measure, competing, folder, functools.partial(_peak, workers))


def _peak(workers: Workers, peer: Peer, given) -> float:
    """The same of one process."""
    worker = workers.fresh(peer.tool)
    try:
        # Three steps, and a fourth.
        worker.ask("prepare", name=peer.name, key=peer.title, given=given)
        worker.ask("run", key=peer.title)
        return worker.ask("peak")["value"]
    finally:
        worker.close()


def _answered(measure, competing, workers, folder, rounds) -> dict[str, Figures]:
    """What each answers: a number that does not vary."""
    del rounds

    def answer(peer, given):
        return workers[peer.tool].ask("answer", name=peer.name, given=given)["value"]

    return _once(measure, competing, folder, answer)


def _once(measure, competing, folder, answer) -> dict[str, Figures]:
    """What `answer(peer, given)` says of each competitor, or why it does not."""
    found = {}
    for peer in competing:
        try:
            own = answer(peer, measure.given(folder) | peer.others)
        except Failed as failed:
            found[peer.title] = Figures(reason=str(failed))
        else:
            found[peer.title] = Figures([own])
    return found


_KINDS = {"rate": _timed, "time": _timed, "peak": _peaks, "answer": _answered}
