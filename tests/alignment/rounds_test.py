"""What a run learns from, part by part."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.summarise import settings
from nashalign import algorithms, alignment, preferences, training
from nashalign.alignment import course as courses
from tests.tiny_task import NUM_VOTERS, begun


def course(name, num_steps=60, **own):
    chosen = dataclasses.replace(settings.chosen_settings()[name], **own)
    return algorithms.find(name).course(num_steps, **chosen.own)


def context(data_set, setup=None, state=None):
    """What a round may look at, of which a score is a length."""
    judge = data_set.judge
    return algorithms.Context(
        setup=setup,
        state=state,
        given=data_set.sampled,
        dimensions=data_set.dimensions,
        score=lambda prompts, responses: judge.score(None, prompts, responses),
    )


@pytest.mark.parametrize(
    ("name", "rows", "num_steps"),
    [
        ("dpo", ["dpo"], [60]),
        ("optune", ["optune"] * 3, [20, 20, 20]),
        ("mixed_po", ["dpo", "mixed_po"], [30, 30]),
        ("dice", ["dpo", "dice", "dice"], [20, 20, 20]),
        ("sequential_po", ["sequential_po"] * 3, [20, 20, 20]),
    ],
)
def test_a_run_is_parted_into_rounds_and_stages(name, rows, num_steps):
    parts = course(name)
    asked = [algorithms.TABLE[row].method for row in rows]
    for part, row in zip(parts, asked, strict=True):
        assert (part.method.loss, part.method.annotation) == (row.loss, row.annotation)
        assert part.method.settings.keys() == row.settings.keys()
    assert [part.num_steps for part in parts] == num_steps
    short = 1 if name == "sequential_po" else min(2, len(rows))
    assert len(course(name, num_steps=2)) == short


def test_each_period_of_sequential_po_has_the_votes_of_another_kind(data_set, loaded):
    def lengths(sign):
        return lambda prompts, texts: sign * np.array([float(len(x)) for x in texts])

    # Three who disagree about every pair whose texts are not of one length.
    population = preferences.Population(
        {"short": lengths(-1), "long": lengths(1), "neither": lengths(0)},
        (0.4, 0.4, 0.2),
        (2.0, 5.0, 1.0),
    )
    annotator = dataclasses.replace(loaded.annotator, population=population)
    loaded = dataclasses.replace(loaded, annotator=annotator)

    def heard_by(num_voters):
        return dataclasses.replace(
            data_set, dimensions=loaded.dimensions(num_voters, 0)
        )

    parts = course("sequential_po", num_steps=70, period=20)
    assert [part.num_steps for part in parts] == [20, 20, 20, 10]
    # One row, one optimizer, one reference: only labels change.
    assert not any(part.begins_stage for part in parts)
    found = [part.make(context(heard_by(10_000)), None) for part in parts]
    pairs = algorithms.first(data_set.sampled, 2)
    utilities = loaded.annotator.utilities(pairs.prompts, pairs.responses)
    verdicts = population.verdicts(*np.moveaxis(utilities, -1, 0))
    labels = [own.preference[:, 0, 1] for own in found]
    for number, own in enumerate(labels):
        np.testing.assert_allclose(own, verdicts[number % 3], atol=0.03)
        jax.tree.map(
            np.testing.assert_array_equal, found[number].responses, pairs.responses
        )
        turned = found[number].preference.swapaxes(1, 2)
        np.testing.assert_allclose(found[number].preference, 1 - turned, atol=1e-6)
    np.testing.assert_array_equal(labels[0], labels[3])
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(labels[one] - labels[other]).max() > 0.1
    few = parts[1].make(context(heard_by(NUM_VOTERS)), None)
    shares = few.preference[:, 0, 1] * NUM_VOTERS
    np.testing.assert_allclose(shares, shares.round(), atol=1e-5)


def test_sequential_po_asks_for_dimensions_where_there_are_none(data_set, loaded):
    without = dataclasses.replace(data_set, dimensions=())
    with pytest.raises(ValueError, match="give `DataSet.dimensions`"):
        alignment.require(
            "sequential PO",
            course("sequential_po"),
            loaded.task,
            {"preference": loaded.annotator},
            without,
        )


def test_every_round_of_dice_begins_with_the_penalty_of_its_own_responses(
    data_set, loaded
):
    dpo, first, second = course("dice", tau=0.3, num_responses=2)
    assert dpo.method.tau == 0.3 and dpo.settle is None
    assert first.begins_stage and second.begins_stage
    setup, state = begun(dpo.method, loaded.task)
    moved = jax.tree.map(lambda x: x * 1.2, state.params)
    state = dataclasses.replace(state, players={"policy": moved})
    state = algorithms.next_stage(first.method, setup, state)
    found = first.settle(context(data_set, setup, state))
    seen = data_set.of(first.method)
    expected = algorithms.length_corrected(first.method, setup, state, seen)
    assert found.settings == expected.settings
    assert found.settings.keys() == first.method.settings.keys()


def test_mixed_po_parts_the_data_set_by_the_gap_of_rewards(data_set):
    # The first two responses of every prompt differ by one token: by a seventh.
    gap = algorithms.reward_gap(algorithms.first(data_set.sampled, 2))
    ids = data_set.sampled.prompts.ids
    for threshold, stage, own in ((0.1, 0, gap > 0.1), (0.2, 1, abs(gap) <= 0.2)):
        part = course("mixed_po", threshold=threshold)[stage]
        found = part.make(context(data_set), None)
        assert len(found.prompts.ids)
        np.testing.assert_array_equal(found.prompts.ids, ids[own])


def test_optune_answers_half_of_the_prompts_again_by_the_lowest_rewards(
    data_set, loaded
):
    setup, state = begun(algorithms.TABLE["optune"].method, loaded.task)
    first, second, _ = course("optune")
    before = first.make(context(data_set, setup, state), None)
    after = second.make(context(data_set, setup, state), before)
    means = before.rewards.mean(-1)
    again = (before.responses.tokens != after.responses.tokens).any((1, 2))
    np.testing.assert_array_equal(np.flatnonzero(again), np.sort(np.argsort(means)[:4]))
    # New rewards are on the old ones' scale.
    lengths = after.responses.mask.sum(-1)[again]
    np.testing.assert_allclose(
        after.rewards[again],
        (lengths - data_set.judge.mean) / data_set.judge.deviation,
        rtol=1e-5,
    )


@pytest.mark.parametrize("more", [0, 3])
def test_rounds_that_another_has_followed_are_not_extended(tmp_path, more):
    log = tmp_path / "round_1" / "metrics.jsonl"
    training.write_text(log, json.dumps({"step": 20}) + "\n")
    rounds = course("optune", num_steps=60 + more)
    courses.require_lengths(tmp_path, rounds)
    (tmp_path / "round_2").mkdir()
    if not more:
        return courses.require_lengths(tmp_path, rounds)
    with pytest.raises(ValueError, match="round 1 of 3 has had 20 updates, and is to "):
        courses.require_lengths(tmp_path, rounds)
