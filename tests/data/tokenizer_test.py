"""Tokenizers: trained here and loaded from folders of several styles."""

import json

import pytest
import tokenizers

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
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, (2,))
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
    assert tokenizer.closing_id not in ids
    assert tokenizer.decode(ids) == "a <|end|> b"


def test_special_tokens_are_found_in_both_styles(folder):
    tokenizer = configure(
        folder, eos_token={"content": "<|end|>", "lstrip": False}, bos_token="<|begin|>"
    )
    assert (tokenizer.eos_id, tokenizer.bos_id) == ((2,), 1)


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
    with pytest.raises(FileNotFoundError, match=f"has no {name}"):
        data.load_tokenizer(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe{}", b"[" * 100_000])
def test_an_unreadable_file_is_an_error_that_names_it(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{folder.name}/{name}.*copy it again"):
        data.load_tokenizer(folder)


def test_a_tokenizer_without_an_end_token_is_an_error(folder):
    with pytest.raises(ValueError, match="names no eos_token"):
        configure(folder, pad_token="<|pad|>")


def test_a_special_token_outside_the_vocabulary_is_an_error(folder):
    with pytest.raises(ValueError, match="'</s>' as its eos_token"):
        configure(folder, eos_token="</s>")


@pytest.mark.parametrize("token", [5, ["</s>"], {"content": 5}, True])
def test_a_special_token_that_is_no_text_is_an_error(folder, token):
    with pytest.raises(ValueError, match="tokenizer_config.json: eos_token is .*name"):
        configure(folder, eos_token=token)


def write(folder, **files):
    """Writes JSON files into a folder, by their names without the ending."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def test_every_end_token_that_the_folder_names_ends_a_text(folder):
    write(
        folder,
        config={"eos_token_id": [7, 2]},
        generation_config={"eos_token_id": [2, 8]},
    )
    tokenizer = data.load_tokenizer(folder)
    assert tokenizer.eos_id == (2, 7, 8)
    (ids,) = tokenizer.encode(["value"])
    assert [tokenizer.decode([*ids, end, *ids]) for end in (2, 7, 8)] == ["value"] * 3
    assert tokenizer.decode([*ids, 9]) != "value"


def test_one_end_token_or_none_is_read_from_the_models_files_too(folder):
    write(folder, config={"eos_token_id": 7}, generation_config={"eos_token_id": None})
    assert data.load_tokenizer(folder).eos_id == (2, 7)
    assert configure(folder, bos_token="<|begin|>").eos_id == (7,)


@pytest.mark.parametrize("name", ["config", "generation_config"])
@pytest.mark.parametrize("ids", [300, [2, 300], -1, [True], ["2"], 2.0, [[2]], {}])
def test_an_end_token_that_the_tokenizer_does_not_have_is_an_error(folder, name, ids):
    write(folder, **{name: {"eos_token_id": ids}})
    with pytest.raises(ValueError, match=f"{name}.json: eos_token_id is"):
        data.load_tokenizer(folder)


BOS = {"eos_token": "<|end|>", "bos_token": "<|begin|>"}


@pytest.mark.parametrize(
    "config, begins",
    [
        ({"add_bos_token": False}, False),
        ({"add_bos_token": True}, True),
        ({"add_bos_token": True, "tokenizer_class": "GPT2Tokenizer"}, True),
        ({"tokenizer_class": "GPT2Tokenizer"}, False),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, False),
        ({"tokenizer_class": "LlamaTokenizerFast"}, True),
        ({}, True),
    ],
)
def test_a_prompt_begins_with_a_token_where_the_folder_says_so(folder, config, begins):
    tokenizer = configure(folder, **BOS, **config)
    assert tokenizer.bos_id == (1 if begins else None)
    tokens = data.prompt_ids(tokenizer, ["x = y"], length=64).tokens[0]
    assert tokens == [1] * begins + tokenizer.encode(["x = y"])[0]


def template_of(folder, template):
    """Puts a template of texts into the tokenizer's file."""
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=template, special_tokens=[("<|begin|>", 1), ("<|end|>", 2)]
    )
    backend.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "LlamaTokenizer"])
@pytest.mark.parametrize("template, begins", [("<|begin|> $A", True), ("$A", None)])
def test_the_template_in_the_file_says_how_texts_begin(folder, kind, template, begins):
    template_of(folder, f"{template} <|end|>")
    own = kind == "LlamaTokenizer"
    expected = 1 if begins or own else None
    assert configure(folder, **BOS, tokenizer_class=kind).bos_id == expected
    assert configure(folder, **BOS, add_bos_token=False).bos_id is None


@pytest.mark.parametrize(
    "template, config, ends",
    [
        ("$A <|end|>", {}, True),
        ("<|begin|> $A <|end|>", {"add_bos_token": False}, True),
        ("$A <|end|>", {"add_eos_token": True}, True),
        ("$A <|end|>", {"add_eos_token": False}, False),
        ("<|begin|> $A", {"add_eos_token": True}, False),
        ("$A", {}, False),
    ],
)
def test_a_prompt_ends_with_a_token_where_the_template_says_so(
    folder, template, config, ends
):
    template_of(folder, template)
    tokenizer = configure(folder, eos_token="<|end|>", **config)
    assert tokenizer.behind_id == (2 if ends else None)


@pytest.mark.parametrize(
    "template, config, message",
    [
        ("$A <|end|> <|end|>", {}, "ends texts with .*; only one token is supported"),
        ("$A", {"add_eos_token": 1}, "add_eos_token is 1, not true or false"),
    ],
)
def test_an_end_of_texts_that_cannot_be_is_an_error(folder, template, config, message):
    template_of(folder, template)
    with pytest.raises(ValueError, match=message):
        configure(folder, eos_token="<|end|>", **config)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"add_bos_token": "yes", "bos_token": "<|begin|>"}, "add_bos_token is 'yes'"),
        ({"add_bos_token": True}, "add_bos_token is true, but no bos_token is named"),
    ],
)
def test_a_folder_that_contradicts_itself_is_an_error(folder, config, message):
    with pytest.raises(ValueError, match=message):
        configure(folder, eos_token="<|end|>", **config)


def test_the_size_counts_to_the_largest_id_over_gaps(folder):
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["model"]["vocab"]["zz"] = 900
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    assert data.load_tokenizer(folder).size == 901


CHAT = "<|begin|>Hi<|end|>"


def test_markup_in_a_plain_prompt_is_said_to_be_text(folder):
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ messages }}"
    tokenizer = configure(folder, **settings)
    with pytest.warns(UserWarning, match=r"spell <\|begin\|>, <\|end\|>.*markup=True"):
        spelt = data.prompt_ids(tokenizer, [CHAT], length=64)
    assert len(spelt.tokens[0]) > 10
    data.prompt_ids(tokenizer, ["def f(x):"], length=64)


def test_special_tokens_of_markup_become_their_ids_where_the_caller_says_so(folder):
    tokenizer = data.load_tokenizer(folder)
    hi = tokenizer.encode(["Hi"])[0]
    assert tokenizer.encode([CHAT], markup=True) == [[1, *hi, 2]]
    assert len(tokenizer.encode([CHAT])[0]) > 10
    prompts = data.prompt_ids(
        tokenizer, [CHAT], suffix="<|begin|>", length=64, markup=True
    )
    assert prompts.tokens == [[1, *hi, 2, 1]]


def marking(folder):
    """A tokenizer that puts a space marker before whatever it is given."""
    letters = {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for letter in '\u2581abcdefghijklmnopqrstuvwxyz():=".':
        letters.setdefault(letter, 3 + len(letters))
    names = {"<unk>": 0, "<s>": 1, "</s>": 2}
    backend = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab=names | letters, merges=[], unk_token="<unk>", byte_fallback=True
        )
    )
    rules = tokenizers.normalizers
    backend.normalizer = rules.Sequence(
        [rules.Prepend("\u2581"), rules.Replace(" ", "\u2581")]
    )
    steps = tokenizers.decoders
    backend.decoder = steps.Sequence(
        [
            steps.Replace("\u2581", " "),
            steps.ByteFallback(),
            steps.Fuse(),
            steps.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens(list(names))
    backend.save(str(folder / "tokenizer.json"))
    return configure(folder, bos_token="<s>", eos_token="</s>")


def test_text_and_suffix_are_one_and_a_response_goes_on_from_it(tmp_path):
    tokenizer = marking(tmp_path)
    text, suffix = "def f(x):", '\n"""'
    prompts = data.prompt_ids(tokenizer, [text, text * 9], length=20, suffix=suffix)
    assert prompts.tokens[0] == [1, *tokenizer.encode([text + suffix])[0]]
    assert tokenizer.decode(prompts.tokens[0]) == text + suffix
    # Fifteen tokens of the text, the first of which is the marker.
    assert tokenizer.decode(prompts.tokens[1]) == (text * 9)[:14] + suffix
    responses = data.encode_responses(tokenizer, [["ab c"]], length=9)
    own = responses.tokens[responses.mask][:-1]
    assert tokenizer.decode([*prompts.tokens[0], *own]) == text + suffix + "ab c"


@pytest.mark.parametrize("text", ["Return", " x", "\n\n", '\n"""', "", "'s", "\t "])
def test_a_continuation_and_what_it_stands_behind_are_the_text(folder, tmp_path, text):
    marked = tmp_path / "marking"
    marked.mkdir()
    for tokenizer in (data.load_tokenizer(folder), marking(marked)):
        (start,) = tokenizer.encode(["def f"])
        (end,) = tokenizer.continuations([text])
        assert tokenizer.decode(start + end) == "def f" + text
