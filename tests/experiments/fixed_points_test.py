"""Tests of the table of resting places: that it holds, and that it could fail to."""

import csv
import dataclasses

import jax
import numpy as np
import pytest

from experiments.fixed_points import __main__ as launch
from experiments.fixed_points import game, theory
from experiments.fixed_points.entry import Finding, examine
from nashalign import algorithms, games

QUICK = ("tabular",)


def named(entry):
    return "-".join([entry.row, *(f"{k}={v:g}" for k, v in entry.settings.items())])


@pytest.mark.slow
@pytest.mark.parametrize("entry", launch.ENTRIES, ids=named)
def test_a_row_comes_to_rest_where_theory_says(entry):
    finding = examine(entry, QUICK)
    assert finding.holds, (finding.distances, finding.moved)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["nash_md_pg", "dpo"])
def test_a_transformer_rests_there_too(row):
    (entry,) = launch.choose((row,))
    assert examine(entry, ("transformer",)).holds


def test_every_row_of_the_table_has_an_entry():
    rows = {*algorithms.TABLE, *algorithms.RECIPES}
    assert {entry.row for entry in launch.ENTRIES} == rows


@pytest.mark.parametrize(
    "row, settings",
    [
        ("rl", {"tau": 1.0}),
        ("online_ipo", {"tau": 0.25}),
        ("ipo_md", {"mix": 0.0}),
        ("inpo", {"eta": 1.9}),
        ("sppo", {"eta": 1.9}),
        ("filtered", {"num_responses": 2}),
        ("spin", {"tau": 2.1}),
    ],
)
def test_a_row_with_another_setting_does_not_hold(row, settings):
    entry = launch.choose((row,))[-1]
    other = dataclasses.replace(entry, settings={**entry.settings, **settings})
    # What is run is another row than what is predicted.
    wrong = dataclasses.replace(
        other,
        predict=lambda seen: entry.predict(
            dataclasses.replace(seen, settings=entry.method.settings)
        ),
    )
    assert examine(other, QUICK).holds
    assert not examine(wrong, QUICK).holds


@pytest.mark.parametrize(
    "row, other",
    [
        ("self_play_pg", "best_response_pg"),
        ("nash_md_pg", "self_play_pg"),
        ("online_ipo", "online_dpo"),
        ("online_dpo", "oaif_dpo"),
        ("rdpo", "dpo"),
    ],
)
def test_a_row_that_is_another_method_does_not_hold(row, other, monkeypatch):
    (entry,) = launch.choose((row,))
    swapped = dataclasses.replace(
        algorithms.TABLE[other], settings=algorithms.TABLE[row].settings
    )
    monkeypatch.setitem(algorithms.TABLE, row, swapped)
    assert not examine(entry, QUICK).holds


def test_a_row_that_stays_where_it_began_does_not_hold():
    entry = launch.ENTRIES[0]
    at_rest = Finding(entry, distances={"tabular": 0.0}, moved={"tabular": 0.0})
    unknown = Finding(entry, distances={"tabular": np.nan}, moved={"tabular": 0.2})
    found = Finding(entry, distances={"tabular": 1e-9}, moved={"tabular": 0.2})
    assert found.holds and not at_rest.holds and not unknown.holds


def test_stationary_policy_is_the_nash_policy_of_self_play():
    reference, preference = game.CYCLIC.data, game.PREFERENCE

    def self_play(log_pi, standing):
        wins = preference @ standing
        return jax.numpy.exp(log_pi) @ (0.3 * (log_pi - np.log(reference)) - wins)

    with jax.enable_x64(True):
        found = theory.stationary(self_play, reference)
    expected = games.regularized_nash(preference, reference, 0.3)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_objective_without_a_place_to_rest_is_told():
    with jax.enable_x64(True), pytest.raises(ArithmeticError, match="should be zero"):
        theory.stationary(lambda log_pi, _: log_pi[0], game.CYCLIC.data)


def test_law_of_the_best_is_that_of_all_groups():
    policy, rewards = game.CYCLIC.data, np.array([0.0, 1.0, 1.0, 2.0, -1.0, 3.0, 0.5])
    mass = theory.best_and_worst([policy] * 3, lambda group: rewards[group])
    # Of equals the first is taken, so that only their sum is the law's.
    tied = rewards == 1.0
    law = theory.law_of_best(policy, rewards, 3)
    np.testing.assert_allclose(mass.sum(1)[~tied], law[~tied])
    assert mass.sum(1)[tied].sum() == pytest.approx(law[tied][0])


def test_the_table_is_left_as_a_file_and_a_figure(tmp_path, capsys):
    config = launch.Config(output=tmp_path / "new", rows=("rl", "sft"), quick=True)
    assert launch.main(config) == 0
    with (tmp_path / "new" / "fixed_points.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["row"] for row in rows] == ["rl", "sft"]
    assert [row["holds"] for row in rows] == ["yes"] * 2
    assert float(rows[0]["tabular"]) < 1e-6
    assert (
        len((tmp_path / "new" / "fixed_points.md").read_text("utf-8").split("\n")) == 5
    )
    assert (tmp_path / "new" / "fixed_points.png").stat().st_size > 5_000
    assert "2 of 2 hold" in capsys.readouterr().out


def test_a_row_that_fails_is_shown_failing(monkeypatch, tmp_path, capsys):
    entry = launch.choose(("sft",))[0]
    wrong = dataclasses.replace(entry, predict=lambda seen: seen.reference)
    monkeypatch.setattr(launch, "ENTRIES", (wrong,))
    assert launch.main(launch.Config(output=tmp_path, quick=True)) == 1
    assert "0 of 1 hold" in capsys.readouterr().out


def test_a_misspelt_row_is_told_its_near_matches():
    with pytest.raises(ValueError, match="did you mean .*nash_md_pg"):
        launch.choose(("nash_md",))
