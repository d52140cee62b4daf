"""Step pairs by tree search, on a task's prompts."""

import dataclasses

import jax
import numpy as np
import pytest

from nashalign import algorithms, data
from tests.tiny_task import Lengths, begun, run_of


def test_a_search_prefers_the_steps_that_lead_to_what_the_judge_likes(loaded, tmp_path):
    row = algorithms.find("mcts_dpo")
    search = dataclasses.replace(row.rounds, num_prompts=3).search
    setup, state = begun(row.method, loaded.task)
    run = run_of(loaded.task, {"reward": Lengths()}, tmp_path)
    context = run.context(setup, state)
    found = search(0, context, None)
    again = search(0, context, None)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    other = search(1, context, None)
    assert not set(found.prompts.ids) & set(other.prompts.ids)
    assert len(set(found.prompts.ids)) == 3
    # An untrained policy ends early now and then: the step that does is the worse one.
    ended = np.zeros(2)
    for seed in range(2, 4):
        own = dataclasses.replace(state, key=jax.random.key(seed))
        for number in range(2):
            drawn = search(number, dataclasses.replace(context, state=own), None)
            ended += (~drawn.responses.truncated).sum(0)
    assert ended[1] > ended[0]
    labels = found.preference[:, 0, 1]
    assert (labels >= 0.5).all() and len(set(labels.tolist())) > 1


def test_a_search_where_texts_end_responses_is_refused(loaded, tmp_path):
    row = algorithms.find("mcts_dpo")
    setup, state = begun(row.method, loaded.task)
    table = np.zeros((2, setup.policy.vocabulary), np.uint8)
    stops = data.Stops(texts=("a",), table=table)
    decoding = dataclasses.replace(setup.decoding, stops=stops)
    setup = dataclasses.replace(setup, decoding=decoding)
    context = run_of(loaded.task, {"reward": Lengths()}, tmp_path).context(setup, state)
    with pytest.raises(ValueError, match="leave out --text.stop"):
        row.rounds.search(0, context, None)
