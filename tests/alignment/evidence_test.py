"""What tables are known by, and what is kept of them: every preference, and hashes."""

import types

import jax
import numpy as np
import pytest

from nashalign import alignment, training
from nashalign.alignment import evidence, results, votes

VOTES = {
    "tokens": np.arange(24).reshape(2, 4, 3),
    "mask": np.ones((2, 4, 3), bool),
    "truncated": np.zeros((2, 4), bool),
    "preference": np.full((2, 4, 4), 0.5, np.float32),
    "votes": np.full((2, 4, 4), 0.5, np.float32),
}
DESCRIBED = "data 0123456789ab (prompts missing here: 1 of 4 test)"


@pytest.fixture
def voted(tmp_path):
    for name in (votes.FILE, votes.HELD_OUT_FILE):
        np.savez(tmp_path / name, **VOTES)
    return tmp_path


def test_equal_bits_have_equal_fingerprints_wherever_and_whenever(voted, tmp_path):
    learned = {"preference": {"b": jax.numpy.ones(2), "a": np.zeros(3)}}
    first = evidence.fingerprint(DESCRIBED, learned, voted)
    again = tmp_path / "elsewhere"
    again.mkdir()
    for name in (votes.FILE, votes.HELD_OUT_FILE):
        np.savez_compressed(again / name, **dict(reversed(VOTES.items())))
    assert evidence.fingerprint(DESCRIBED, learned, again) == first
    assert first.startswith(f"{DESCRIBED}; votes ")


@pytest.mark.parametrize("part", ["data", "votes", "held out votes", "judge", "kind"])
def test_any_other_bit_is_another_fingerprint(voted, part):
    learned = {"preference": {"a": np.zeros(3, np.float32)}}
    first, described = evidence.fingerprint(DESCRIBED, learned, voted), DESCRIBED
    if part == "data":
        described = DESCRIBED.replace("ab", "ac")
    elif part == "judge":
        learned["preference"]["a"][1] = np.nextafter(np.float32(0), np.float32(1))
    elif part == "kind":
        learned = {"reward": learned["preference"]}
    else:
        name = votes.FILE if part == "votes" else votes.HELD_OUT_FILE
        np.savez(voted / name, **VOTES | {"votes": VOTES["votes"] + np.float32(1e-7)})
    assert evidence.fingerprint(described, learned, voted) != first


@pytest.fixture
def task():
    prompts = alignment.PromptSet(
        tokens=[[1], [2], [3]],
        ids=np.array([4, 5, 6], np.int32),
        clusters=np.array(["nashalign.part", "difflib.part", "nashalign.part"]),
    )
    return types.SimpleNamespace(
        prompts={"test": prompts},
        show=lambda index: {"prompt": f"f{index}", "source": "x"},
    )


@pytest.mark.parametrize("learned", [False, True])
def test_every_preference_is_saved_with_what_tells_its_prompt(task, tmp_path, learned):
    table = np.full((3, 3, 3), 0.5)
    table[:, 0, 1] = [0.25, 1.0, 0.0]
    table[:, 1, 0] = 1 - table[:, 0, 1]
    table[:, 2, :2] = table[:, :2, 2] = np.nan
    parts = np.array(["this project", "this project", "standard library"])
    runs = results.Runs(
        names=("a", "start"),
        owners=(0, 0, 1),
        written=(),
        clusters=None,
        parts=parts if learned else None,
    )
    path, tables = tmp_path / "preferences.npz", {"exact population": table}
    if learned:
        tables[results.LEARNED] = 1 - table
    pages = alignment.Pages(identify=(lambda index: f"id {index}") if learned else None)
    rows = np.array([2, 0, 1])
    evidence.save_preferences(path, task, rows, runs, tables, pages)
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["exact"], table.astype(np.float32))
        assert stored["policies"].tolist() == ["a 1", "a 2", "start"]
        assert stored["clusters"].tolist() == [
            "nashalign.part",
            "nashalign.part",
            "difflib.part",
        ]
        if learned:
            np.testing.assert_array_equal(stored["learned"], np.float32(1 - table))
            np.testing.assert_array_equal(stored["parts"], parts)
            assert stored["prompts"].tolist() == ["id 6", "id 4", "id 5"]
        else:
            assert not {"parts", "learned"} & set(stored)
            expected = [evidence.content_hash(task, index) for index in (6, 4, 5)]
            assert stored["prompts"].tolist() == expected
            assert len(set(expected)) == 3


def test_every_response_is_saved_with_the_prompt_where_it_may_be_shown(task, tmp_path):
    ids = np.array([6, 4])
    task.texts = lambda responses: [[f"{responses} {index}"] for index in ids]
    prompts = types.SimpleNamespace(ids=ids)
    runs = results.Runs(
        names=("a", "start"),
        owners=(0, 0, 1),
        written=[
            types.SimpleNamespace(prompts=prompts, responses=name) for name in "xyz"
        ],
        clusters=None,
        parts=None,
    )
    shown = {6: None, 4: {"prompt": "four", "source": "x"}}
    for pages in (alignment.Pages(), alignment.Pages(sample=shown.get)):
        evidence.save_responses(tmp_path / "lines", task, runs, pages)
        lines = training.read_log(tmp_path / "lines")
        assert [line["id"] for line in lines] == [
            evidence.content_hash(task, index) for index in ids
        ]
        expected = {"a 1": "x 4", "a 2": "y 4", "start": "z 4"}
        assert lines[1]["responses"] == expected
        prompt = ["f6", "f4"] if pages.sample is None else [None, "four"]
        assert [line.get("prompt") for line in lines] == prompt
