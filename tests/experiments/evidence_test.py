"""What tables are known by, and what is kept of them: every preference, and hashes."""

import types

import jax
import numpy as np
import pytest

from experiments import docstrings
from experiments.docstrings import harvest
from experiments.summarise import evidence, judges, summaries

VOTES = {
    "tokens": np.arange(24).reshape(2, 4, 3),
    "mask": np.ones((2, 4, 3), bool),
    "truncated": np.zeros((2, 4), bool),
    "preference": np.full((2, 4, 4), 0.5, np.float32),
    "votes": np.full((2, 4, 4), 0.5, np.float32),
}
DATA_SET = docstrings.PromptSet(
    functions={
        "test": [
            docstrings.Function(
                pair=harvest.Pair(
                    f"f{number}", package, f"def f{number}(): ...", "Do."
                ),
                cluster=f"{package}.part",
            )
            for number, package in enumerate(["nashalign", "difflib", "nashalign"])
        ]
    },
    named={"test": 4},
    fingerprint="0123456789ab",
)


@pytest.fixture
def task():
    functions = DATA_SET.functions["test"]
    half, cluster = "half", "cluster"

    def at(split, rows):
        return [functions[row] for row in rows]

    def column(name):
        return lambda split, rows: np.array([getattr(f, name) for f in at(split, rows)])

    return types.SimpleNamespace(
        data_set=DATA_SET, at=at, clusters=column(cluster), halves=column(half)
    )


@pytest.fixture
def voted(tmp_path):
    for name in (judges.VOTES, judges.HELD_OUT_VOTES):
        np.savez(tmp_path / name, **VOTES)
    return tmp_path


def test_equal_bits_have_equal_fingerprints_wherever_and_whenever(
    task, voted, tmp_path
):
    learned = {"preference": {"b": jax.numpy.ones(2), "a": np.zeros(3)}}
    first = evidence.fingerprint(task, learned, voted)
    again = tmp_path / "elsewhere"
    again.mkdir()
    for name in (judges.VOTES, judges.HELD_OUT_VOTES):
        np.savez_compressed(again / name, **dict(reversed(VOTES.items())))
    assert evidence.fingerprint(task, learned, again) == first
    assert first.startswith("data 0123456789ab (prompts missing here: 1 of 4 test); ")


@pytest.mark.parametrize("part", ["votes", "held out votes", "judge", "kind"])
def test_any_other_bit_is_another_fingerprint(task, voted, part):
    learned = {"preference": {"a": np.zeros(3, np.float32)}}
    first = evidence.fingerprint(task, learned, voted)
    if part == "judge":
        learned["preference"]["a"][1] = np.nextafter(np.float32(0), np.float32(1))
    elif part == "kind":
        learned = {"reward": learned["preference"]}
    else:
        name = judges.VOTES if part == "votes" else judges.HELD_OUT_VOTES
        np.savez(voted / name, **VOTES | {"votes": VOTES["votes"] + np.float32(1e-7)})
    assert evidence.fingerprint(task, learned, voted) != first


def test_every_preference_is_saved_with_what_tells_its_prompt(task, tmp_path):
    answers = {(0, 1): np.array([0.25, 1.0, 0.0])}
    table = evidence.table(answers, 3)
    path = tmp_path / "preferences.npz"
    evidence.save_preferences(
        path, task, np.array([2, 0, 1]), ["a", "b", "start"], {"exact": table}
    )
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["exact"], table.astype(np.float32))
        assert stored["policies"].tolist() == ["a", "b", "start"]
        assert stored["clusters"].tolist() == [
            "nashalign.part",
            "nashalign.part",
            "difflib.part",
        ]
        assert stored["halves"].tolist()[-1] == docstrings.STANDARD_LIBRARY
        expected = DATA_SET.functions["test"][2].pair
        assert stored["prompts"][0] == docstrings.content_hash(expected)


def test_a_table_has_both_orders_of_an_answer_and_nothing_where_none_was_given():
    table = evidence.table({(0, 2): np.array([0.25]), (1, 2): np.array([1.0])}, 3)
    np.testing.assert_array_equal(
        table[0], [[0.5, np.nan, 0.25], [np.nan, 0.5, 1.0], [0.75, 0.0, 0.5]]
    )


def test_a_win_rate_on_a_half_is_that_of_its_prompts_alone():
    own = np.array([True, False, True, True, False])
    preferred = np.array([0.1, 0.9, 0.2, 0.6, 0.7])
    runs = summaries.Written(
        names=("trained", "start"),
        owners=(0, 1),
        written=(),
        utilities=(),
        clusters=np.array(list("abcde")),
        halves=np.where(own, docstrings.THIS_PROJECT, docstrings.STANDARD_LIBRARY),
    )
    trained, start = summaries._by_half(runs, evidence.table({(0, 1): preferred}, 2))
    assert trained[docstrings.THIS_PROJECT].mean == pytest.approx(0.3)
    assert trained[docstrings.STANDARD_LIBRARY].mean == pytest.approx(0.8)
    assert {half.mean for half in start.values()} == {0.5}
