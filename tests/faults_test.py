"""The list of seeded faults fits the code that it would break."""

import ast
import pathlib
import shlex

import pytest

from tests import faults


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_fault_can_be_applied_and_its_tests_exist(fault):
    wrong = fault.seed((faults.ROOT / fault.path).read_text())
    # A fault that does not even parse would be caught by anything.
    ast.parse(wrong)
    paths = [word for word in shlex.split(fault.tests) if word.startswith("tests/")]
    assert paths and all((faults.ROOT / path).is_file() for path in paths)


def test_faults_have_names_of_their_own():
    names = [fault.name for fault in faults.FAULTS]
    assert len(set(names)) == len(names)


TOTAL = faults.Fault(
    "sign",
    "module.py",
    "total = left + scale * right",
    "total = left - scale * right",
    "",
)


@pytest.mark.parametrize(
    "source, wrong",
    [
        ("total = left + scale * right\n", "total = left - scale * right\n"),
        # Laid out anew, with a comment in it.
        ("total = (\n    left\n)\n", None),
        (
            "f()  # total = 0\ntotal = left + scale * \\\n    right\n",
            "f()  # total = 0\ntotal = left - scale * right\n",
        ),
        # Two names of four are others, here as in the fault.
        ("total = y + scale * z\n", "total = y - scale * z\n"),
        # Three are: that may be any other sum.
        ("x = y + scale * z\n", None),
        # Two names became one.
        ("total = left + left * right\n", None),
        # There twice, in its own names or in others.
        ("total = left + scale * right\n" * 2, None),
        ("total = left + y * right\ntotal = left + z * right\n", None),
        # Its own names come before others.
        (
            "total = left + y * right\ntotal = left + scale * right\n",
            "total = left + y * right\ntotal = left - scale * right\n",
        ),
        # A text is not code, and other signs or numbers are other code.
        ('"total = left + scale * right"\n', None),
        ("total = left - scale * right\n", None),
    ],
)
def test_a_fault_finds_its_code_by_tokens_whatever_they_are_named(source, wrong):
    if wrong is None:
        with pytest.raises(ValueError, match="'sign' is in module.py [02] times"):
            TOTAL.seed(source)
    else:
        assert TOTAL.seed(source) == wrong


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
