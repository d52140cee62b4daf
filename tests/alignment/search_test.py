"""Step pairs by tree search."""

import jax
import numpy as np

from nashalign import algorithms
from nashalign.alignment import search
from tests.tiny_task import Lengths, begun


def test_a_search_prefers_the_steps_that_lead_to_what_the_judge_likes(
    loaded, monkeypatch
):
    monkeypatch.setattr(search, "NUM_PROMPTS", 3)
    setup, state = begun(algorithms.TABLE["mcts_dpo"].method, loaded.task)
    found = search.searches(loaded.task, Lengths(), 0, 0)(setup, state, None)
    again = search.searches(loaded.task, Lengths(), 0, 0)(setup, state, None)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    other = search.searches(loaded.task, Lengths(), 1, 0)(setup, state, None)
    assert not set(found.prompts.ids) & set(other.prompts.ids)
    assert len(set(found.prompts.ids)) == 3
    # An untrained policy ends early now and then: the step that does is the worse one.
    ended = ~found.responses.truncated
    assert ended[:, 1].sum() > ended[:, 0].sum()
    labels = found.preference[:, 0, 1]
    assert (labels >= 0.5).all() and len(set(labels.tolist())) > 1
