"""Tests of the table of theorems: that it holds, and that it could fail to."""

import csv
import dataclasses
import math

import pytest

from experiments.theorems import __main__ as launch
from experiments.theorems import report
from experiments.theorems.theorem import Theorem, examine
from nashalign import games


@pytest.mark.slow
@pytest.mark.parametrize("theorem", launch.THEOREMS, ids=lambda theorem: theorem.name)
def test_a_theorem_holds(theorem):
    finding = examine(theorem)
    assert finding.holds, report.cells(finding)


def stays(**settings):
    """A dynamics that never moves."""
    solver = games.mirror_descent(tau=0.0, eta=1.0)
    return games.Solver(solver.init, lambda state, preference: state)


def goes_elsewhere(factory):
    """A dynamics with another fixed point: that of half the tau."""
    return lambda *, tau, **settings: factory(tau=tau / 2, **settings)


@pytest.mark.parametrize(
    "method, rows",
    [
        ("nash_md", ("nash_md_one_step", "nash_md_decay", "nash_md_bias")),
        ("inpo", ("inpo_one_step", "inpo_decay", "inpo_fixed_point")),
        ("extragradient", ("egpo_bound",)),
        ("nash_mirror_prox", ("mirror_prox_rate",)),
    ],
)
@pytest.mark.parametrize("wrong", ["stays", "goes elsewhere"])
def test_rows_notice_a_method_that_is_another(method, rows, wrong, monkeypatch):
    factory = getattr(games, method)
    replacement = stays if wrong == "stays" else goes_elsewhere(factory)
    monkeypatch.setattr(games, method, replacement)
    # One step towards another fixed point nearby is within what the bounds allow.
    told = [r for r in rows if wrong == "stays" or not r.endswith("one_step")]
    for theorem in launch.choose(told):
        assert not examine(theorem).holds, theorem.name


def test_there_are_enough_theorems_and_each_says_what_it_measures():
    names = [theorem.name for theorem in launch.THEOREMS]
    assert len(names) >= 30 and len(set(names)) == len(names)
    assert all(theorem.measure.__doc__ for theorem in launch.THEOREMS)
    assert len({theorem.statement for theorem in launch.THEOREMS}) == len(names)


@pytest.mark.parametrize(
    "relation, predicted, measured, holds",
    [
        ("=", 2.0, 2.001, True),
        ("=", 2.0, 2.1, False),
        ("=", 2.0, 1.9, False),
        ("=", -2.0, 2.0, False),
        ("=", 0.0, 1e-9, True),
        ("=", 0.0, 1e-7, False),
        ("<=", 2.0, -5.0, True),
        ("<=", 2.0, 2.1, False),
        (">=", 2.0, 5.0, True),
        (">=", 2.0, 1.9, False),
        ("=", 2.0, math.nan, False),
        ("<=", 2.0, math.nan, False),
        (">=", 2.0, math.nan, False),
        ("<=", 2.0, math.inf, False),
    ],
)
def test_a_theorem_holds_only_if_its_number_says_so(
    relation, predicted, measured, holds
):
    theorem = Theorem(
        "", "", relation, lambda: (predicted, measured), tolerance=1e-2, floor=1e-6
    )
    assert examine(theorem).holds == holds


def test_the_table_is_left_as_a_file_and_a_figure(tmp_path, capsys):
    names = ("constrained_policies", "nash_is_continuous", "two_responses")
    config = launch.Config(output=tmp_path / "new", only=names)
    assert launch.main(config) == 0
    with (tmp_path / "new" / "theorems.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["holds"] for row in rows] == ["yes"] * 3
    assert rows[0]["predicted"] == "= 0.50505051"
    assert len((tmp_path / "new" / "theorems.md").read_text("utf-8").split("\n")) == 6
    assert (tmp_path / "new" / "theorems.png").stat().st_size > 10_000
    assert "3 of 3 hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    "relation, predicted, measured",
    [("<=", -1.0, -4.0), (">=", -4.0, -1.0), ("<=", 2.0, 1.0), (">=", 1.0, 2.0)],
)
def test_a_bound_that_holds_is_drawn_inside_what_it_allows(
    relation, predicted, measured
):
    theorem = Theorem("", "", relation, lambda: (predicted, measured))
    axes = report.draw([examine(theorem)]).axes[0]
    allowed = next(line.get_xdata() for line in axes.lines if line.get_linewidth() == 5)
    assert allowed[0] <= measured / predicted <= allowed[1]


def test_a_theorem_that_fails_is_shown_failing(monkeypatch, tmp_path, capsys):
    wrong = dataclasses.replace(launch.THEOREMS[0], measure=lambda: (2.0, 3.0))
    monkeypatch.setattr(launch, "THEOREMS", (wrong,))
    assert launch.main(launch.Config(output=tmp_path)) == 1
    assert "0 of 1 hold" in capsys.readouterr().out


def test_a_row_explains_itself(capsys):
    config = launch.Config(only=("online_ipo_constant",), explain=True)
    assert launch.main(config) == 0
    printed = capsys.readouterr().out
    assert "paper: 2/tau" in printed and "ordered pair is counted once" in printed


def test_a_misspelt_theorem_is_told_its_near_matches():
    with pytest.raises(ValueError, match="did you mean .*two_responses"):
        launch.choose(("two_response",))
