"""The command lines of the experiments: what --help says, how they begin and end."""

import importlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import experiments
from experiments import door

ROOT = pathlib.Path(experiments.__file__).parent
MODULES = sorted(
    ".".join(("experiments", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_help_names_the_command_and_fits_the_terminal(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "72")
    module = importlib.import_module(name)
    with pytest.raises(SystemExit) as ended:
        module.command(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    command = name.removesuffix(".__main__")
    assert f"usage: python -m {command} " in text
    # Commands are left on one line, and the usage is tyro's.
    whole = (" ", "Run:", "usage:")
    own = [line for line in text.splitlines() if not line.startswith(whole)]
    assert max(map(len, own)) <= 72


def test_paragraphs_are_wrapped_and_commands_are_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text = "One two three four five six.\n\nRun: a b c d e f g h i j k\n     other"
    assert door._wrapped(text) == (
        "One two three four\nfive six.\n\nRun: a b c d e f g h i j k\n     other"
    )


def test_ctrl_c_while_importing_ends_the_command_without_a_traceback(tmp_path):
    stopping = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "tyro.py").write_text(stopping)
    ended = subprocess.run(
        [sys.executable, "-m", "experiments.theorems"],
        cwd=ROOT.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")
