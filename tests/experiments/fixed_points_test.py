"""Tests of the table of resting places: that it holds, and that it could fail to."""

import csv
import dataclasses

import jax
import numpy as np
import pytest

from experiments.fixed_points import __main__ as launch
from experiments.fixed_points import entry as entries
from experiments.fixed_points import game, report, theory
from experiments.fixed_points.entry import Finding, examine
from nashalign import algorithms, games, policies
from tests import lanes

QUICK = ("tabular",)


def named(entry):
    return "-".join([entry.row, *(f"{k}={v:g}" for k, v in entry.settings.items())])


def by_lane(*cases):
    """Parameters of which the first is a row, each in its row's lane."""
    return [
        pytest.param(*case, marks=lanes.marks(case[0], lanes.FEW)) for case in cases
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=lanes.marks(entry.row, lanes.FEW), id=named(entry))
        for entry in launch.ENTRIES
    ],
)
def test_a_row_comes_to_rest_where_theory_says(entry):
    finding = examine(entry, QUICK)
    assert finding.holds, (finding.distances, finding.moved)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", ["nash_md_pg", pytest.param("dpo", marks=pytest.mark.full)]
)
def test_a_transformer_rests_there_too(row):
    (entry,) = launch.choose((row,))
    assert examine(entry, ("transformer",)).holds


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        "nash_md_pg",
        *(
            pytest.param(row, marks=pytest.mark.full)
            for row in ("online_ipo", "ipo_md", "dpo", "inpo")
        ),
    ],
)
def test_a_transformer_that_computes_in_bfloat16_rests_there_to_a_thousandth(
    row, monkeypatch
):
    rounded = policies.computing_in(game.FAMILIES["transformer"], "bfloat16")
    monkeypatch.setitem(game.FAMILIES, "transformer", rounded)
    found = examine(launch.choose((row,))[-1], ("transformer",))
    # Without the rounding it is 1e-16; the policy has moved by two tenths.
    assert 1e-6 < found.distances["transformer"] < 1e-3
    assert found.moved["transformer"] > 0.1


def test_every_row_of_the_table_has_an_entry():
    rows = set(algorithms.TABLE)
    assert {entry.row for entry in launch.ENTRIES} == rows


@pytest.mark.parametrize(
    "row, settings",
    by_lane(
        ("rl", {"tau": 1.0}),
        ("online_ipo", {"tau": 0.25}),
        ("ipo_md", {"mix": 0.0}),
        ("inpo", {"eta": 1.9}),
        ("sppo", {"eta": 1.9}),
        ("filtered", {"num_responses": 2}),
        ("spin", {"tau": 2.1}),
        ("sequential_po", {"retain": 0.0}),
        ("kto", {"undesirable": 1.1}),
        ("grpo", {"tau": 0.9}),
    ),
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
    by_lane(
        ("self_play_pg", "best_response_pg"),
        ("nash_md_pg", "self_play_pg"),
        ("online_ipo", "online_dpo"),
        ("online_dpo", "oaif_dpo"),
        ("rdpo", "dpo"),
        ("grpo", "dr_grpo"),
        ("dr_grpo", "rloo"),
        ("wpo", "dpo"),
        ("chi_po", "dpo"),
    ),
)
def test_a_row_that_is_another_method_does_not_hold(row, other, monkeypatch):
    (entry,) = launch.choose((row,))
    swapped = dataclasses.replace(
        algorithms.TABLE[other], settings=algorithms.TABLE[row].settings
    )
    monkeypatch.setitem(algorithms.TABLE, row, swapped)
    assert not examine(entry, QUICK).holds


DPO = {"dpo", "online_dpo", "mcts_dpo", "self_rewarding", "osp", "sequential_po"}
RL = {"rl", "rloo", "ppo", "reinforce_plus_plus"}
DPO |= RL | {"preference_degree"}
SELF_PLAY = {"online_ipo", "self_play_pg", "nash_ema_pg", "spo", "inpo", "egpo"}
NASH = SELF_PLAY | {"nash_mirror_prox", "mpo", "comal", "mnpo"}


@pytest.mark.parametrize(
    "row, number, relatives",
    [
        ("egpo", 0, NASH - {"egpo"}),
        ("nash_mirror_prox", 0, NASH - {"nash_mirror_prox"}),
        ("nash_mirror_prox", 1, set()),
        ("rloo", 0, RL - {"rloo"}),
        ("mcts_dpo", 0, DPO - {"mcts_dpo"}),
        ("rdpo", 0, RL),
        ("mpo", 0, {"comal"}),
        ("sft", 0, set()),
    ],
)
def test_an_entry_names_the_rows_of_which_the_same_is_predicted(row, number, relatives):
    entry = launch.choose((row,))[number]
    assert set(entries.relatives(entry, launch.ENTRIES)) == relatives


@pytest.mark.parametrize(
    "row, other, period",
    by_lane(
        ("egpo", "online_ipo", None),
        ("spo", "self_play_pg", None),
        ("rloo", "rl", None),
        ("dpo", "osp", None),
        ("dpo", "sequential_po", None),
        ("online_ipo", "mpo", None),
        ("online_ipo", "mnpo", 1),
    ),
)
def test_a_relative_passes_in_the_place_of_a_row(row, other, period, monkeypatch):
    entry = launch.choose((row,))[0]
    assert other in entries.relatives(entry, launch.ENTRIES)
    own = launch.choose((other,))[0].settings
    settings = own | {k: v for k, v in entry.settings.items() if k in own}
    monkeypatch.setitem(algorithms.TABLE, row, algorithms.TABLE[other])
    swapped = dataclasses.replace(entry, settings=settings, period=period)
    assert examine(swapped, QUICK).holds


def test_two_dimensions_of_sequential_po_are_two_rewards_of_which_the_order_counts():
    (entry,) = launch.choose(("sequential_po",))
    (later,) = entry.later
    apart = np.corrcoef(entry.game.rewards[0], later.rewards[0])[0, 1]
    assert abs(apart) < 0.9
    assert examine(entry, QUICK).holds
    # Neither the other order, nor one dimension twice, nor the second alone, nor one
    # that is not retained, comes to rest there.
    turned = {"game": later, "later": (entry.game,)}
    for other in (turned, {"later": (entry.game,)}, {"game": later}):
        wrong = dataclasses.replace(
            dataclasses.replace(entry, **other),
            predict=lambda seen: entry.predict(
                dataclasses.replace(seen, game=entry.game, later=entry.later)
            ),
        )
        assert not examine(wrong, QUICK).holds


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
    assert [row["would also pass"] for row in rows] == [
        "rloo, ppo, reinforce_plus_plus",
        "",
    ]
    assert float(rows[0]["tabular"]) < 1e-6
    text = (tmp_path / "new" / "fixed_points.md").read_text("utf-8")
    assert text.startswith(report.NECESSARY) and len(text.split("\n")) == 7
    assert (tmp_path / "new" / "fixed_points.png").stat().st_size > 5_000
    assert "2 of 2 hold" in capsys.readouterr().out


def findings(distance=1e-16):
    return [
        Finding(entry, distances={"tabular": distance}, moved={"tabular": 0.2})
        for entry in launch.ENTRIES
    ]


def test_entries_of_one_row_are_told_apart_by_their_settings():
    labels = report.labels(findings())
    assert len(set(labels)) == len(labels)
    assert "sft" in labels and {"inpo, eta 1", "inpo, eta 2"} <= set(labels)


ALLOWED = max(entry.tolerance for entry in launch.ENTRIES)


@pytest.mark.parametrize(
    "distance, end", [(1e-16, 5 * ALLOWED), (0.3, 2), (np.nan, 5 * ALLOWED)]
)
def test_the_figure_ends_where_its_points_do_and_says_what_was_predicted(distance, end):
    figure = report.draw(findings()[:-1] + findings(distance)[-1:])
    axes = figure.axes[0]
    assert axes.get_xlim()[1] <= end
    last = [p.get_offsets()[0] for p in axes.collections if len(p.get_offsets())]
    places = {place: x for x, place in last}
    assert axes.get_xlim()[0] < places[len(launch.ENTRIES) - 1] <= axes.get_xlim()[1]
    predictions = axes.child_axes[0].get_yticklabels()
    assert [p.get_text() for p in predictions] == [
        entry.prediction for entry in launch.ENTRIES
    ]


def test_a_row_that_fails_is_shown_failing(monkeypatch, tmp_path, capsys):
    entry = launch.choose(("sft",))[0]
    wrong = dataclasses.replace(entry, predict=lambda seen: seen.reference)
    monkeypatch.setattr(launch, "ENTRIES", (wrong,))
    assert launch.main(launch.Config(output=tmp_path, quick=True)) == 1
    assert "0 of 1 hold" in capsys.readouterr().out


def test_a_misspelt_row_is_told_its_near_matches():
    with pytest.raises(ValueError, match="did you mean .*nash_md_pg"):
        launch.choose(("nash_md",))
