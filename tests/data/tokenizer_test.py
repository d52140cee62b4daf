"""Tokenizers: trained here and loaded from folders of several styles."""

import json

import pytest

from nashalign import data

TEXTS = [f"def reset_{i}(self, value):\n    return value + {i}" for i in range(50)]


@pytest.fixture
def folder(tmp_path):
    """Returns a folder with a freshly trained tokenizer."""
    data.train_tokenizer(TEXTS, tmp_path, vocabulary=300)
    return tmp_path


def configure(folder, **config):
    """Overwrites the tokenizer's configuration and loads it."""
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return data.load_tokenizer(folder)


def test_the_special_tokens_come_first_and_the_size_is_as_asked(folder):
    tokenizer = data.load_tokenizer(folder)
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.size == 300


@pytest.mark.parametrize(
    "text", [TEXTS[0], " two  spaces\n\ttab", "\u03c0 \U0001f600 \x00", "", '\n"""']
)
def test_every_text_survives_the_round_trip(folder, text):
    tokenizer = data.load_tokenizer(folder)
    (ids,) = tokenizer.encode([text])
    assert tokenizer.decode(ids) == text


def test_merges_make_frequent_text_short(folder):
    (ids,) = data.load_tokenizer(folder).encode(["def reset_"])
    assert len(ids) <= 3


def test_decoding_stops_at_the_end_token_and_shows_no_special_ones(folder):
    tokenizer = data.load_tokenizer(folder)
    (ids,) = tokenizer.encode(["value"])
    assert tokenizer.decode([1, *ids, 2, *ids, 0]) == "value"


def test_special_tokens_spelt_in_a_text_are_text(folder):
    tokenizer = data.load_tokenizer(folder)
    (ids,) = tokenizer.encode(["a <|end|> b"])
    assert tokenizer.eos_id not in ids
    assert tokenizer.decode(ids) == "a <|end|> b"


def test_special_tokens_are_found_in_both_styles(folder):
    tokenizer = configure(
        folder, eos_token={"content": "<|end|>", "lstrip": False}, bos_token="<|begin|>"
    )
    assert (tokenizer.eos_id, tokenizer.bos_id) == (2, 1)


def test_padding_falls_back_to_the_end_token(folder):
    tokenizer = configure(folder, eos_token="<|end|>", pad_token=None)
    assert (tokenizer.pad_id, tokenizer.bos_id) == (2, None)


def test_truncation_and_padding_stored_in_the_file_are_switched_off(folder):
    path = folder / "tokenizer.json"
    stored = json.loads(path.read_text())
    stored["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    stored["padding"] = {
        "strategy": {"Fixed": 99},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 3,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    path.write_text(json.dumps(stored))
    tokenizer = data.load_tokenizer(folder)
    assert tokenizer.decode(tokenizer.encode(TEXTS[:1])[0]) == TEXTS[0]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"has no {name}"):
        data.load_tokenizer(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_an_unreadable_file_is_an_error_that_names_the_folder(folder, name):
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=f"{folder.name}.*unreadable"):
        data.load_tokenizer(folder)


def test_a_list_in_the_place_of_the_settings_is_an_error(folder):
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ValueError, match="holds a list"):
        data.load_tokenizer(folder)


def test_a_tokenizer_without_an_end_token_is_an_error(folder):
    with pytest.raises(ValueError, match="names no eos_token"):
        configure(folder, pad_token="<|pad|>")


def test_a_special_token_outside_the_vocabulary_is_an_error(folder):
    with pytest.raises(ValueError, match="'</s>' as its eos_token"):
        configure(folder, eos_token="</s>")
