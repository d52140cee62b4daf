"""Tests of the tabular figures: what the papers say of their methods is seen."""

import json

import numpy as np
import pytest

from experiments.tabular import __main__ as launch
from experiments.tabular import comal, egpo


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(egpo, "PANELS", ((0.01, 1000, 0.02), (0.1, 1000, 0.1)))


@pytest.mark.usefixtures("few_steps")
def test_extragradient_reaches_the_nash_policy_and_nash_md_stops_at_its_bias():
    found = egpo.curves()
    assert found[0.1, "EGPO"][-1].max() < 1e-12
    assert found[0.01, "EGPO"][-1].max() < 1e-6
    assert found[0.1, "Nash-MD"][-1].min() > 1e-6
    assert found[0.01, "mirror descent"][-1].max() > 0.1
    for tau in (0.01, 0.1):
        for name in ("EGPO", "Nash-MD", "online IPO"):
            start = found[tau, "EGPO"][0]
            np.testing.assert_array_equal(found[tau, name][0], start)


def test_comal_alone_converges_without_regularisation():
    found = comal.curves()
    assert found["COMAL"][-1] < 1e-11
    assert np.ptp(found["INPO"][-100:]) < 1e-6 and found["INPO"][-1] > 0.05
    for name in ("iterative IPO", "SPPO", "iterative DPO"):
        assert found[name][-300:].max() > 0.7


def test_a_method_that_stops_early_or_lies_on_another_is_told_from_it():
    gaps = np.linspace(1, 0.1, 11)
    found = {"SPPO": gaps, "iterative IPO": gaps, "iterative DPO": gaps[:6]}
    axes = comal.draw(found).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert "iterative DPO (its first 5 steps)" in lines
    on_top = max(lines.values(), key=axes.lines.index)
    assert "the same steps" in on_top.get_label() and on_top.is_dashed()


@pytest.mark.usefixtures("few_steps")
def test_both_figures_and_the_last_gaps_are_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(egpo, "PANELS", egpo.PANELS + egpo.PANELS[:1])
    launch.main(launch.Config(output=tmp_path / "new"))
    for name in ("egpo.png", "comal.png"):
        assert (tmp_path / "new" / name).stat().st_size > 20_000
    last = json.loads((tmp_path / "new" / "last_gaps.json").read_text("utf-8"))
    assert last["COMAL, no tau"] < 1e-11
    assert "last gap" in capsys.readouterr().out
