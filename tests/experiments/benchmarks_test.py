"""Tests of benchmarks: that what is timed is the same thing done in other ways."""

import re

import pytest
import rich.console

from experiments.benchmarks import (
    dynamics_sweep,
    large_games,
    mixture_decoding,
    updates,
)
from nashalign import terminal


def test_sweeps_and_numpy_move_policies_alike():
    console = rich.console.Console(record=True, width=200)
    config = dynamics_sweep.Config(num_games=16, num_steps=20, every=10, seconds=0.01)
    dynamics_sweep.compare(config, console)
    printed = console.export_text()
    assert all(name in printed for name in dynamics_sweep.SOLVERS)
    differences = [float(text) for text in re.findall(r"\d+e-\d\d", printed)]
    assert len(differences) == len(dynamics_sweep.SOLVERS) == 10
    assert max(differences) < 5e-6
    assert "once compiled, the sweep is" in printed


def test_large_games_prints_the_cost_of_a_step(capsys):
    large_games.main(large_games.Config(sizes=(10, 20), num_steps=2))
    printed = capsys.readouterr().out
    assert "GB/s" in printed and "largest memory of this process" in printed


@pytest.mark.slow
def test_updates_are_timed_beside_online_ipos(capsys):
    found = updates.costs(
        updates.Config(
            rows=("online_ipo", "sft"),
            batch_size=2,
            response_length=4,
            width=64,
            num_layers=1,
            vocabulary=16,
            repeats=1,
        )
    )
    assert [(cost.row, cost.responses, cost.frozen) for cost in found] == [
        ("online_ipo", 2, 1),
        ("sft", 1, 1),
    ]
    assert all(cost.update > 0 and cost.tokens_per_second > 0 for cost in found)
    # A row's update is as many of online IPO's as its tokens' times add up to.
    assert found[1].update == pytest.approx(found[1].token / 2)
    terminal.console().print(updates._table(found))
    assert "online_ipo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("benchmark", "setting"),
    [
        (updates, {"response_length": 0}),
        (dynamics_sweep, {"seconds": float("inf")}),
        (large_games, {"sizes": (10, -1)}),
        (mixture_decoding, {"mix": float("nan")}),
        (mixture_decoding, {"width": 100}),
    ],
)
def test_a_number_that_cannot_be_is_named_before_anything_is_timed(benchmark, setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} .*must be"):
        benchmark.main(benchmark.Config(**setting))


def test_rows_of_the_benchmark_are_looked_up_before_anything_is_timed():
    with pytest.raises(ValueError, match="online_ipo"):
        updates.main(updates.Config(rows=("onlin_ipo",)))
