"""The command lines of the experiments: what --help says, how they begin and end."""

import importlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import experiments
from experiments.docstrings import sample
from nashalign import command_line, options, training

ROOT = pathlib.Path(experiments.__file__).parent
# All that can be run, but for what commands start for themselves.
MODULES = sorted(
    ".".join(("experiments", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    and path.parent.name != "workers"
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
    # Nothing stands behind a command but what belongs to it.
    commands = [line for line in text.splitlines() if "python -m " in line]
    assert not any("Takes" in line or "    -" in line for line in commands)


def test_paragraphs_are_wrapped_and_commands_are_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text = "One two three four five six.\n\nRun: a b c d e f g h i j k\n     other"
    assert command_line._wrapped(text) == (
        "One two three four\nfive six.\n\nRun: a b c d e f g h i j k\n     other"
    )


@pytest.mark.parametrize(
    ("command", "imported"),
    [("experiments.theorems", "tyro"), ("nashalign.algorithms", "chex")],
)
def test_ctrl_c_while_importing_ends_the_command_without_a_traceback(
    tmp_path, command, imported
):
    stopping = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / f"{imported}.py").write_text(stopping)
    # A shell that runs the tests in the background has Ctrl-C ignored in all below it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = subprocess.run(
        [sys.executable, "-m", command],
        cwd=ROOT.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
    )
    signal.signal(signal.SIGINT, before)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_an_output_folder_holds_one_result_and_keeps_it(tmp_path, capsys):
    def work(text, failed):
        def write():
            training.write_text(tmp_path / "run" / "table.md", text)
            return failed

        return write

    place = tmp_path / "run"
    assert command_line.in_folder(place, {"only": ()}, work("all", 2)) == 2
    with pytest.raises(ValueError, match=r"only: \[\] -> \['one'\]"):
        command_line.in_folder(place, {"only": ("one",)}, work("one", 0))
    assert command_line.in_folder(place, {"only": ()}, work("again", 0)) == 2
    assert "finished; results are in" in capsys.readouterr().out
    assert (place / "table.md").read_text() == "all"


@pytest.mark.parametrize("name", ["theorems", "fixed_points", "tabular"])
def test_an_output_that_cannot_be_written_is_a_sentence(name, tmp_path):
    (tmp_path / "file").write_text("in the way")
    module = importlib.import_module(f"experiments.{name}.__main__")
    ended = module.command(["--output", str(tmp_path / "file" / "run")])
    assert f"cannot write to {tmp_path}/file/run" in ended


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_temperature_that_is_none_is_refused_before_anything_is_read(value):
    given = ["nowhere", "nothing.py", "--temperature", value]
    assert f"--temperature is {float(value)}" in sample.command(given)


@pytest.mark.parametrize("seed", [2**32, 2**64, 2**100])
def test_seeds_that_random_keys_cannot_tell_apart_are_refused(seed):
    with pytest.raises(ValueError, match=f"--seed is {seed}; seeds must be below"):
        options.require_seed(seed)
    options.require_seed(2**32 - 2, number=2)
    with pytest.raises(ValueError, match="--seed is"):
        options.require_seed(2**32 - 2, number=3)
