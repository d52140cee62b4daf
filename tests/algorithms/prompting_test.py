"""What is appended to prompts, and which examples are made of one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import algorithms
from nashalign.types import Examples, Responses
from tests import token_game

SETUP = token_game.setup(token_game.POLICY)
PROMPTS = token_game.prompts([0, 1])
TOKENS = np.array([[[1, 2, 0], [2, 0, 0]], [[1, 1, 2], [2, 1, 0]]], np.int32)
MASK = np.array([[[1, 1, 1], [1, 1, 0]], [[1, 1, 1], [1, 1, 1]]], bool)
EXAMPLES = Examples(
    prompts=PROMPTS,
    responses=Responses(tokens=TOKENS, mask=MASK, truncated=np.zeros((2, 2), bool)),
    preference=np.array([[[0.5, 0.9], [0.1, 0.5]], [[0.5, 0.2], [0.8, 0.5]]]),
    rewards=np.array([[-0.9, 0.9], [0.1, 0.1]]),
)


def changed(name, examples=EXAMPLES, **settings):
    method = algorithms.configure(name, **settings)
    return method.prompts(method, SETUP, examples)


def appended(examples):
    """The last token of every prompt."""
    assert bool(jnp.all(examples.prompts.mask[:, -1]))
    return examples.prompts.tokens[:, -1].tolist()


def test_each_response_is_told_its_own_reward():
    found = changed("conditional", lowest=-1.0, highest=1.0)
    # Levels 0, 2, 1 and 1, whose tokens are 1, 0, 2 and 2.
    assert appended(found) == [1, 0, 2, 2]
    np.testing.assert_array_equal(found.responses.tokens[:, 0], TOKENS.reshape(4, 3))
    np.testing.assert_array_equal(found.prompts.ids, [0, 0, 1, 1])
    width = PROMPTS.tokens.shape[1]
    np.testing.assert_array_equal(
        found.prompts.tokens[:, :width], np.repeat(PROMPTS.tokens, 2, 0)
    )


@pytest.mark.parametrize("reward, token", [(-9.0, 1), (9.0, 0), (0.34, 0), (0.32, 2)])
def test_rewards_beyond_the_ends_are_at_the_end_levels(reward, token):
    examples = dataclasses.replace(EXAMPLES, rewards=np.full((2, 2), reward))
    assert set(appended(changed("conditional", examples))) == {token}


def test_a_pair_is_turned_round_where_the_worse_score_is_asked_for():
    found = changed("reward_augmented", lowest=-1.0, highest=1.0)
    assert len(found.prompts.ids) == 4 and appended(found) == [1, 0, 2, 2]
    # The first response has the lower reward: it wins where that is asked for.
    np.testing.assert_array_equal(found.preference[:2, 0, 1], [1.0, 0.0])
    # Equal rewards are a tie under both.
    np.testing.assert_array_equal(found.preference[2:, 0, 1], [0.5, 0.5])
    transposed = jnp.swapaxes(found.preference, 1, 2)
    np.testing.assert_array_equal(found.preference, 1 - transposed)


def test_a_policy_that_does_not_look_at_the_score_has_no_mean_margin():
    """The two examples of a pair cancel where the policy is the reference."""
    found = changed("reward_augmented")
    wins = found.preference[:, 0, 1].reshape(2, 2)
    np.testing.assert_array_equal(wins.mean(1), [0.5, 0.5])


@pytest.mark.parametrize(
    "degree, kept",
    [(0, [2, 1, 2, 1, 0]), (1, [1, 2, 1, 0]), (2, [1, 1, 0]), (3, [1, 0])],
)
def test_a_degree_takes_its_share_of_the_rarest_tokens_out(degree, kept):
    # The largest ids are the rarest; of equal ones the first goes first.
    corrupted = without_rarest(degree, [2, 1, 2, 1, 0, 0])
    assert corrupted.tokens[corrupted.mask].tolist() == kept
    assert corrupted.mask.tolist() == [True] * len(kept) + [False] * (6 - len(kept))


def test_the_end_of_a_response_stays_though_its_id_is_the_largest():
    corrupted = without_rarest(3, [2, 1, 2, 1, 3, 0])
    assert corrupted.tokens[corrupted.mask].tolist() == [1, 3]


def test_whatever_has_a_degree_has_lost_something():
    # A tenth of four tokens is one token, and seven tenths are three.
    assert without_rarest(1, [2, 1, 2, 1, 0, 0], 10).mask.sum() == 4
    assert without_rarest(7, [2, 1, 2, 1, 0, 0], 10).mask.sum() == 2


def test_behind_a_pair_are_both_of_its_responses_corrupted():
    first, second = [2, 1, 2, 1, 0, 0], [1, 2, 1, 1, 0, 0]
    found = corrupted_pair(2, first, second)
    np.testing.assert_array_equal(found.responses.tokens[0, :2], [first, second])
    texts = [
        np.asarray(tokens)[np.asarray(own)].tolist()
        for tokens, own in zip(
            found.responses.tokens[0, 2:], found.responses.mask[0, 2:], strict=True
        )
    ]
    assert texts == [[1, 1, 0], [1, 1, 0]]
    one = corrupted_pair(1, first, second).responses
    assert np.asarray(one.tokens[0, 3])[np.asarray(one.mask[0, 3])].tolist() == [
        *(1, 1, 1, 0)
    ]
    # What is said of the pair is not said of anything else.
    expected = np.full((4, 4), 0.5)
    expected[0, 1], expected[1, 0] = 0.9, 0.1
    np.testing.assert_allclose(found.preference[0], expected)


def corrupted_pair(degree, first, second, num_degrees=4):
    """Examples with a pair of five tokens and padding, as the row changes them."""
    tokens, mask = np.array([[first, second]]), np.array([[[1, 1, 1, 1, 1, 0]] * 2])
    prompts = jax.tree.map(lambda x: x[:1], PROMPTS)
    examples = Examples(
        prompts=dataclasses.replace(prompts, ids=np.array([num_degrees + degree])),
        responses=Responses(
            tokens=tokens, mask=mask.astype(bool), truncated=np.zeros((1, 2), bool)
        ),
        preference=np.array([[[0.5, 0.9], [0.1, 0.5]]]),
    )
    return changed("preference_degree", examples, num_degrees=num_degrees)


def without_rarest(degree, text, num_degrees=4):
    """A response of five tokens and padding, corrupted."""
    found = corrupted_pair(degree, text, text, num_degrees).responses
    return jax.tree.map(lambda x: np.asarray(x)[0, 2], found)


@pytest.mark.parametrize("num_degrees", [2, 3, 6])
def test_the_head_tells_as_many_degrees_apart_as_there_are(num_degrees):
    method = algorithms.configure("preference_degree", num_degrees=num_degrees)
    params = token_game.parameters(token_game.POLICY, 0)
    state = algorithms.init(method, SETUP, params, token_game.KEY)
    assert state.players["degree"].shape == (token_game.POLICY.width, num_degrees)
    again = algorithms.configure("preference_degree", num_degrees=num_degrees)
    assert jax.tree.structure(method) == jax.tree.structure(again)


@token_game.compiled
def updated(method, state, examples):
    return algorithms.update(method, SETUP, None, state, examples)


@token_game.compiled
def hidden_states(params, tokens):
    mask = jnp.ones_like(tokens, bool)
    return token_game.POLICY.hidden(params, tokens, mask, None)[0]


def test_telling_degrees_apart_is_the_heads_cross_entropy():
    method, without = (
        algorithms.configure("preference_degree", tau=0.7, degree=degree)
        for degree in (1.0, 0.0)
    )
    with jax.enable_x64(True):
        state = token_game.moved_state(method)
        examples = token_game.all_examples(method, token_game.THREE_PROMPTS)
        examples = algorithms.take(examples, np.arange(0, 147, 7))
        steps = [updated(row, state, examples) for row in (method, without)]
        (after, metrics, groups), (after_without, metrics_without, _) = steps
        expected = np.average(
            [cross_entropy(state, groups, row) for row in range(len(examples.rewards))],
            weights=examples.probability,
        )
    difference = metrics["loss"] - metrics_without["loss"]
    np.testing.assert_allclose(difference, expected, rtol=1e-9)
    # Only a row that tells degrees apart trains the head, and the trunk with it.
    assert (after.players["degree"] != state.players["degree"]).any()
    assert (after_without.players["degree"] == state.players["degree"]).all()


def cross_entropy(state, groups, row):
    """By hand, of the winner, in expectation over the label."""
    y_wins = float(groups.preference[row, 0, 1])
    return y_wins * head_error(state, groups, row, 2) + (1 - y_wins) * head_error(
        state, groups, row, 3
    )


def head_error(state, groups, row, place):
    """The head reads the state after all tokens but the last."""
    own = np.asarray(groups.responses.mask[row, place])
    text = np.asarray(groups.responses.tokens[row, place])[own][:-1]
    prompt = np.asarray(groups.prompts.tokens[row])[
        np.asarray(groups.prompts.mask[row])
    ]
    tokens = jnp.asarray([[*prompt, *text]])
    hidden = hidden_states(state.params, tokens)
    logits = np.asarray(hidden[0, -1] @ state.players["degree"])
    degree = int(groups.prompts.ids[row]) % 4
    return np.log(np.exp(logits).sum()) - logits[degree]
