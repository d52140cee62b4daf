"""The table of methods: its papers, its settings, and the errors at its door."""

import re
import runpy

import jax
import jax.numpy as jnp
import pytest

from nashalign import algorithms
from tests import token_game

ROWS = list(algorithms.TABLE)


@pytest.mark.parametrize(
    "name, authors, annotation, mixes, paper",
    [
        ("rl", 2, "reward", False, "2403.08635"),
        ("online_dpo", 2, "preference", False, "2403.08635"),
        ("online_slic", 2, "preference", False, "2403.08635"),
        ("online_ipo", 2, "preference", False, "2403.08635"),
        ("nash_md_pg", 2, "preference", True, "2312.00886"),
        ("ipo_md", 2, "preference", True, "2403.08635"),
        ("self_play_pg", 2, "preference", False, "2312.00886"),
        ("best_response_pg", 2, "preference", False, "2312.00886"),
        ("nash_ema_pg", 2, "preference", False, "2312.00886"),
        ("spo", 4, "preference", False, "2401.04056"),
        ("sppo", 5, "preference", False, "2405.00675"),
        ("inpo", 2, "preference", False, "2407.00617"),
        ("comal", 2, "preference", False, "2410.23223"),
        ("rebel", 2, "reward", False, "2404.16767"),
        ("mpo", 2, "preference", False, "2410.16714"),
    ],
)
def test_row_is_the_method_of_its_paper(name, authors, annotation, mixes, paper):
    row = algorithms.TABLE[name]
    assert len(row.authors) == authors
    assert (row.annotation, row.mixes) == (annotation, mixes)
    assert re.fullmatch(r".+ et al\. 20\d\d, arXiv:\d{4}\.\d{5}", row.paper)
    assert row.paper.endswith(paper)


def test_table_has_these_rows_and_their_defaults_are_allowed():
    assert ROWS == list(token_game.SETTINGS)
    for name in ROWS:
        assert algorithms.configure(name) == algorithms.TABLE[name]


@pytest.mark.parametrize("name", ROWS)
def test_row_prints_its_title_paper_and_settings(name):
    row = algorithms.TABLE[name]
    parts = (row.title, row.paper, *row.settings.values())
    assert all(str(part) in repr(row) for part in parts)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("ipo_dm", {}, "Unknown method 'ipo_dm'. Did you mean ipo_md"),
        ("nashmd", {}, "Did you mean nash_md_pg"),
        ("zzz", {}, "Known: rl, online_dpo, online_slic, online_ipo, nash_md_pg"),
        ("online_ipo", {"taw": 1.0}, "no setting 'taw'. Did you mean tau? It has: tau"),
        ("online_ipo", {"mix": 0.1}, "'online_ipo' has no setting 'mix'"),
        ("ipo_md", {"mxi": 0.1}, "Did you mean mix? It has: tau, mix"),
        ("online_ipo", {"title": "IPO"}, "no setting 'title'"),
        ("online_ipo", {"tau": 0.0}, "online_ipo divides by tau: give a tau > 0"),
        ("online_dpo", {"tau": 0}, "divides by tau"),
        ("online_slic", {"tau": 0.0}, "divides by tau"),
        ("ipo_md", {"tau": 0.0}, "divides by tau"),
        ("rl", {"tau": -0.1}, "rl: tau must be finite and >= 0, not -0.1"),
        ("nash_md_pg", {"tau": float("nan")}, "must be finite"),
        ("nash_md_pg", {"tau": float("inf")}, "must be finite"),
        ("ipo_md", {"mix": 1.01}, "in [0, 1], not 1.01"),
        ("ipo_md", {"mix": -0.01}, "in [0, 1], not -0.01"),
        ("nash_md_pg", {"mix": float("nan")}, "in [0, 1], not nan"),
        ("rebel", {"tau": 0.1}, "'rebel' has no setting 'tau'"),
        ("rebel", {"eta": 0.0}, "rebel: eta must be positive and finite, not 0.0"),
        ("sppo", {"period": 0}, "sppo: period counts updates, >= 1, not 0"),
        ("comal", {"num_inner": 1.5}, "num_inner counts periods, >= 1, not 1.5"),
        ("nash_ema_pg", {"decay": 1.1}, "the share of the past, in [0, 1], not 1.1"),
        ("inpo", {"tau": 0.1, "eta": 20.0}, "in the anchor, at most 1, not 2; eta is"),
    ],
)
def test_wrong_setting_is_an_error_that_says_what_is_right(name, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        algorithms.configure(name, **settings)


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


def test_settings_are_leaves_so_that_one_program_serves_every_value():
    traces = []

    @jax.jit
    def draw(method, state, prompts):
        traces.append(method.title)
        return algorithms.rollout(method, setup, state, prompts).responses

    setup = token_game.setup(token_game.POLICY)
    state, prompts = token_game.moved_state(), token_game.prompts(range(30))
    drawn = [
        draw(algorithms.configure("nash_md_pg", tau=tau, mix=mix), state, prompts)
        for tau, mix in [(0.1, 0.0), (0.2, 0.5), (0.3, 1.0)]
    ]
    assert traces == ["Nash-MD-PG"]
    # And the value that is passed is the one that is used.
    assert not jnp.array_equal(drawn[0].tokens, drawn[2].tokens)
    leaves = jax.tree.leaves(algorithms.configure("ipo_md", tau=0.3, mix=0.2))
    assert sorted(leaves) == [0.2, 0.3]


def test_the_table_is_printed_with_every_row_and_choice(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    runpy.run_module("nashalign.algorithms", run_name="__main__")
    printed = capsys.readouterr().out
    for name, row in algorithms.TABLE.items():
        assert f" {name} " in printed and row.title in printed and row.paper in printed
    for words in (
        "1 of policy",
        "1 of mixture",
        "5 of iterate",
        "contrastive (ipo, inverse_eta)",
        "iterate: every period",
        "decay = 0.999",
    ):
        assert words in printed
