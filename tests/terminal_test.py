"""Every command ends with a number or a sentence; every text is shown as it is."""

import contextlib
import io
import os
import signal
import sys

import pytest
import rich.table
import rich.text

from nashalign import terminal


def printed(*things, **options) -> str:
    console = terminal.console()
    console.file = io.StringIO()
    console.print(*things, **options)
    return console.file.getvalue()


@pytest.mark.parametrize("text", ["runs/x[/red]y", "[bold]name", "a :smile: b"])
def test_text_is_printed_as_it_is_wherever_it_stands(text):
    assert printed(text) == text + "\n"
    table = rich.table.Table(text, title=text)
    table.add_row(text)
    assert printed(table).count(text) == 3
    console = terminal.console()
    console.file = io.StringIO()
    console.rule(text)
    assert text in console.file.getvalue()


def test_a_model_cannot_steer_the_terminal():
    text = "a\x1b[2Jb\x07\r\x9b\x7fc\n\td"
    assert terminal.visible(text) == r"a\x1b[2Jb\x07\x0d\x9b\x7fc" + "\n\td"
    assert "\x1b" not in printed(text, rich.text.Text("own", "bold"))


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (ValueError("tau is -1"), "error: tau is -1"),
        (OSError(28, "full"), "error: [Errno 28] full"),
        (ZeroDivisionError("loss"), "error: loss"),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(error, ended, capsys):
    def main(arguments):
        raise error

    assert terminal.guard(main, ZeroDivisionError)([]) == ended
    if ended == 130:
        assert capsys.readouterr().err == "stopped; the same command resumes it\n"


def test_a_fault_of_the_program_shows_where_it_is():
    with pytest.raises(KeyError):
        terminal.guard(lambda arguments: {}["x"])([])


def test_what_a_command_returns_is_its_exit_code():
    assert terminal.guard(lambda arguments: None)([]) == 0
    assert terminal.guard(lambda arguments: len(arguments))(["a", "b"]) == 2


def test_an_argument_that_is_no_text_is_refused_before_anything_is_done():
    argument = os.fsdecode(b"d\xff")
    ended = terminal.guard(lambda arguments: 0)(["--data", argument])
    assert ended.startswith(r"error: 'd\udcff' cannot be read in this locale")
    assert "PYTHONUTF8=1" in ended


def test_a_full_disk_behind_the_output_is_a_sentence_and_said_once(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        command = terminal.guard(lambda arguments: print("text"))
        assert command([]) == (
            "error: the output cannot be written: No space left on device"
        )
        full.flush()


@pytest.mark.parametrize("length", [1, 10**6])
def test_a_full_disk_behind_a_console_is_said_to_be_the_outputs(monkeypatch, length):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        command = terminal.guard(lambda a: terminal.console().print("x" * length))
        assert "the output cannot be written: No space left on device" in command([])
        with contextlib.suppress(OSError):
            full.flush()


@pytest.mark.parametrize("write", [print, lambda text: terminal.console().print(text)])
@pytest.mark.parametrize("ends", [lambda: None, lambda: sys.exit(0)])
def test_a_reader_that_goes_away_ends_the_command_quietly(monkeypatch, write, ends):
    reading, writing = os.pipe()
    os.close(reading)

    def main(arguments):
        write("text")
        ends()

    with open(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert terminal.guard(main)([]) == terminal.UNREAD
        closed.flush()


def test_characters_that_the_output_has_not_are_escaped(monkeypatch):
    written = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", written)
    assert terminal.guard(lambda arguments: print("é"))([]) == 0
    assert written.buffer.getvalue() == b"\\xe9\n"


def test_ctrl_c_is_heard_again_once_a_command_has_begun():
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        terminal.guard(lambda arguments: 0)([])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        terminal.guard(lambda arguments: 0)([])
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
