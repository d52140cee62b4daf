"""The table of methods: its papers, its settings, and its errors."""

import dataclasses
import os
import re
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms, terminal
from tests import token_game
from tests.algorithms import definitions

ROWS = list(algorithms.TABLE)


@pytest.mark.parametrize("name", ROWS)
def test_a_rows_paper_is_an_author_the_year_and_an_arxiv_number_of_that_year(name):
    cited = re.fullmatch(
        r".+ (?:et al\.|and \w+) 20(\d\d), arXiv:(\d\d)(0[1-9]|1[0-2])\.\d{5}",
        algorithms.TABLE[name].paper,
    )
    assert cited and cited[1] == cited[2]


def test_titles_are_of_one_row_each():
    titles = [row.title for row in algorithms.TABLE.values()]
    assert len(set(titles)) == len(titles)


def test_table_has_these_rows_and_their_defaults_are_allowed():
    assert ROWS == list(token_game.SETTINGS)
    for name, row in algorithms.TABLE.items():
        assert row.name == name
        assert algorithms.configure(name) == algorithms.configure(row) == row.method


@pytest.mark.parametrize("name", ROWS)
def test_row_prints_its_title_paper_and_settings(name):
    row = algorithms.TABLE[name]
    parts = (row.title, row.paper, *row.defaults.values())
    assert all(str(part) in repr(row) for part in parts)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("ipo_dm", {}, "Unknown method 'ipo_dm'. Did you mean ipo_md"),
        (None, {}, "Unknown method None."),
        ("nashmd", {}, "Did you mean nash_md_pg"),
        ("zzz", {}, "Known: rl, rloo, ppo, bonbon, bond, "),
        ("online_ipo", {"taw": 1.0}, "no setting 'taw'. Did you mean tau? It has: tau"),
        ("online_ipo", {"mix": 0.1}, "'online_ipo' has no setting 'mix'"),
        ("ipo_md", {"mxi": 0.1}, "Did you mean mix? It has: tau, mix"),
        ("online_ipo", {"title": "IPO"}, "no setting 'title'"),
        (
            "online_ipo",
            {"tau": 0.0},
            "online_ipo: tau must be positive and finite, not",
        ),
        ("online_dpo", {"tau": 0}, "must be positive"),
        ("online_slic", {"tau": 0.0}, "must be positive"),
        ("ipo_md", {"tau": 0.0}, "must be positive"),
        ("rl", {"tau": -0.1}, "rl: tau must be finite and >= 0, not -0.1"),
        ("nash_md_pg", {"tau": float("nan")}, "must be finite"),
        ("nash_md_pg", {"tau": float("inf")}, "must be finite"),
        ("ipo_md", {"mix": 1.01}, "must be in [0, 1], not 1.01"),
        ("ipo_md", {"mix": -0.01}, "must be in [0, 1], not -0.01"),
        ("nash_md_pg", {"mix": float("nan")}, "must be in [0, 1], not nan"),
        ("rebel", {"tau": 0.1}, "'rebel' has no setting 'tau'"),
        ("rebel", {"eta": 0.0}, "rebel: eta must be positive and finite, not 0.0"),
        (
            "sppo",
            {"period": 0},
            "sppo: period must be a whole number, at least 1",
        ),
        (
            "comal",
            {"num_inner": 1.5},
            "num_inner must be a whole number, at least 1",
        ),
        ("nash_ema_pg", {"decay": 1.1}, "decay must be in [0, 1], not 1.1"),
        ("inpo", {"tau": 0.1, "eta": 20.0}, "in the anchor, at most 1, not 2; eta is"),
        ("mnpo", {"tau": 0.1, "eta": 20.0}, "in the anchor, at most 1, not 2; eta is"),
        ("rdpo", {"flip": 0.5}, "flip must be in [0, 1/2), not 0.5"),
        (
            "spo",
            {"num_responses": 1},
            "must be a whole number, at least 2, not 1",
        ),
        (
            "ppo",
            {"num_epochs": 0},
            "must be a whole number, at least 1, not 0",
        ),
        ("bond", {"floor": 0.1}, "'bond' has no setting 'floor'"),
        ("conditional", {"lowest": 1.0}, "lowest is 1.0; it must be below highest, 1"),
        ("rwr", {"tau": 0.0}, "rwr: tau must be positive"),
        ("sft", {"tau": 0.1}, "'sft' has no setting 'tau'. It has: none."),
    ],
)
def test_wrong_setting_is_an_error_that_says_what_is_right(name, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        algorithms.configure(name, **settings)


@pytest.mark.parametrize("value", ["0.1", None, True, [0.1, 0.2], np.ones(2), {}])
@pytest.mark.parametrize(
    "name, setting", [("ipo_md", "tau"), ("rdpo", "flip"), ("spo", "num_responses")]
)
def test_a_setting_that_is_not_one_number_is_named(name, setting, value):
    with pytest.raises(TypeError, match=f"{name}: {setting} must be "):
        algorithms.configure(name, **{setting: value})


@pytest.mark.parametrize(
    "name, settings",
    [
        ("rl", {"tau": 0.0}),
        ("nash_md_pg", {"tau": 0.0}),
        ("nash_md_pg", {"mix": 0.0}),
        ("ipo_md", {"mix": 1}),
        ("nash_ema_pg", {"decay": 1.0}),
        ("inpo", {"tau": 0.5, "eta": 2.0}),
    ],
)
def test_ends_of_the_ranges_are_allowed(name, settings):
    method = algorithms.configure(name, **settings)
    assert settings.items() <= method.settings.items()


class Asked(dict):
    """Settings that know which of them were asked for."""

    def __init__(self, values):
        super().__init__(values)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("name", ROWS)
def test_every_setting_is_explained_and_used(name, monkeypatch):
    row, asked = algorithms.TABLE[name], Asked({})
    assert all(setting.meaning and setting.source for setting in row.settings)
    replaced = dataclasses.replace

    def replace(value, **changes):
        if isinstance(value, algorithms.Method) and "settings" in changes:
            changes["settings"] = Asked(changes["settings"])
            changes["settings"].names = asked.names
        return replaced(value, **changes)

    monkeypatch.setattr(dataclasses, "replace", replace)
    row.require_shapes()
    if row.rounds is not None:
        row.rounds(dataclasses.replace(row.method, settings=row.defaults), 60)
    drawn = (*row.method.members, *row.method.opponents)
    used = asked.names | {draw.setting for draw in drawn}
    # Authors, anchors and steps, heads' sizes and prompts are not traced.
    used |= {"mix", "gap", "half_life", "num_epochs", "num_degrees"}
    used |= {"lowest", "highest"}
    assert row.defaults.keys() <= used


def test_settings_are_leaves_so_that_one_program_serves_every_value():
    traces = []

    @jax.jit
    def draw(method, state, prompts):
        traces.append(method.tau)
        return algorithms.rollout(method, setup, state, prompts).responses

    setup = token_game.setup(token_game.POLICY)
    state, prompts = token_game.moved_state(), token_game.prompts(range(30))
    drawn = [
        draw(algorithms.configure("nash_md_pg", tau=tau, mix=mix), state, prompts)
        for tau, mix in [(0.1, 0.0), (0.2, 0.5), (0.3, 1.0)]
    ]
    assert len(traces) == 1
    # And the value that is passed is the one that is used.
    assert not jnp.array_equal(drawn[0].tokens, drawn[2].tokens)
    leaves = jax.tree.leaves(algorithms.configure("ipo_md", tau=0.3, mix=0.2))
    assert sorted(leaves) == [0.2, 0.3]


@pytest.mark.parametrize(
    "name, authors, members",
    [("rloo", 6, 6), ("dno_prct", 7, 7), ("osp", 7, 6), ("dice", 8, 8)],
)
def test_number_of_responses_is_a_setting(name, authors, members):
    method = algorithms.configure(name, num_responses=6)
    assert (len(method.authors), method.num_members) == (authors, members)
    assert set(method.authors) == set(algorithms.TABLE[name].method.authors)
    assert method.settings["num_responses"] == 6


def test_every_row_says_where_it_departs_from_its_paper():
    for row in algorithms.TABLE.values():
        assert all(line and "\n" not in line for line in row.departures)
    silent = [name for name, row in algorithms.TABLE.items() if not row.departures]
    assert len(silent) <= 10, silent
    assert algorithms.TABLE["optune"].exactness == "exact without the regeneration"
    (first, *_) = algorithms.TABLE["mcts_dpo"].departures
    assert first == "the update is DPO's: the search is between rounds"


def test_where_nobody_has_a_papers_formula_the_definition_says_so():
    hidden = [
        name
        for name, row in algorithms.TABLE.items()
        if any("not public" in line for line in row.departures)
    ]
    assert {"sequential_po", "self_prompting", "optune", "mixed_po"} < set(hidden)
    for name in hidden:
        assert f"\n- `{name}`" in definitions.__doc__, name


@pytest.mark.parametrize("number", [2, 8, 129, 1000])
def test_bonbons_tau_sums_every_term(number):
    exact = 1 / (2 * (number - 1) * sum(1 / k for k in range(1, number)))
    found = algorithms.objectives.best_of_n_tau({"num_responses": number})
    assert float(found) == pytest.approx(exact, rel=1e-5)


def printed(capsys, monkeypatch, *names):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr("sys.argv", ["algorithms", *names])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("nashalign.algorithms", run_name="__main__")
    return ended.value.code, capsys.readouterr().out


def test_the_table_is_printed_with_every_row_and_choice(capsys, monkeypatch):
    code, text = printed(capsys, monkeypatch)
    assert code == 0
    short, _, details = text.partition("choice on each axis")
    assert details and "loss " not in short and "departure" not in details
    for name in algorithms.TABLE:
        assert f" {name} " in short
    for name, row in algorithms.TABLE.items():
        assert f" {name} " in text and row.title in text and row.paper in text
    for words in (
        "1 of policy",
        "1 of mixture",
        "5 of iterate",
        "loss ipo (inverse eta)",
        "iterate to policy: every period",
        "prompts on own reward",
        "label preference: verdict",
        "select clear best and worst",
        "weight exponential",
        "step extragradient",
        "step 4 optimizer steps an update",
        "of the batch mean log weight",
        "regulariser tau * divergence of opponent",
        "expected update exact without whitening",
        "decay = 0.999",
        "rounds DPO, then 2 stages, each with its penalty for length",
    ):
        assert words in text, words


def test_rows_that_are_named_are_printed_with_what_their_settings_must_be(
    capsys, monkeypatch
):
    code, text = printed(capsys, monkeypatch, "rdpo", "ppo")
    assert code == 0
    for line in algorithms.TABLE["ppo"].departures:
        assert f"departure {line}" in text
    assert (
        "flip = 0.1  rate of wrong labels; must be in [0, 1/2); 0.1 is the paper's"
        in text
        and "spin" not in text
    )
    code, text = printed(capsys, monkeypatch, "mixed_po")
    assert code == 0 and "Gou and Nguyen" in text and "PPO" in text
    departures = algorithms.TABLE["mixed_po"].departures
    assert "threshold" in departures[0]
    for line in departures:
        assert f"departure {line}" in text
    for title, row in (("DPO", "dpo"), ("PPO", "ppo")):
        for line in algorithms.TABLE[row].departures:
            assert f"departure {title}: {line}" in text
    code, _ = printed(capsys, monkeypatch, "ipo_dm")
    assert code == "error: Unknown method 'ipo_dm'. Did you mean ipo_md or ipo or inpo?"
    code, text = printed(capsys, monkeypatch, "--help")
    assert (
        code == 0 and "python -m nashalign.algorithms [NAME | FILE.py:NAME ...]" in text
    )


def test_a_reader_that_goes_away_ends_the_list_quietly(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", closed)
        patch.setattr("sys.argv", ["algorithms"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("nashalign.algorithms", run_name="__main__")
        closed.flush()
    assert ended.value.code == terminal.UNREAD
