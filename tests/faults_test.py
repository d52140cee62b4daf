"""The list of seeded faults fits the code that it would break."""

import ast
import pathlib
import shlex

import pytest

from tests import faults


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_fault_can_be_applied_and_its_tests_exist(fault):
    source = (faults.ROOT / fault.path).read_text()
    assert source.count(fault.old) == 1
    # A fault that does not even parse would be caught by anything.
    ast.parse(source.replace(fault.old, fault.new))
    paths = [word for word in shlex.split(fault.tests) if word.startswith("tests/")]
    assert paths and all((faults.ROOT / path).is_file() for path in paths)


def test_faults_have_names_of_their_own():
    names = [fault.name for fault in faults.FAULTS]
    assert len(set(names)) == len(names)


def test_a_fault_is_applied_to_a_copy_and_taken_back(tmp_path, monkeypatch, capsys):
    module = tmp_path / "module.py"
    module.write_text("right")
    seen = []

    def run(copy, tests):
        seen.append((pathlib.Path(copy, "module.py").read_text(), tests))
        return {"caught": 1, "missed": 0}.get(tests, 5)

    monkeypatch.setattr(faults, "_pytest", run)
    for tests, verdict in [
        ("caught", "caught"),
        ("missed", "SURVIVED"),
        ("nothing", "no verdict (5)"),
    ]:
        fault = faults.Fault("name", "module.py", "right", "wrong", tests)
        assert faults._verdict(tmp_path, fault) == verdict
        assert seen[-1] == ("wrong", tests)
        assert module.read_text() == "right"
        assert verdict in capsys.readouterr().out
