"""Self-rewarding's rounds: who writes, how scores are drawn, what pairs are made."""

import dataclasses

import jax
import numpy as np
import pytest

from nashalign import algorithms, sampling
from nashalign.types import Responses
from tests import token_game

ROW = algorithms.find("self_rewarding")
VALUES = np.arange(6.0)
SHARES = np.random.default_rng(0).dirichlet(np.full(6, 0.5), size=(3, 2))


def drawn(num_draws, seed=0, shares=SHARES):
    key = jax.random.key(seed)
    return algorithms.rounds.drawn_scores(key, shares, VALUES, num_draws)


def test_the_mean_of_draws_converges_to_the_expected_score():
    expected = SHARES @ VALUES
    deviation = np.sqrt(SHARES @ VALUES**2 - expected**2)
    for num_draws in (100, 10_000):
        error = np.abs(drawn(num_draws) - expected)
        assert (error < 4 * deviation / np.sqrt(num_draws)).all()
    assert drawn(3).shape == expected.shape


def test_a_score_is_the_mean_of_as_many_draws_as_the_setting_says():
    wide = np.broadcast_to(SHARES[:, None], (3, 4000, 2, 6))
    found = drawn(3, shares=wide)
    thirds = found * 3
    np.testing.assert_allclose(thirds, thirds.round(), atol=1e-9)
    assert (found % 1 != 0).any()
    # Of independent draws, and not of one three times over.
    variance = SHARES @ VALUES**2 - (SHARES @ VALUES) ** 2
    np.testing.assert_allclose(found.var(1), variance / 3, rtol=0.15)
    np.testing.assert_allclose(found.mean(1), SHARES @ VALUES, atol=0.1)


def test_an_answer_that_is_certain_is_drawn_always():
    certain = np.eye(6)[[0, 4, 5]]
    np.testing.assert_array_equal(drawn(3, shares=certain), [0, 4, 5])


def three_responses(number):
    """So many prompts, with responses that say which of them they are."""
    tokens = np.arange(number * 3, dtype=np.int32).reshape(number, 3, 1) % 100
    mask = np.ones(tokens.shape, bool)
    return Responses(tokens=tokens, mask=mask, truncated=mask[..., 0])


def test_the_best_of_the_scores_is_set_against_the_worst_and_ties_are_left_out():
    scores = np.array([[1, 2, 0], [3, 3, 3], [2, 1, 2], [0, 0, 5 / 3]])
    prompts = token_game.prompts(range(7, 11))
    found = algorithms.rounds.best_against_worst(prompts, three_responses(4), scores)
    np.testing.assert_array_equal(found.prompts.ids, [7, 9, 10])
    # Among equals the first: of [2, 1, 2] it is 0, of [0, 0, 5 / 3] it is 0.
    np.testing.assert_array_equal(
        found.responses.tokens[..., 0], [[1, 2], [6, 7], [11, 9]]
    )
    np.testing.assert_allclose(found.rewards, [[2, 0], [2, 1], [5 / 3, 0]], rtol=1e-6)
    won = [[0.5, 1.0], [0.0, 0.5]]
    np.testing.assert_array_equal(found.preference, [won] * 3)


def test_where_all_scores_tie_there_is_no_pair():
    prompts, ties = token_game.prompts(range(4)), np.ones((4, 3))
    found = algorithms.rounds.best_against_worst(prompts, three_responses(4), ties)
    assert found.responses.tokens.shape == (0, 2, 1)
    assert found.preference.shape == (0, 2, 2)


SETTINGS = {"num_prompts": 40, "num_responses": 3, "num_draws": 2, "num_rounds": 3}


def course(num_steps=7, row=ROW, **settings):
    return row.course(num_steps, **SETTINGS | settings)


def state_of(seed):
    """A tabular policy before a step of a run."""
    found = token_game.moved_state(family=token_game.TABULAR)
    params = token_game.parameters(token_game.TABULAR, seed, scale=0.5)
    players = found.players | {"policy": params}
    return dataclasses.replace(found, players=players, step=np.int32(5))


def points(responses):
    """What a response is worth, from 0 to 2."""
    return np.where(responses.mask, responses.tokens, 0).sum(-1) // 2


def by_tokens(question, prompts, responses):
    """Who is certain of `points`."""
    assert len(prompts.ids) == len(responses.tokens) <= 32
    return np.eye(len(question.answers))[points(responses)]


def context(state, num_prompts=1000, seen=None, answer=by_tokens):
    """What a round may look at, of a task with so many prompts."""

    def draw_prompts(begin, end):
        if seen is not None:
            seen.append((begin, end))
        return token_game.prompts(np.arange(begin, end) % num_prompts)

    return algorithms.Context(
        setup=token_game.setup(token_game.TABULAR),
        state=state,
        answer=answer,
        draw_prompts=draw_prompts,
    )


def test_a_run_is_stages_of_the_row_that_ask_the_policy_for_points():
    rounds = course()
    assert [own.num_steps for own in rounds] == [2, 3, 2]
    assert all(own.begins_stage for own in rounds)
    assert {own.question.name for own in rounds} == {"additive"}
    assert {own.needs for own in rounds} == {frozenset({"texts"})}
    assert all(own.method.anchor is algorithms.authors.reference for own in rounds)
    assert len(ROW.course(1)) == 1 and len(ROW.course(60)) == 2


def test_a_round_has_the_policys_own_responses_to_prompts_of_its_own():
    state, seen = state_of(3), []
    found = [own.make(context(state, seen=seen), None) for own in course()]
    assert seen == [(0, 40), (40, 80), (80, 120)]
    key, _ = jax.random.split(jax.random.fold_in(state.key, 5))
    for number, own in enumerate(found):
        prompts = token_game.prompts(range(40 * number, 40 * number + 40))
        drawn, _ = sampling.sample(
            token_game.TABULAR,
            {"policy": state.params},
            lambda logits: logits["policy"],
            key,
            prompts,
            num_responses=3,
            decoding=token_game.DECODING,
        )
        worth = points(jax.device_get(drawn))
        left = worth.max(1) > worth.min(1)
        assert 20 < left.sum() < 40
        np.testing.assert_array_equal(own.prompts.ids, np.asarray(prompts.ids)[left])
        expected = np.stack([worth.max(1), worth.min(1)], 1)[left]
        np.testing.assert_array_equal(own.rewards, expected)
        places = np.stack([worth.argmax(1), worth.argmin(1)], 1)
        rows = np.arange(40)[:, None]
        np.testing.assert_array_equal(
            own.responses.tokens, np.asarray(drawn.tokens)[rows, places][left]
        )


def test_a_round_is_made_again_with_the_same_bits_and_draws_others_later():
    first = course()[0].make

    def unsure(question, prompts, responses):
        return np.full((*responses.truncated.shape, len(question.answers)), 1 / 6)

    one, again = (first(context(state_of(3), answer=unsure), None) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, again)
    later = dataclasses.replace(state_of(3), step=np.int32(6))
    other = first(context(later, answer=unsure), None)
    assert one.rewards.shape != other.rewards.shape or (
        (one.rewards != other.rewards).any()
    )


def test_prompts_of_a_small_task_are_written_to_once_a_round():
    found = course()[1].make(context(state_of(3), num_prompts=7), None)
    assert len(set(found.prompts.ids.tolist())) == len(found.prompts.ids) <= 7


def test_a_round_without_a_task_says_that_there_is_nobody_to_ask():
    alone = dataclasses.replace(context(state_of(3)), answer=algorithms.Context.answer)
    with pytest.raises(ValueError, match="asks the policy itself, and there is no"):
        course()[0].make(alone, None)


def test_a_template_of_ones_own_is_asked_and_one_that_compares_is_refused(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("answers: 1 2 3\n\n{context} {response}?")

    def asking(template):
        rounds = algorithms.rounds.JudgedByItself(template=template)
        return dataclasses.replace(ROW, name="own", rounds=rounds)

    assert course(row=asking(str(path)))[0].question.values == (1, 2, 3)
    with pytest.raises(ValueError, match="template helpful compares two responses"):
        course(row=asking("helpful"))
