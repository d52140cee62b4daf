"""Annotators are asked about many responses, a batch at a time."""

import dataclasses

import numpy as np
import pytest

from nashalign.alignment import asking
from nashalign.types import Prompts, Responses

ANSWERS = {(0, 2): 0.25, (1, 2): 1.0, (0, 1): 0.75}


@dataclasses.dataclass(frozen=True)
class Known:
    """Knows responses by their token; lives on the host."""

    host = True

    def prefer(self, key, prompts, y, z):
        pairs = zip(y.tokens.ravel(), z.tokens.ravel(), strict=True)
        found = [ANSWERS[int(first), int(second)] for first, second in pairs]
        return np.reshape(found, y.tokens.shape[:2])


def texts(num_prompts):
    prompts = Prompts(
        tokens=np.zeros((num_prompts, 1), np.int32),
        mask=np.ones((num_prompts, 1), bool),
        ids=np.arange(num_prompts, dtype=np.int32),
    )
    tokens = np.tile(np.arange(3, dtype=np.int32)[:, None], (num_prompts, 1, 1))
    responses = Responses(
        tokens=tokens, mask=np.ones_like(tokens, bool), truncated=tokens[..., 0] > 9
    )
    return prompts, responses


def test_a_table_has_both_orders_of_an_answer_and_nothing_where_none_was_given():
    table = asking.compare_all(Known(), *texts(1), [(0, 2), (1, 2)])
    np.testing.assert_array_equal(
        table[0], [[0.5, np.nan, 0.25], [np.nan, 0.5, 1.0], [0.75, 0.0, 0.5]]
    )


@pytest.mark.parametrize("num_prompts", [1, 335, 337])
def test_every_pair_of_every_prompt_is_asked_about_once(num_prompts):
    table = asking.compare_all(Known(), *texts(num_prompts))
    expected = [[0.5, 0.75, 0.25], [0.25, 0.5, 1.0], [0.75, 0.0, 0.5]]
    np.testing.assert_array_equal(table, np.broadcast_to(expected, table.shape))
    assert table.shape == (num_prompts, 3, 3)


@dataclasses.dataclass(frozen=True)
class Thrifty(Known):
    """Reads a response once for all comparisons."""

    def prefer_pairs(self, key, prompts, responses, pairs):
        assert responses.tokens.shape[1:] == (3, 1)
        found = [ANSWERS[pair] for pair in pairs]
        return np.broadcast_to(found, (len(prompts.ids), len(found)))

    def prefer(self, key, prompts, y, z):
        raise AssertionError("it is asked about all pairs at once")


@pytest.mark.parametrize("num_prompts", [1, 337])
def test_who_answers_about_all_pairs_is_asked_about_them_at_once(num_prompts):
    table = asking.compare_all(Thrifty(), *texts(num_prompts))
    expected = asking.compare_all(Known(), *texts(num_prompts))
    np.testing.assert_array_equal(table, expected)


def test_an_answer_that_lacks_pairs_is_refused():
    class Short(Thrifty):
        def prefer_pairs(self, key, prompts, responses, pairs):
            return np.full((len(prompts.ids), 1), 0.5)

    with pytest.raises(ValueError, match="shape \\[1, 3\\]"):
        asking.compare_all(Short(), *texts(1))
