"""One judge that is told different things, and what is measured of it."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.oaif import __main__ as oaif
from experiments.oaif import job, judge
from experiments.oaif.instructions import (
    INSTRUCTIONS,
    arguments,
    arguments_named,
    words,
)
from nashalign import data, preferences
from tests import token_game

CODE = 'def fit(self, data, *rows, rate: dict[str, int] = {"a": 1}, **more):\n    x = 1'


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (CODE, {"data", "rows", "rate", "more"}),
        ("def go():\n    return go(1, two)", set()),
        ("@wraps(f)\nasync def go(cls, a=(1, 2), *, b", {"a", "b"}),
        ("x = 1", set()),
    ],
)
def test_arguments_are_those_of_the_first_signature(code, names):
    assert arguments(code) == names


def test_a_summary_names_an_argument_where_it_spells_it():
    assert arguments_named(CODE, "Fit data at a rate.") == 2
    assert arguments_named(CODE, "Fit the database; data, data.") == 1
    assert arguments_named(CODE, "Rows and more_rows.") == 0
    assert words(CODE, " Fit  the data. ") == 3


def test_verdicts_are_by_the_letter_and_ties_are_ties():
    texts = [["Fit.", "Fit data to it.", "Fit rows now ok."]]
    shorter, longer, named = (own.preference([CODE], texts)[0] for own in INSTRUCTIONS)
    np.testing.assert_array_equal(shorter, [[0.5, 1, 1], [0, 0.5, 0.5], [0, 0.5, 0.5]])
    np.testing.assert_array_equal(longer, 1 - shorter)
    np.testing.assert_array_equal(named, [[0.5, 0, 0], [1, 0.5, 0.5], [1, 0.5, 0.5]])


def test_a_judge_reads_what_it_is_told_behind_the_prompt():
    policy = token_game.transformer(vocabulary=12)
    own = preferences.PairwiseModel(
        params=preferences.init_params(
            jax.random.key(0), policy, token_game.parameters(policy, 3)
        ),
        policy=policy,
        eos_id=0,
    )
    tokens = [5, 7, 6]
    rows, answers = [[3, 4], [8], [9, 10, 11]], [[[4, 0], [6, 7, 0]]] * 3
    responses = data.pad_responses(answers, length=3, pad_id=0)

    def prompts(rows, length):
        return data.pad_prompts(rows, range(3), length=length, pad_id=0)

    told = judge.Told(judge=own, tokens=jnp.array(tokens))
    behind = prompts([[*row, *tokens] for row in rows], 7)
    pairs = [(0, 1)]
    found = told.prefer_pairs(None, prompts(rows, 3), responses, pairs)
    wanted = own.prefer_pairs(None, behind, responses, pairs)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    untold = own.prefer_pairs(None, prompts(rows, 3), responses, pairs)
    assert abs(found - untold).min() > 1e-4
    one = jax.tree.map(lambda x: x[:, :1], responses)
    other = jax.tree.map(lambda x: x[:, 1:], responses)
    again = told.prefer(None, prompts(rows, 3), one, other)
    np.testing.assert_allclose(again, wanted, atol=1e-5)


def test_offline_pairs_have_verdicts_as_online_ones():
    said = np.array([[[0.5, 0.7], [0.3, 0.5]], [[0.5, 0.2], [0.8, 0.5]]])

    @dataclasses.dataclass
    class Pairs:
        preference: np.ndarray

    found = job._decided(Pairs(said)).preference
    np.testing.assert_array_equal(found[:, 0, 1], [1, 0])
    np.testing.assert_array_equal(found[:, 0, 0], [0.5, 0.5])


@pytest.mark.full
@pytest.mark.slow
def test_the_smallest_job_leaves_a_page_with_every_policy(tmp_path):
    output, harvest = tmp_path / "run", tmp_path / "data"
    command = ["--smoke", "--output", str(output), "--data", str(harvest)]
    assert oaif.command(command) == 0
    text = (output / "results" / "oaif.md").read_text()
    for own in INSTRUCTIONS:
        assert f"online DPO, told **{own.name}**" in text
        assert f"offline DPO, told **{own.name}**" in text
    measured = json.loads((output / "results" / "measured.json").read_text())
    assert len(measured["words"]) == 7 and set(measured) == {"words", "arguments named"}
    assert (output / "results" / "oaif.png").stat().st_size > 10_000


def test_settings_that_no_judge_can_have_are_refused(tmp_path):
    refused = oaif.command(["--num-judged", "3", "--output", str(tmp_path / "run")])
    assert "--num-judged is 3; it must be at least 16" in refused


def test_a_judge_learns_from_prompts_that_an_instruction_decides():
    verdicts = np.full((3, 2, 2), 0.5)
    verdicts[1] = [[0.5, 1.0], [0.0, 0.5]]
    assert judge._decided(verdicts).tolist() == [1]
