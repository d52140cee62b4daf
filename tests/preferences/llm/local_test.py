"""A policy as a judge: its next token's log-probabilities behind a question."""

import pathlib
import shutil

import jax
import numpy as np
import pytest
import tokenizers
from scipy.special import expit

from nashalign import data, policies, preferences
from nashalign.preferences.llm import local, reading
from nashalign.types import Responses
from tests import tiny_t5
from tests.tiny_task import write_policy

llm = preferences.llm

TURNS = (
    "{% for own in messages %}<|begin|>{{ own.role }}: {{ own.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant:{% endif %}"
)
TEXTS = ["a", "which is better, 1 or 2?", "b" * 70, "1 2 " * 20, "x <|end|> y"]


class Memory(dict):
    """Replies that are kept for as long as the test runs."""

    find = dict.get

    def keep(self, request, reply):
        return self.setdefault(request, reply)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    # Texts in which " 1" is frequent enough to be a token of its own.
    return write_policy(folder, ["1 1 1 1 2 2 2 2"] * 9, vocabulary=270, context=128)


@pytest.fixture(scope="module")
def chat(decoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    start = policies.load_pretrained(decoder)
    policies.save_pretrained(
        folder, start.params, start.config, tokenizer_folder=decoder
    )
    (folder / "chat_template.jinja").write_text(TURNS)
    return folder


@pytest.fixture(scope="module")
def encoder_decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    return tiny_t5.write_policy(folder, vocab_size=120)


def model(folder, answers=("1", "2"), **options):
    start, tokenizer = policies.load_pretrained(folder), data.load_tokenizer(folder)
    return llm.LocalModel(
        start=start, tokenizer=tokenizer, answers=answers, replies=Memory(), **options
    )


def asked(own, texts):
    found = dict(own.ask([llm.Request(text) for text in texts]))
    return [reading.log_probs(found[place], own.answers) for place in range(len(texts))]


def by_scoring(folder, prompt, answers=("1", "2")):
    """Log-probabilities of answers as those of responses of one token, added up."""
    start, tokenizer = policies.load_pretrained(folder), data.load_tokenizer(folder)
    prompts = data.pad_prompts(
        [prompt], [0], length=len(prompt), pad_id=tokenizer.pad_id
    )
    every = np.arange(start.policy.vocabulary)[None, :, None]
    responses = Responses(
        tokens=every,
        mask=np.ones(every.shape, bool),
        truncated=np.ones(every.shape[:2], bool),
    )
    [values] = policies.log_probs(start.policy, start.params, prompts, responses)
    texts = [tokenizer.decode([i]).strip() for i in range(tokenizer.size)]
    spelt = [np.flatnonzero([text == own for text in texts]) for own in answers]
    values = np.asarray(values).sum(-1)
    return [np.logaddexp.reduce(values[own]) for own in spelt], spelt


@pytest.mark.parametrize("kind", ["decoder", "encoder_decoder"])
def test_log_probabilities_are_those_of_a_response_of_one_token(kind, request):
    folder = request.getfixturevalue(kind)
    texts = ["round 1 2"] if kind == "encoder_decoder" else TEXTS[:4]
    found = asked(model(folder, batch_size=3), texts)
    tokenizer = data.load_tokenizer(folder)
    for text, own in zip(texts, found, strict=True):
        [prompt] = data.prompt_ids(tokenizer, [text], length=126).tokens
        expected, _ = by_scoring(folder, prompt)
        np.testing.assert_allclose(own, expected, rtol=0, atol=2e-5)


def test_tokens_with_a_space_in_front_count_too(decoder):
    _, spelt = by_scoring(decoder, [5])
    assert [len(own) for own in spelt] == [2, 2]


def test_a_model_with_a_chat_template_is_asked_as_it_was_taught(chat):
    tokenizer = data.load_tokenizer(chat)
    found = asked(model(chat), TEXTS)
    for text, own in zip(TEXTS, found, strict=True):
        talk = [[{"role": "user", "content": text}]]
        [prompt] = data.chat_ids(tokenizer, talk, length=126).tokens
        assert prompt[0] == tokenizer.bos_id and prompt.count(prompt[0]) == 2
        expected, _ = by_scoring(chat, prompt)
        np.testing.assert_allclose(own, expected, rtol=0, atol=2e-5)


def test_what_is_said_does_not_depend_on_what_is_read_beside_it(decoder):
    """A run that resumes in the middle of a batch asks for the rest of it alone."""
    texts = [f"question {n} " * (1 + n % 9) for n in range(23)]
    whole = np.array(asked(model(decoder), texts))
    parts = np.empty_like(whole)
    for places in (range(0, 23, 2), range(22, 0, -2), range(1, 23, 4), [22, 3]):
        own = list(places)
        parts[own] = asked(model(decoder), [texts[i] for i in own])
        np.testing.assert_array_equal(parts[own], whole[own])


def test_a_question_is_padded_by_its_own_length_alone(decoder, monkeypatch):
    read, seen = llm.LocalModel._read, {}

    def counted(own, rows, length):
        seen.update({len(row): length for row in rows})
        return read(own, rows, length)

    monkeypatch.setattr(llm.LocalModel, "_read", counted)
    asked(model(decoder), ["a", "b" * 70, "b" * 110])
    assert list(seen.values()) == [64, 96, 127]


def test_few_programs_serve_all_lengths(decoder):
    lengths = {local.bucket(length, 8192) for length in range(1, 8192)}
    assert len(lengths) <= 15 and max(lengths) == 8191
    assert all(
        length <= local.bucket(length, 8192) <= max(64, 1.51 * length)
        for length in range(1, 8192)
    )
    own = model(decoder)
    before = local._compiled(own.start.policy)._cache_size()
    asked(own, ["a" * n for n in range(1, 120)])
    assert local._compiled(own.start.policy)._cache_size() - before <= 4


def test_a_question_longer_than_the_context_is_refused_with_its_length(decoder):
    with pytest.raises(ValueError, match="of 2[0-9]+ tokens, and reads 127"):
        asked(model(decoder), ["short", "b" * 200])


def test_an_answer_that_is_no_token_is_refused(decoder):
    with pytest.raises(ValueError, match="spells the answer 'wholly'"):
        model(decoder, answers=("1", "wholly"))


def test_a_reply_is_kept_before_it_is_given(decoder):
    own = model(decoder, batch_size=2)
    replies = own.ask([llm.Request(text) for text in TEXTS])
    place, reply = next(replies)
    assert own.replies[llm.Request(TEXTS[place])] == reply


def test_it_judges_texts_and_tells_the_complement(decoder):
    template = llm.Template(
        name="own", text="{context} {first} {second}", answers=("1", "2")
    )
    judge = llm.llm_judge(template, model(decoder))
    found = dict(judge.prefer([("p", "y", "z"), ("p", "z", "y"), ("p", "y", "y")]))
    assert found[0] + found[1] == pytest.approx(1, abs=1e-15)
    assert found[2] == 0.5 and found[0] != 0.5
    assert judge.backend.counts.questions == 3


def test_answers_of_different_numbers_of_tokens_are_told_by_a_flat_model(decoder):
    """Two tokens spell 1, one spells x; the program is that of other parameters."""
    own = model(decoder, answers=("1", "x"))
    [before] = asked(own, ["a"])
    zero = jax.tree.map(np.zeros_like, own.start.params)
    start = policies.Pretrained(
        policy=own.start.policy, params=zero, config=own.start.config
    )
    other = llm.LocalModel(
        start=start, tokenizer=own.tokenizer, answers=own.answers, replies=Memory()
    )
    [found] = asked(other, ["a"])
    expected = np.log(np.array([2, 1]) / own.start.policy.vocabulary)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (found != before).all()


GOLDEN = pathlib.Path(__file__).parents[1] / "golden/reward"
PAIR = llm.Template(name="own", text="{context} {first} {second}", answers=("A", "B"))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    """The golden model, whose tokenizer splits words and ends texts as they are read.

    Its end token is its padding, which transformers does not see.
    """
    folder = shutil.copytree(GOLDEN, tmp_path_factory.mktemp("ranking") / "own")
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    backend.save(str(folder / "tokenizer.json"))
    return folder


def words(tokens):
    return " ".join(f"w{own}" for own in tokens if own > 1)


def test_a_pair_ranking_folder_is_read_as_transformers_reads_it(ranking):
    golden = np.load(GOLDEN / "scores.npz")
    own = llm.load_local(ranking, PAIR, Memory(), batch_size=3)
    texts = [words(tokens) for tokens in golden["tokens"]]
    values = np.array(asked(own, texts))
    logits = values[:, 0] - values[:, 1]
    np.testing.assert_allclose(logits, golden["scores"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(np.exp(values).sum(1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="and reads 31"):
        asked(own, ["w3 " * 40])


def test_a_pair_ranking_folder_prefers_by_both_orders(ranking):
    own = llm.load_local(ranking, PAIR, Memory())
    found = dict(
        llm.llm_judge(PAIR, own).prefer([("w5", "w6", "w7"), ("w5", "w7", "w6")])
    )
    orders = np.array(asked(own, ["w5 w6 w7", "w5 w7 w6"]))
    one, other = expit(orders[:, 0] - orders[:, 1])
    assert found[0] == pytest.approx((one + 1 - other) / 2, abs=1e-6)
    assert found[0] + found[1] == pytest.approx(1) and abs(found[0] - 0.5) > 0.01


def test_a_score_without_a_template_is_an_annotator(ranking, tmp_path):
    rates = llm.Template(name="own", text="{context} {response}", answers=("1", "2"))
    with pytest.raises(ValueError, match="give the folder as --annotator"):
        llm.load_local(ranking, rates, Memory())
    judge = preferences.load_judge(GOLDEN, GOLDEN)
    pairwise = preferences.PairwiseModel(
        params=judge.params, policy=judge.policy, eos_id=judge.eos_id
    )
    config = policies.load_scorer(GOLDEN).config
    preferences.save_judge(tmp_path, pairwise, config, ranking)
    with pytest.raises(ValueError, match="give the folder as --annotator"):
        llm.load_local(tmp_path, PAIR, Memory())
