"""The wheel, away from the repository: it aligns a task of a user's."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SMALL = (
    *("--text.prompt-length", "40", "--text.response-length", "6"),
    *("--training.num-steps", "2", "--training.batch-size", "8"),
    *("--evaluation.num-prompts", "8", "--evaluation.num-validation-prompts", "8"),
    *("--evaluation.num-samples", "2"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel installs, dependencies apart."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(
        ROOT / "nashalign",
        source / "nashalign",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    target = folder / "installed"
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", target, source], check=True
    )
    return target


@pytest.mark.full
@pytest.mark.slow
def test_the_wheel_brings_the_templates_of_judges(installed):
    place = "nashalign/preferences/llm/templates"
    names = {path.name for path in (ROOT / place).iterdir()}
    assert {path.name for path in (installed / place).iterdir()} == names
    assert "helpful.txt" in names


@pytest.mark.full
@pytest.mark.slow
def test_the_wheel_aligns_a_task_of_its_own(installed, tmp_path):
    experiments = ROOT / "experiments"
    shutil.copy(experiments / "rock_paper_scissors.py", tmp_path)
    shutil.copytree(experiments / "own_task", tmp_path / "own_task")

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("-c", "import nashalign; print(nashalign.__file__)")
    assert pathlib.Path(where.strip()).is_relative_to(installed)
    run("rock_paper_scissors.py", "--num-steps", "2", "--num-lessons", "2")
    finished = tmp_path / "runs" / "rock_paper_scissors"
    assert "Nash-MD-PG" in (finished / "results" / "summary.md").read_text()
    run(
        *("-m", "nashalign", "align", "--policy", str(finished / "start")),
        *("--prompts", "own_task/prompts.jsonl", "--output", "out"),
        *("--annotator", "rock_paper_scissors.py:prefer"),
        *("--method", "own_task/row.py:ROW", *SMALL),
    )
    assert (tmp_path / "out" / "policy" / "model.safetensors").is_file()
