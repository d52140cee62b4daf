"""Texts that end responses: which token completes one, and what is left of the text."""

import numpy as np
import pytest
import tokenizers

from nashalign import data

TEXTS = ("aab", "b\n\u00e9", " c")
WORDS = ["a", "b", "ab", "aa", "\n", " c", "c ", "\u00e9", " ", "ba\n", "aabaa"]


def byte_level():
    """A tokenizer of bytes, of which one character may be two tokens."""
    alphabet = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    spelt = ["".join(own for own, _ in alphabet.pre_tokenize_str(w)) for w in WORDS]
    names = dict.fromkeys(
        [*spelt, *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())]
    )
    vocabulary = {name: place for place, name in enumerate(names)}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    backend.pre_tokenizer = alphabet
    backend.decoder = tokenizers.decoders.ByteLevel()
    return backend


def pieces():
    """One in whose tokens a bar stands for a space; other characters are bytes."""
    spelt = [word.replace(" ", "\u2581") for word in WORDS if word != "\u00e9"]
    names = dict.fromkeys(["<unk>", *spelt, *(f"<0x{b:02X}>" for b in range(256))])
    vocabulary = {name: place for place, name in enumerate(names)}
    model = tokenizers.models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>")
    backend = tokenizers.Tokenizer(model)
    decoders = tokenizers.decoders
    backend.normalizer = tokenizers.normalizers.Replace(" ", "\u2581")
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
        ]
    )
    return backend


def tokenizer_of(backend):
    """A tokenizer whose last tokens are special, and one that is not."""
    backend.add_tokens(["a b"])
    backend.add_special_tokens(["<end>", "b"])
    return data.Tokenizer(
        backend=backend,
        pad_id=0,
        eos_id=(backend.token_to_id("<end>"),),
        bos_id=None,
        size=backend.get_vocab_size(),
    )


KINDS = pytest.mark.parametrize("backend", [byte_level, pieces])


def responses(tokenizer, number):
    """Random tokens that often begin a stop text, and those of single bytes."""
    rng = np.random.default_rng(3)
    often = [tokenizer.backend.token_to_id(name) for name in ("a", "b", "ab", "a b")]
    end = tokenizer.eos_id[0]
    for _ in range(number):
        ids = rng.choice([*often * 3, *range(len(WORDS))], 12)
        yield [token for token in ids.tolist() if token != end]


@KINDS
def test_a_response_ends_with_the_token_that_completes_a_text(backend):
    plain = tokenizer_of(backend())
    tokenizer = plain.stopping(TEXTS, vocabulary=plain.size + 5)
    assert tokenizer.stops.table.shape[1] == plain.size + 5
    found = []
    for ids in responses(tokenizer, 400):
        spelt = [plain.decode(ids[: n + 1]) for n in range(len(ids))]
        complete = [any(own in text for own in TEXTS) for text in spelt]
        wanted = complete.index(True) + 1 if any(complete) else None
        assert tokenizer.stops.end(ids) == wanted
        text = tokenizer.decode(ids)
        assert not any(own in text for own in TEXTS)
        assert spelt[-1].startswith(text)
        assert (text == spelt[-1]) == (wanted is None)
        found.append(wanted)
    assert len(set(found)) > 6 and None in found


@KINDS
def test_a_character_of_two_tokens_completes_a_text_with_the_second(backend):
    plain = tokenizer_of(backend())
    tokenizer = plain.stopping(["\U0001f600"], vocabulary=plain.size)
    ids = plain.encode(["a\U0001f600b"])[0]
    assert len(ids) == 6 and tokenizer.stops.end(ids) == 5
    assert tokenizer.stops.end(ids[:4]) is None


@KINDS
def test_special_tokens_and_those_that_the_tokenizer_lacks_spell_nothing(backend):
    plain = tokenizer_of(backend())
    size = plain.size + 2
    tokenizer = plain.stopping(["ab"], vocabulary=size)
    named = {
        name: plain.backend.token_to_id(name) for name in ("a", "b", "ab", "\u0120")
    }
    special, lacking = named["b"], size - 1
    assert tokenizer.stops.end([named["a"], special, lacking]) is None
    assert tokenizer.stops.end([named["a"], lacking, named["ab"]]) == 3
    assert plain.stopping((), vocabulary=size).stops is None


@KINDS
def test_a_given_text_ends_at_its_stop_without_an_end_token(backend):
    plain = tokenizer_of(backend())
    tokenizer = plain.stopping(["\n"], vocabulary=plain.size)
    texts = [["a a\na", "a a"], ["\na", "a a a \n"]]
    found = data.encode_responses(tokenizer, texts, length=5)
    whole = data.encode_responses(plain, texts, length=99)
    lengths = [[4, 4], [1, 5]]
    np.testing.assert_array_equal(found.mask.sum(-1), lengths)
    np.testing.assert_array_equal(found.truncated, [[False, False], [False, True]])
    ends = (found.tokens == plain.eos_id[0]).any(-1)
    np.testing.assert_array_equal(ends, [[False, True], [False, False]])
    np.testing.assert_array_equal(
        found.tokens[found.mask], whole.tokens[..., :5][found.mask]
    )
    assert data.decode_responses(tokenizer, found)[0] == ["a a", "a a"]


def test_stops_are_equal_where_texts_and_tokens_are():
    one, same = (
        tokenizer_of(byte_level()).stopping(TEXTS, vocabulary=280).stops
        for _ in range(2)
    )
    assert one == same and hash(one) == hash(same)
    other = tokenizer_of(byte_level()).stopping(TEXTS[:1], vocabulary=280).stops
    longer = tokenizer_of(byte_level()).stopping(TEXTS, vocabulary=290).stops
    tokens = tokenizer_of(pieces()).stopping(TEXTS, vocabulary=280).stops
    assert one not in (other, longer, tokens, None)


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        (None, "tokenizer.json is missing"),
        (tokenizers.decoders.WordPiece(), "tokenizer.json is WordPiece"),
        (
            tokenizers.decoders.Sequence(
                [tokenizers.decoders.Fuse(), tokenizers.decoders.Replace("_", " ")]
            ),
            "Replace of {'String': '_'}",
        ),
    ],
)
def test_decoders_under_which_a_token_has_no_text_are_refused(decoder, said):
    backend = byte_level()
    if decoder is None:
        bare = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
        backend = bare
    else:
        backend.decoder = decoder
    with pytest.raises(ValueError, match=said):
        tokenizer_of(backend).stopping(["a"], vocabulary=9)


def test_an_empty_stop_text_is_refused():
    with pytest.raises(ValueError, match="none may be empty"):
        tokenizer_of(byte_level()).stopping(["a", ""], vocabulary=9)
