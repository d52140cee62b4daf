"""Tests of the files beside the code: what they repeat of each other agrees."""

import pathlib
import re
import subprocess
import sys

import pytest

import nashalign

ROOT = pathlib.Path(__file__).parents[1]
TESTS = "python -m pytest -n auto"


def text(name):
    return (ROOT / name).read_text("utf-8")


def test_the_citation_is_of_the_version_and_licence_that_setup_installs():
    for key in ("version", "license"):
        [cited] = re.findall(rf"^{key}: (\S+)$", text("CITATION.cff"), re.M)
        assert f'{key}="{cited}"' in text("setup.py")


def test_the_library_knows_its_version_and_ships_its_types():
    assert f'version="{nashalign.__version__}"' in text("setup.py")
    assert (ROOT / "nashalign/py.typed").is_file()
    assert '"py.typed"' in text("setup.py")


def test_the_workflow_runs_what_a_person_runs_on_every_python_of_readme():
    workflow, command = text(".github/workflows/ci.yml"), text(".ci/run")
    assert re.search(r"^ +\.ci/run$", workflow, re.M)
    [pythons] = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"3\.\d+", pythons) == ["3.11", "3.12", "3.13"]
    assert "Python 3.11, 3.12 or 3.13" in text("README.md")
    [oldest] = re.findall(r'"jax>=([\d.]+),', text("setup.py"))
    assert f'"=={oldest}"' in workflow
    for line in (TESTS, f"{TESTS} --full -m full"):
        assert re.search(rf"^{re.escape(line)}$", command, re.M)
    for file in ("README.md", "CONTRIBUTING.md"):
        assert TESTS in text(file)


def test_the_workflow_measures_coverage_and_builds_the_pages_as_a_person_does():
    workflow = text(".github/workflows/ci.yml")
    assert re.search(rf"run: {TESTS} --cov ", workflow)
    build = "python -m sphinx -W"
    for file in (".github/workflows/ci.yml", "CONTRIBUTING.md"):
        assert build in text(file)
    # With Sphinx installed, the test that builds the pages is not skipped there.
    assert "[docs,test]" in text(".ci/run")
    assert '"docs": [' in text("setup.py")


def test_files_that_have_a_place_in_the_lanes_exist(pytestconfig):
    settings = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests/conftest.py"))
    assert all(path.exists() for path in [*settings._FAST, *settings._LONGEST])


def test_hooks_lint_as_the_workflow_does():
    for command in ("ruff check", "ruff format"):
        assert f"entry: {command} " in text(".pre-commit-config.yaml")
        assert re.search(rf"^{command} ", text(".ci/run"), re.M)


def test_types_are_checked_by_hooks_and_workflow_alike():
    assert "entry: pyright\n" in text(".pre-commit-config.yaml")
    assert re.search(r"^pyright$", text(".ci/run"), re.M)
    assert '"pyright[nodejs]>=' in text("setup.py")
    assert "`pyright`" in text("CONTRIBUTING.md")


LANES = """
import pytest

@pytest.mark.full
def test_large():
    pass

def test_small():
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, found",
    [
        ([], ["test_small"]),
        (["--full"], ["test_large", "test_small"]),
        (["--full", "-m", "full"], ["test_large"]),
    ],
)
def test_the_full_lane_alone_has_the_largest_sizes(tmp_path, options, found):
    # The worlds that tests share are this project's.
    lanes = re.sub(r"^pytest_plugins = .*$", "", text("tests/conftest.py"), flags=re.M)
    (tmp_path / "conftest.py").write_text(lanes)
    (tmp_path / "lane_test.py").write_text(LANES)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    fast\n    full\npython_files = *_test.py\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(
        [*command, "--collect-only", *options, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert sorted(re.findall(r"::(\w+)", listed)) == found
