"""The data set of given responses, and what each row takes of it."""

import dataclasses

import jax
import numpy as np
import pytest

from nashalign import algorithms
from nashalign.alignment import examples, votes
from tests.tiny_task import VOTES, Lengths


@pytest.mark.parametrize(
    ("name", "num_responses", "source", "judge"),
    [
        ("sft", 1, "demonstrations", None),
        ("spin", 1, "demonstrations", None),
        ("dno_prct", 1, "demonstrations", "preference"),
        ("rwr", 1, "sampled", "reward"),
        ("conditional", 1, "sampled", "reward"),
        ("reward_augmented", 2, "sampled", "reward"),
        ("preference_degree", 2, "sampled", "preference"),
        ("dpo", 2, "sampled", "preference"),
        ("dice", 2, "sampled", None),
        ("filtered", 4, "sampled", "reward"),
    ],
)
def test_a_row_is_given_the_examples_that_it_learns_from(
    data_set, name, num_responses, source, judge
):
    method = algorithms.TABLE[name].method
    judges = algorithms.rounds.needs(method) - {"responses"}
    assert judges == ({judge} if judge else set())
    batch = examples.batches(data_set.of(method), batch_size=4, seed=0)
    again = examples.batches(data_set.of(method), batch_size=4, seed=0)
    # In any order, and from anywhere: a pure function of the step.
    steps = [batch(step) for step in (0, 1, 5)]
    for step, found in zip((5, 1, 0), steps[::-1], strict=True):
        jax.tree.map(np.testing.assert_array_equal, again(step), found)
    whole = getattr(data_set, source)
    assert steps[0].responses.tokens.shape == (4, num_responses, 24)
    rows = [list(whole.prompts.ids).index(i) for i in steps[0].prompts.ids]
    np.testing.assert_array_equal(
        steps[0].responses.tokens, whole.responses.tokens[rows, :num_responses]
    )


@pytest.mark.parametrize(
    ("name", "kept", "said"),
    [
        ("sft", {"demonstrations": None}, "learns from demonstrations"),
        ("dpo", {"sampled": None}, "2 given responses .* has 0"),
        ("filtered", {}, "4 given responses .* has 2"),
    ],
)
def test_a_row_says_which_responses_the_data_set_lacks(data_set, name, kept, said):
    kept = {"sampled": algorithms.first(data_set.sampled, 2)} | kept
    pairs = dataclasses.replace(data_set, **kept)
    with pytest.raises(ValueError, match=said):
        pairs.of(algorithms.TABLE[name].method)


def test_the_data_set_has_votes_scores_and_what_authors_wrote(data_set, loaded):
    sampled = data_set.sampled
    np.testing.assert_allclose(
        sampled.preference + sampled.preference.swapaxes(1, 2), 1
    )
    assert sampled.preference[0, 0, 1] == np.float32(VOTES[0, 0, 1])
    np.testing.assert_allclose(sampled.rewards.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(sampled.rewards.std(), 1, rtol=1e-6)
    authors = data_set.demonstrations
    for index, [text] in zip(
        authors.prompts.ids, loaded.task.texts(authors.responses), strict=True
    ):
        assert loaded.functions[index].pair.summary.startswith(text.rstrip("\ufffd"))


def test_a_part_with_fewer_examples_than_a_batch_repeats_them(data_set):
    few = algorithms.take(data_set.sampled, slice(3))
    batch = examples.batches(few, batch_size=8, seed=0)(0)
    assert set(batch.prompts.ids) == set(few.prompts.ids)
    counts = np.unique(batch.prompts.ids, return_counts=True)[1]
    assert sorted(counts) == [2, 3, 3]
    one = algorithms.take(few, slice(1))
    assert len(examples.batches(one, batch_size=1, seed=0)(5).prompts.ids) == 1


def test_what_a_part_learns_from_is_made_once(data_set, tmp_path):
    path = tmp_path / "part" / "examples.npz"
    whole = dataclasses.replace(data_set.sampled, preference=None)
    first = examples.keep(path, lambda: whole)
    again = examples.keep(path, lambda: 1 / 0)
    assert first.preference is None
    jax.tree.map(np.testing.assert_array_equal, first, whole)
    jax.tree.map(np.testing.assert_array_equal, again, whole)


@pytest.mark.parametrize("name", ["votes.npz", "rewards.npz", "examples.npz"])
def test_damaged_files_of_the_judges_are_named(data_set, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 no archive")
    read = {
        "votes.npz": lambda: votes.read(path),
        "rewards.npz": lambda: examples.standardise(Lengths(), data_set.sampled, path),
        "examples.npz": lambda: examples.keep(path, lambda: 1 / 0),
    }
    with pytest.raises(ValueError, match=rf"{name} is damaged .* Delete it"):
        read[name]()
