"""Tests of the benchmark of peers: what it says of what it has measured."""

import json
import os
import pathlib
import statistics
import sys

import pytest

from experiments.benchmarks.peers import __main__ as peers
from experiments.benchmarks.peers import checks, environments, rounds, rows, table
from experiments.benchmarks.peers.measures import BEFORE, OURS, Measure, Peer
from experiments.benchmarks.peers.rounds import Figures, Row
from experiments.benchmarks.peers.tools import Failed, Tool, Worker, Workers

PEER = Peer("theirs", "tool", "decode", 1.5)


def row(ours, theirs, **settings):
    """A row of given samples."""
    measure = Measure(
        **{"title": "decode", "kind": "rate", "name": "decode", "peers": (PEER,)}
        | settings
    )
    return Row(measure, {OURS: Figures(ours), "theirs": theirs})


@pytest.fixture
def nothing(tmp_path):
    """Workers of tools that are not there."""
    log = tmp_path / "log"
    return Workers({"tool": Tool("own", tmp_path / "python")}, 0, log)


def test_a_ratio_is_of_medians_and_its_spread_of_rounds():
    given = row([1.0, 2.0, 4.0], Figures([4.0, 3.0, 4.0]))
    (line,) = table.lines([given])
    assert line.ratio == 4.0 / 2.0
    assert line.spread == (1.0, 4.0)
    assert line.reached
    # 16 prompts of 64 new tokens.
    assert (line.ours, line.theirs) == (1024 / 2, 1024 / 4)
    assert table.shown(line.measure, line.ours) == "512 tokens/s"


def test_a_ratio_below_its_aim_is_not_reached():
    (line,) = table.lines([row([1.0], Figures([1.4]))])
    assert line.reached is False


def test_a_peer_without_figures_says_why_and_reaches_nothing():
    (line,) = table.lines([row([1.0], Figures(reason="missing: no environment"))])
    assert (line.ratio, line.reached, line.theirs) == (None, None, None)
    text = table.markdown([row([1.0], Figures(reason="missing: no"))], [], {})
    assert "| decode | theirs | missing: no | 1,024 tokens/s | - | 1.5 |  |" in text


def test_a_figure_that_is_to_be_reached_has_a_line_of_its_own():
    given = row([3e8], Figures([6e8]), kind="peak", limit=4e8)
    against, alone = table.lines([given])
    assert (against.ratio, alone.peer, alone.reached) == (2.0, "", True)
    assert "| decode |  |  | 300 MB |  | 400 MB | yes |" in table.markdown(
        [given], [], {}
    )


def test_missing_tools_are_reported_and_not_timed(nothing, tmp_path):
    measure = row([], Figures()).measure
    with nothing:
        found = checks.run([measure], nothing, tmp_path, before=True)
        assert [each.right for each in found] == [False] * 4
        (measured,) = rounds.run(
            [measure], nothing, tmp_path, rounds=1, before=True, found=found
        )
    assert list(measured.figures) == [OURS, BEFORE, "theirs"]
    assert all(own.reason.startswith("missing") for own in measured.figures.values())


def test_a_peer_that_is_wrong_is_not_timed(nothing, tmp_path):
    measure = row([], Figures()).measure
    found = [checks.Found("tool", "10M", "logits", 0.3, False)]
    (measured,) = rounds.run(
        [measure], nothing, tmp_path, rounds=1, before=False, found=found
    )
    assert measured.figures["theirs"].reason == "wrong: logits 0.3"


def test_what_another_model_gets_wrong_is_no_fault_of_a_row():
    measure = row([], Figures()).measure
    found = [checks.Found("tool", "50M", "logits", 0.3, False)]
    assert checks.fault(found, measure, PEER) == ""


def test_an_error_of_a_worker_is_told_by_its_name(tmp_path):
    tool = Tool("own", pathlib.Path(sys.executable), peers._ROOT)
    worker = Worker(tool, min(os.sched_getaffinity(0)), tmp_path / "log")
    try:
        with pytest.raises(Failed, match="KeyError"):
            worker.ask("run", key="what was not prepared")
    finally:
        worker.close()


def test_rows_are_chosen_by_words_of_their_titles():
    assert len(peers.select(())) == len(rows.TABLE)
    assert [each.model for each in peers.select(("50 M",))] == ["50M"]
    with pytest.raises(ValueError, match="training half"):
        peers.select(("decoed",))


def test_every_row_asks_for_what_the_workers_have():
    folder = pathlib.Path(environments.__file__).parent / "workers"
    sources = {path.stem: path.read_text() for path in folder.glob("*_tools.py")}
    sources["own"] = (folder / "own.py").read_text()
    for measure in rows.TABLE:
        for peer in measure.peers:
            module = peers._MODULES.get(peer.tool, "own")
            assert f'"{peer.name}": ' in sources[module]
            assert all(check in rows.CHECKS for check in peer.checks)
            assert peer.tool == "own" or peer.tool in environments.PINS
        assert f'"{measure.name}": ' in sources["own"]
        json.dumps(measure.given(pathlib.Path()))


def test_titles_tell_rows_and_their_competitors_apart():
    titles = [measure.title for measure in rows.TABLE]
    assert len(set(titles)) == len(titles)
    for measure in rows.TABLE:
        names = [OURS, BEFORE, *(peer.title for peer in measure.peers)]
        assert len(set(names)) == len(names)


def test_an_environment_that_is_unknown_is_named():
    with pytest.raises(ValueError, match="tunix"):
        environments.main(environments.Config(names=("tunics",)))


@pytest.mark.slow
def test_own_rows_run_where_no_peer_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    core = min(os.sched_getaffinity(0))
    config = peers.Config(
        environments=tmp_path / "none", output=tmp_path, rounds=2, core=core
    )
    limits = {"products": {"small": (8, 8, 8)}, "copied": 64, "seconds": 0}
    states = [
        (list(measured), found, about)
        for measured, found, about in peers.compare(config, rows.smoke(), limits=limits)
    ]
    # Whoever breaks it off keeps what there is.
    assert [len(measured) for measured, _, _ in states] == [1, 2, 3, 4, 5]
    measured, found, about = states[-1]
    assert not found and about["limits"]["small, jax, GFLOP/s"] > 0
    assert {name for name in about["versions"]} >= {"own", "trl", "tunix"}
    assert about["versions"]["trl"].startswith("missing")
    seconds = {}
    for each in measured:
        own = each.figures[OURS]
        assert not own.reason and len(own.samples) == 2
        seconds[each.measure.title] = statistics.median(own.samples)
    # No time is asserted: only that what is whole takes as long as something does.
    assert seconds["mixture"] / seconds["decode"] > 0
    assert seconds["step"] / (seconds["draws"] + seconds["learns"]) > 0
    text = table.markdown(measured, found, about)
    assert all(f"| {name} |" in text for name in seconds)
