"""Docstrings as a task: clusters, halves, what is shown, and scores in words."""

import dataclasses

import pytest

from experiments import docstrings
from experiments.docstrings import harvest

OWN = tuple(sorted(harvest.OWN_PACKAGES))


def test_prompts_know_their_cluster_and_whose_they_are(loaded):
    part = loaded.pages("").part
    rows = loaded.task.rows("test", 512, seed=0)
    clusters = loaded.task.clusters("test", rows)
    for row, cluster in zip(rows, clusters, strict=True):
        index = loaded.task.prompts["test"].ids[row]
        assert cluster.split(".")[0] == loaded.functions[index].pair.package
        own = part(index) == docstrings.THIS_PROJECT
        assert own == cluster.startswith(OWN)
    ids = loaded.task.prompts["train"].ids[loaded.task.rows("train", 4, seed=0)]
    assert {part(index) for index in ids} == {docstrings.STANDARD_LIBRARY}


def test_a_release_of_python_that_lacks_test_prompts_does_without_them(loaded):
    named = loaded.data_set.named | {"test": 515, "train": 9999}
    lacking = dataclasses.replace(loaded.data_set, named=named)
    own = dataclasses.replace(loaded, data_set=lacking)
    most = lacking.named["test"]
    own.require("test", "evaluation.num-prompts", most)
    assert len(own.task.rows("test", most, seed=0)) == len(own.task.prompts["test"])
    with pytest.raises(
        ValueError, match=r"asks for 516 .* not installed here; ask for f"
    ):
        own.require("test", "evaluation.num-prompts", most + 1)
    with pytest.raises(ValueError, match="fewer, or harvest other packages"):
        own.require("train", "judges.num-prompts", 9999)


def test_only_functions_of_this_project_are_shown(loaded):
    sample = loaded.pages("").sample
    rows = loaded.task.rows("test", 64, seed=0)
    clusters = loaded.task.clusters("test", rows)
    shown = [sample(index) for index in loaded.task.prompts["test"].ids[rows]]
    # All that there are of them, and no others: nobody has chosen.
    for found, cluster in zip(shown, clusters, strict=True):
        assert (found is not None) == cluster.startswith(OWN)
        assert found is None or found["source"].startswith(f"{cluster}: ")
    assert sum(found is not None for found in shown) >= 5


def test_a_score_is_told_by_strings_of_one_length_that_differ(loaded):
    task, levels = loaded.task, loaded.task.levels
    assert len(levels) == 5 and len({tuple(level) for level in levels}) == 5
    prompts, row = task.prompts["train"], [0]
    batch = task.batch("train", row, levels[-1])
    assert batch.tokens.shape == (1, task.prompt_length + levels.shape[1])
    assert batch.tokens[0, -levels.shape[1] - 1] == prompts.tokens[0][-1]
