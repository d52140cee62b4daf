"""Prompts, responses and batches: what is cut, where it is padded, what repeats."""

import dataclasses

import numpy as np
import pytest

from nashalign import data
from tests import tiny_t5

SUFFIX = "\n---"
TEXTS = ["def f(x):\n    return x", "x" * 60 + "y" * 60, "z"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Returns a tokenizer of bytes alone, so that lengths can be read off."""
    folder = tmp_path_factory.mktemp("tokenizer")
    return data.train_tokenizer([], folder, vocabulary=259)


def test_a_prompt_is_begin_token_text_and_suffix(tokenizer):
    prompts = data.prompt_ids(tokenizer, TEXTS[:1], length=64, suffix=SUFFIX)
    assert prompts.tokens[0][0] == tokenizer.bos_id
    assert tokenizer.decode(prompts.tokens[0]) == TEXTS[0] + SUFFIX
    assert (prompts.cut, prompts.dropped) == (0, 0)


def test_a_long_prompt_is_cut_on_the_right_keeps_its_suffix_and_is_counted(tokenizer):
    prompts = data.prompt_ids(tokenizer, TEXTS, length=32, suffix=SUFFIX)
    assert [len(tokens) for tokens in prompts.tokens] == [27, 32, 6]
    assert tokenizer.decode(prompts.tokens[1]) == "x" * 27 + SUFFIX
    assert (prompts.cut, prompts.dropped) == (1, 0)
    np.testing.assert_array_equal(prompts.ids, [0, 1, 2])


@pytest.mark.parametrize("text", [*TEXTS, "x" * 26 + "é" + "y"])
@pytest.mark.parametrize("length", [32, 128])
def test_what_a_prompt_has_read_of_its_text_is_what_its_tokens_spell(
    tokenizer, text, length
):
    [tokens] = data.prompt_ids(tokenizer, [text], length=length, suffix=SUFFIX).tokens
    read = data.text_read(tokenizer, text, length=length, suffix=SUFFIX)
    # Where half of a character was read, it was not read.
    shown = tokenizer.decode(tokens).removesuffix(SUFFIX).rstrip("\ufffd")
    assert text.startswith(read) and read == shown


def test_a_prompt_that_just_fits_is_not_cut(tokenizer):
    prompts = data.prompt_ids(
        tokenizer, ["x" * 27], length=32, suffix=SUFFIX, fit=data.drop
    )
    assert len(prompts.tokens[0]) == 32
    assert (prompts.cut, prompts.dropped) == (0, 0)


def test_a_long_prompt_can_be_cut_on_the_left(tokenizer):
    prompts = data.prompt_ids(
        tokenizer, TEXTS, length=32, suffix=SUFFIX, fit=data.keep_end
    )
    assert tokenizer.decode(prompts.tokens[1]) == "y" * 27 + SUFFIX
    assert prompts.cut == 1


def test_a_long_prompt_can_be_dropped_and_the_others_keep_their_ids(tokenizer):
    prompts = data.prompt_ids(tokenizer, TEXTS, length=32, suffix=SUFFIX, fit=data.drop)
    np.testing.assert_array_equal(prompts.ids, [0, 2])
    assert len(prompts.tokens) == 2
    assert (prompts.cut, prompts.dropped) == (0, 1)


def test_a_length_without_room_for_text_is_an_error(tokenizer):
    assert (
        len(data.prompt_ids(tokenizer, ["xy"], length=6, suffix=SUFFIX).tokens[0]) == 6
    )
    with pytest.raises(ValueError, match="no room for text beside the 5"):
        data.prompt_ids(tokenizer, ["xy"], length=5, suffix=SUFFIX)


def test_without_a_suffix_nothing_stands_behind_the_text(tokenizer):
    prompts = data.prompt_ids(tokenizer, ["x" * 31, "y" * 32, "z"], length=32)
    begin = [tokenizer.bos_id]
    assert prompts.tokens == [begin + tokenizer.encode(["x" * 31])[0]] + [
        begin + tokenizer.encode([kept])[0] for kept in ("y" * 31, "z")
    ]
    assert (prompts.cut, prompts.dropped) == (1, 0)
    assert data.text_read(tokenizer, "y" * 32, length=32) == "y" * 31
    assert data.text_read(tokenizer, "x" * 31, length=32) == "x" * 31


def test_a_prompt_of_no_token_at_all_is_an_error(tokenizer):
    assert data.prompt_ids(tokenizer, [""], length=8).tokens == [[tokenizer.bos_id]]
    bare = dataclasses.replace(tokenizer, bos_id=None)
    with pytest.raises(ValueError, match="text 1 is empty"):
        data.prompt_ids(bare, ["x", ""], length=8)
    assert data.prompt_ids(bare, [""], length=8, suffix="x").tokens == [
        tokenizer.encode(["x"])[0]
    ]


@pytest.fixture(scope="module")
def ending(tmp_path_factory):
    """Returns a tokenizer that puts </s>, which is 1, behind every prompt."""
    return data.load_tokenizer(
        tiny_t5.write_tokenizer(tmp_path_factory.mktemp("ending"))
    )


def test_a_prompt_ends_with_its_token_which_is_counted_and_never_cut(ending):
    words = ending.encode(["rock paper"])[0]
    assert len(words) == 2 and ending.bos_id is None
    texts = ["rock paper", "rock paper paper", "rock"]
    prompts = data.prompt_ids(ending, texts, length=3)
    rock, paper = words
    assert prompts.tokens == [[rock, paper, 1], [rock, paper, 1], [rock, 1]]
    assert (prompts.cut, prompts.dropped) == (1, 0)
    end = data.prompt_ids(ending, texts, length=3, fit=data.keep_end)
    assert end.tokens[1] == [paper, paper, 1]
    dropped = data.prompt_ids(ending, texts, length=3, fit=data.drop)
    np.testing.assert_array_equal(dropped.ids, [0, 2])
    assert data.text_read(ending, texts[0], length=3) == texts[0]
    assert data.text_read(ending, texts[1], length=3) == "rock paper"


def test_a_suffix_stands_before_the_token_that_ends_a_prompt(ending):
    [suffix] = ending.encode([" round"])
    prompts = data.prompt_ids(
        ending, ["rock", "rock rock rock"], length=4, suffix=" round"
    )
    [rock] = ending.encode(["rock"])
    assert prompts.tokens == [[*rock, *suffix, 1], [*rock, *rock, *suffix, 1]]
    with pytest.raises(ValueError, match="no room for text beside the 2"):
        data.prompt_ids(ending, ["rock"], length=2, suffix=" round")


def test_an_empty_text_that_is_ended_is_a_prompt_and_markup_has_its_own_end(ending):
    assert data.prompt_ids(ending, [""], length=3).tokens == [[1]]
    [rock] = ending.encode(["rock"])
    markup = data.prompt_ids(ending, ["rock</s>"], length=9, markup=True)
    assert markup.tokens == [[*rock, 1]]


def test_prompts_are_padded_on_the_left():
    prompts = data.pad_prompts([[5], [6, 7, 8]], [10, 20], length=3, pad_id=9)
    np.testing.assert_array_equal(prompts.tokens, [[9, 9, 5], [6, 7, 8]])
    np.testing.assert_array_equal(
        prompts.mask, [[False, False, True], [True, True, True]]
    )
    np.testing.assert_array_equal(prompts.ids, [10, 20])
    assert prompts.tokens.dtype == prompts.ids.dtype == np.int32


@pytest.mark.parametrize("tokens", [[], [[]], [[1, 2, 3, 4]]])
def test_prompts_that_do_not_fit_their_array_are_an_error(tokens):
    with pytest.raises(ValueError, match="must have 1 to 3"):
        data.pad_prompts(tokens, range(len(tokens)), length=3, pad_id=0)


def test_responses_end_with_the_end_token_and_are_padded_on_the_right(tokenizer):
    texts = [["ab", "abc"], ["abcd", ""]]
    responses = data.encode_responses(tokenizer, texts, length=4)
    assert responses.tokens.shape == (2, 2, 4)
    np.testing.assert_array_equal(responses.mask.sum(-1), [[3, 4], [4, 1]])
    np.testing.assert_array_equal(responses.truncated, [[False, False], [True, False]])
    np.testing.assert_array_equal(
        responses.tokens[1, 1], [tokenizer.closing_id, 0, 0, 0]
    )
    assert responses.tokens[0, 1, 3] == tokenizer.closing_id
    assert tokenizer.closing_id not in responses.tokens[1, 0]
    assert tokenizer.decode(responses.tokens[0, 0]) == "ab"


def test_a_batch_is_a_function_of_its_step_alone():
    first = data.batches(range(20), batch_size=3, seed=1)
    drawn = [first(step) for step in range(30)]
    second = data.batches(range(20), batch_size=3, seed=1)
    assert [second(step) for step in reversed(range(30))] == drawn[::-1]


def test_an_epoch_takes_every_example_once_and_the_next_one_in_another_order():
    batch = data.batches(range(20), batch_size=5, seed=0)
    epochs = [[i for step in range(4) for i in batch(4 * e + step)] for e in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_no_batch_has_an_example_twice_where_epochs_do_not_divide():
    batch = data.batches(range(7), batch_size=3, seed=0)
    assert all(len(set(batch(step))) == 3 for step in range(50))


def test_another_seed_is_another_order():
    one, two = (data.batches(range(100), batch_size=50, seed=s) for s in (0, 1))
    assert one(0) != two(0)


@pytest.mark.parametrize("size, advice", [(0, "0 examples"), (1, "1 examples")])
def test_a_data_set_of_nothing_or_one_example_is_an_error(size, advice):
    with pytest.raises(ValueError, match=advice):
        data.batches(range(size), batch_size=1, seed=0)


@pytest.mark.parametrize("batch_size", [0, 4])
def test_a_batch_larger_than_the_data_is_an_error(batch_size):
    with pytest.raises(ValueError, match="choose 1 to 3"):
        data.batches(range(3), batch_size=batch_size, seed=0)


def test_prompt_batches_carry_the_ids_of_their_prompts(tokenizer):
    prompts = data.prompt_ids(tokenizer, TEXTS, length=32, suffix=SUFFIX, fit=data.drop)
    batch = data.prompt_batches(prompts, batch_size=2, length=32, pad_id=0, seed=0)
    for step in range(5):
        drawn = batch(step)
        assert drawn.tokens.shape == (2, 32)
        assert sorted(drawn.ids) == [0, 2]
        for row, index in zip(drawn.tokens, drawn.ids, strict=True):
            text = tokenizer.decode(row[row != tokenizer.pad_id])
            assert text == TEXTS[index] + SUFFIX


def test_token_strings_are_padded_and_cut():
    found = data.pad_responses(
        [[[5, 6, 0], [7]], [[1, 2, 3, 4], []]], length=3, pad_id=9
    )
    assert found.tokens.tolist() == [[[5, 6, 0], [7, 9, 9]], [[1, 2, 3], [9, 9, 9]]]
    assert found.mask.sum(-1).tolist() == [[3, 1], [3, 0]]
    assert found.truncated.tolist() == [[False, False], [True, False]]
