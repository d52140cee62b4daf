"""Annotators of text: who is asked what, how often, and what becomes of the answers."""

import threading
import time

import numpy as np
import pytest

from nashalign import preferences
from nashalign.types import Prompts, Responses


class Letters:
    """A tokenizer whose ids are letters."""

    def decode(self, ids):
        return "".join(chr(97 + i) for i in ids)


def prompts(*ids):
    tokens = np.zeros((len(ids), 1), np.int32)
    return Prompts(tokens=tokens, mask=np.ones_like(tokens, bool), ids=np.array(ids))


def responses(*rows):
    """Responses `[B, N, 3]` that spell the words of each row."""
    tokens = np.zeros((len(rows), len(rows[0]), 3), np.int32)
    mask = np.zeros(tokens.shape, bool)
    for b, row in enumerate(rows):
        for n, word in enumerate(row):
            tokens[b, n, : len(word)] = [ord(c) - 97 for c in word]
            mask[b, n, : len(word)] = True
    return Responses(tokens=tokens, mask=mask, truncated=~mask[..., -1])


def annotator(function, **options):
    return preferences.text_annotator(function, Letters(), ["P", "Q"], **options)


def longer(prompt, y, z):
    return 0.9 if len(y) > len(z) else 0.2


Y, Z = responses(["abc", "a"], ["b", "c"]), responses(["a", "a"], ["bc", "ab"])


def test_a_function_of_three_texts_is_a_preference():
    found = annotator(longer).prefer(None, prompts(0, 1), Y, Z)
    np.testing.assert_array_equal(found, [[0.9, 0.5], [0.2, 0.2]])


def test_a_function_of_two_texts_is_a_reward_and_its_differences_are_log_odds():
    found = annotator(lambda prompt, y: len(y) * (1 if prompt == "P" else 10))
    rewards = found.score(None, prompts(0, 1), Y)
    np.testing.assert_array_equal(rewards, [[3, 1], [10, 10]])
    preferred = found.prefer(None, prompts(0, 1), Y, Z)
    np.testing.assert_allclose(
        preferred, 1 / (1 + np.exp([[-2, 0], [10, 10]])), rtol=1e-12
    )


def test_an_object_with_a_method_is_one_too():
    class Judge:
        workers = 3

        def score(self, prompt, y):
            return len(y)

    found = annotator(Judge())
    assert found.ask.workers == 3
    np.testing.assert_array_equal(found.score(None, prompts(0, 1), Y), [[3, 1], [1, 1]])


@pytest.mark.parametrize("wrong", [3, lambda: 0, lambda prompt: 0, object()])
def test_what_is_no_function_of_two_or_three_texts_is_refused(wrong):
    with pytest.raises(ValueError, match="is no annotator"):
        annotator(wrong)


def test_a_question_is_asked_once_and_equal_texts_never():
    asked = []

    def judge(prompt, y, z):
        asked.append((prompt, y, z))
        return 0.5

    own = annotator(judge)
    both = responses(["ab", "ab", "c"]), responses(["c", "c", "c"])
    for _ in range(2):
        own.prefer(None, prompts(0), *both)
    assert asked == [("P", "ab", "c")]


def test_a_batched_function_is_given_lists():
    def judge(prompts, y, z):
        assert prompts == ["P", "Q", "Q"]
        return [0.1, 0.2, 0.3]

    judge.batched = True
    found = annotator(judge).prefer(None, prompts(0, 1), Y, Z)
    np.testing.assert_array_equal(found, [[0.1, 0.5], [0.2, 0.3]])


def test_a_streamed_function_is_given_questions_and_keeps_what_came():
    class Judge:
        streamed = True

        def prefer(self, questions):
            assert questions == [("P", "abc", "a"), ("Q", "b", "bc"), ("Q", "c", "ab")]
            yield 2, 0.3
            yield 0, 0.1
            raise ConnectionError("no route")

    kept = {}
    with pytest.raises(ConnectionError):
        annotator(Judge(), answers=kept).prefer(None, prompts(0, 1), Y, Z)
    assert kept == {("Q", "c", "ab"): 0.3, ("P", "abc", "a"): 0.1}


def test_a_batch_of_too_few_answers_is_refused():
    def judge(prompts, y, z):
        return [0.1]

    judge.batched = True
    with pytest.raises(ValueError, match=r"asked 3 questions.*shape \[1\]"):
        annotator(judge).prefer(None, prompts(0, 1), Y, Z)


def test_workers_ask_at_once_and_answers_find_their_questions():
    together = threading.Barrier(3, timeout=20)

    def judge(prompt, y, z):
        together.wait()
        time.sleep(0.01 * len(y))
        return len(y) / 10

    judge.workers = 3
    found = annotator(judge).prefer(None, prompts(0, 1), Y, Z)
    np.testing.assert_array_equal(found, [[0.3, 0.5], [0.1, 0.1]])


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_that_arrived_before_an_error_are_not_asked_for_again(workers):
    asked, fails = [], [True]

    def judge(prompt, y, z):
        asked.append(y)
        if y == "c" and fails:
            raise ConnectionError("no route")
        return 0.5

    judge.workers = workers
    kept = {}
    with pytest.raises(ConnectionError):
        annotator(judge, answers=kept).prefer(None, prompts(0, 1), Y, Z)
    fails.clear()
    before = list(kept)
    asked.clear()
    annotator(judge, answers=kept).prefer(None, prompts(0, 1), Y, Z)
    assert not {y for _, y, _ in before} & set(asked)
    assert len(kept) == 3


@pytest.mark.parametrize(
    "answer, said",
    [
        (1.5, "probability in"),
        (float("nan"), "probability in"),
        (None, "a number was asked for, not None"),
        ("0.5", "a number was asked for, not '0.5'"),
        ([0.5, 0.5], "one number was asked for"),
    ],
)
def test_an_answer_that_is_no_probability_is_named_with_its_prompt(answer, said):
    with pytest.raises(ValueError, match="about the prompt 'P'") as error:
        annotator(lambda prompt, y, z: answer).prefer(None, prompts(0, 1), Y, Z)
    assert said in str(error.value)


def test_a_reward_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="reward is a finite number"):
        annotator(lambda prompt, y: float("inf")).score(None, prompts(0, 1), Y)


def test_an_id_without_a_prompt_is_refused():
    with pytest.raises(ValueError, match="no prompt 2"):
        annotator(longer).prefer(None, prompts(0, 2), Y, Z)


def test_answers_on_the_disk_outlive_the_process_and_know_whose_they_are(tmp_path):
    path = tmp_path / "answers.sqlite"
    first = preferences.Answers(path, "judge 1")
    first[("P", "y", "z")] = 1 / 3
    first.close()
    again, other = (preferences.Answers(path, f"judge {n}") for n in (1, 2))
    assert ("P", "y", "z") in again and again[("P", "y", "z")] == 1 / 3
    assert ("P", "z", "y") not in again and ("Py", "z") not in again
    assert ("P", "y", "z") not in other
    with pytest.raises(KeyError):
        other[("P", "y", "z")]


def test_a_file_that_holds_no_answers_is_refused(tmp_path):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(ValueError, match="delete it"):
        preferences.Answers(path, "judge")
