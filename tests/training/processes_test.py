import functools
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import pytest

from nashalign import training
from nashalign.training import processes

ROOT = pathlib.Path(__file__).parents[2]


def work_in(folder: pathlib.Path):
    """What does a piece: it writes in whose process, and on how many cores."""

    def work(piece: int) -> int:
        if piece < 0:
            raise training.TrainingDiverged("loss is nan", -piece, None, folder)
        print(f"piece {piece}")
        (folder / str(piece)).write_text(f"{os.getpid()} {len(processes.cores())}")
        return piece**2

    return work


def at_once(folder, pieces, number=2):
    return training.at_once(
        functools.partial(work_in, folder),
        pieces,
        number,
        log=folder / "log" / "processes.log",
        name="pieces",
        progress=lambda: len(list(folder.glob("[0-9]"))),
        total=len(pieces),
    )


def test_pieces_are_done_in_processes_that_share_the_cores_out(tmp_path, capfd):
    assert at_once(tmp_path, [3, 1, 2]) == [9, 1, 4]
    found = [(tmp_path / str(piece)).read_text().split() for piece in (1, 2, 3)]
    pids, cores = zip(*found, strict=True)
    assert str(os.getpid()) not in pids
    assert {int(own) for own in cores} == {max(1, len(processes.cores()) // 2)}
    said = (tmp_path / "log" / "processes.log").read_text()
    assert sorted(said.split("\n")) == ["", "piece 1", "piece 2", "piece 3"]
    shown = capfd.readouterr()
    assert "piece 1" not in shown.out + shown.err
    assert "pieces, 2 at a time" in shown.err and "3/3" in shown.err


def test_what_a_piece_raises_is_raised_whole_and_no_other_is_begun(tmp_path):
    with pytest.raises(training.TrainingDiverged, match="at step 7") as raised:
        at_once(tmp_path, [-7, 1, 2, 3, 4, 5])
    assert raised.value.step == 7 and raised.value.batch == tmp_path
    assert not (tmp_path / "5").exists()
    assert not multiprocessing.active_children()


def test_of_no_pieces_no_process_is_begun(tmp_path):
    assert at_once(tmp_path, []) == []
    assert not list(tmp_path.iterdir())


def dies(_piece):
    os.kill(os.getpid(), signal.SIGKILL)


def make_dying():
    return dies


@pytest.mark.full
def test_a_process_that_dies_is_told_of_in_a_sentence(tmp_path):
    with pytest.raises(ChildProcessError, match="a process has died"):
        training.at_once(
            make_dying,
            [1, 2],
            2,
            log=tmp_path / "log",
            name="pieces",
            progress=lambda: 0,
            total=2,
        )


def test_shares_are_equal_whoever_does_a_piece(monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: [0, 1, 4, 5, 7])
    assert processes._shares(2) == [[0, 1], [4, 5]]
    assert processes._shares(7)[4:] == [[7], [0], [1]]


def test_there_are_no_more_processes_than_pieces_cores_and_memory(monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: list(range(6)))
    pages = {"SC_PHYS_PAGES": 5 * 2**30, "SC_PAGE_SIZE": 2}
    monkeypatch.setattr(os, "sysconf", pages.get)
    assert training.num_processes(None, 9) == 5
    assert training.num_processes(None, 3) == 3
    assert training.num_processes(8, 9) == 8
    assert training.num_processes(1, 9) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert training.num_processes(None, 9) == 1
    with pytest.raises(ValueError, match="--processes is 2.* do not share a gpu"):
        training.num_processes(2, 9)


def waits_in(folder: pathlib.Path):
    """What does a piece: it waits for SIGTERM, and says that it has come."""

    def work(piece: int) -> None:
        def ended(*_):
            (folder / f"ended {piece}").touch()
            raise SystemExit(143)

        signal.signal(signal.SIGTERM, ended)
        (folder / f"begun {piece}").write_text(str(os.getpid()))
        time.sleep(60)

    return work


# What is begun behind a shell, such as these tests, is deaf to Ctrl-C.
_WAITING = """
import functools, pathlib, signal, sys
from nashalign import training
from tests.training import processes_test

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = pathlib.Path(sys.argv[1])
    training.at_once(
        functools.partial(processes_test.waits_in, folder), [1, 2, 3], 2,
        log=folder / "log", name="waiting", progress=lambda: 0, total=3,
    )
"""


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.full
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGINT, 1),
        (signal.SIGTERM, 143),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_processes_are_ended_gently_however_their_parent_is(tmp_path, sent, code):
    script = tmp_path / "waiting.py"
    script.write_text(_WAITING)
    found = os.pathsep.join(map(str, filter(None, [ROOT, os.getenv("PYTHONPATH")])))
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path], env=os.environ | {"PYTHONPATH": found}
    )
    begun = [tmp_path / f"begun {own}" for own in (1, 2)]
    until(lambda: all(own.exists() and own.read_text() for own in begun))
    parent.send_signal(sent)
    assert parent.wait(60) == code or sent == signal.SIGINT
    until(lambda: all((tmp_path / f"ended {own}").exists() for own in (1, 2)))
    for own in begun:
        until(lambda own=own: not pathlib.Path("/proc", own.read_text()).exists())
    assert not (tmp_path / "begun 3").exists()
