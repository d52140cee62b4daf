"""A policy that judges itself: what it is asked, and a run of such rounds."""

import dataclasses

import jax
import numpy as np
import pytest

from nashalign import algorithms, alignment, data, policies, preferences, training
from nashalign.alignment import course, own_judge
from nashalign.types import Prompts, Responses
from tests.tiny_task import begun, run_of, write_policy

llm = preferences.llm
QUESTION = llm.load_template("additive")
LENGTH, PROMPT = 6, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A policy with room for the question, most of whose words are tokens."""
    own = tmp_path_factory.mktemp("self")
    return write_policy(own, [QUESTION.text] * 4, vocabulary=700, context=384)


@pytest.fixture(scope="module")
def task(folder):
    return of_prompts(folder, [f"What is {n} and {n}?" for n in range(40)])


def of_prompts(folder, prompts, **text):
    records = [data.Record(prompt=own) for own in prompts]
    text = alignment.Text(response_length=LENGTH, prompt_length=PROMPT, **text)
    return alignment.text_task(folder, records, text=text).task


def responses_of(tokens):
    tokens = np.array(tokens, np.int32)
    ones = np.ones(tokens.shape, bool)
    return Responses(tokens=tokens, mask=ones, truncated=ones[..., 0])


def written(task, prompts, number=3):
    """Random tokens as responses, so that some of them spell no character."""
    random = np.random.default_rng(0)
    shape = (len(prompts.ids), number, LENGTH)
    return responses_of(random.integers(3, task.tokenizer.size, shape))


def answers(task, prompts, responses, params=None):
    params = task.start.params if params is None else params
    answer = own_judge.answering(task, task.start.policy, params)
    return answer(QUESTION, prompts, responses)


def by_scoring(task, text):
    """Probabilities of the six answers, as responses of one token."""
    tokenizer, start = task.tokenizer, task.start
    [ids] = data.prompt_ids(tokenizer, [text], length=10**6).tokens
    prompts = data.pad_prompts([ids], [0], length=len(ids), pad_id=tokenizer.pad_id)
    texts = [tokenizer.decode([i]).strip() for i in range(tokenizer.size)]
    every = responses_of(np.arange(tokenizer.size)[None, :, None])
    found = policies.log_probs(start.policy, start.params, prompts, every)
    found = np.exp(np.asarray(found, np.float64).sum((0, 2)))
    own = [sum(found[i] for i, t in enumerate(texts) if t == f"{n}") for n in range(6)]
    return np.array(own) / sum(own)


def test_the_policy_is_asked_about_each_response_behind_its_prompt(task):
    prompts = task.batch("train", range(2))
    responses = written(task, prompts)
    found = answers(task, prompts, responses)
    assert found.shape == (2, 3, 6)
    for row, texts in enumerate(task.texts(responses)):
        asked = task.show(int(prompts.ids[row]))["prompt"]
        for column, text in enumerate(texts):
            shown = task.tokenizer.beginning(text, LENGTH)
            expected = by_scoring(task, QUESTION.fill(asked, shown))
            np.testing.assert_allclose(found[row, column], expected, rtol=1e-4)
    # The policy that is asked is the one that is given, and not the start policy.
    other = jax.tree.map(lambda x: 2 * x, task.start.params)
    assert np.abs(answers(task, prompts, responses, other) - found).max() > 1e-3


def test_a_prompt_that_was_too_long_is_shown_as_the_policy_has_read_it(folder):
    prompts = ["What was asked: " * 10 + f"{n}" for n in range(40)]
    task = of_prompts(folder, prompts, too_long="end")
    [shown] = own_judge._prompts(task, task.batch("train", [0]))
    whole = task.show(int(task.prompts["train"].ids[0]))["prompt"]
    assert whole.endswith(shown) and 0 < len(shown) < len(whole) / 2


def test_texts_whose_letters_are_other_tokens_now_are_cut_to_what_they_had(task):
    """A byte that spells no character is shown as three."""
    prompts = task.batch("train", range(1))
    byte = task.tokenizer.backend.token_to_id("\u0124")  # 0x82, the middle of one
    broken = responses_of(np.full((1, 1, LENGTH), byte))
    [[text]] = task.texts(broken)
    assert text == "\ufffd" * LENGTH
    assert len(task.tokenizer.encode([text])[0]) > 2 * LENGTH
    expected = by_scoring(
        task, QUESTION.fill(task.show(int(prompts.ids[0]))["prompt"], "\ufffd" * 2)
    )
    np.testing.assert_allclose(
        answers(task, prompts, broken)[0, 0], expected, rtol=1e-4
    )


@pytest.mark.parametrize(
    "question, lengths, said",
    [
        (
            QUESTION,
            {"prompt_length": 300},
            "'additive', a prompt of 300 and a response",
        ),
        (dataclasses.replace(QUESTION, answers=("0", "ten")), {}, "the answer 'ten'"),
    ],
)
def test_what_the_policy_cannot_be_asked_is_refused(task, question, lengths, said):
    own_judge.require("a row", task, QUESTION)
    task = dataclasses.replace(task, **lengths)
    with pytest.raises(
        ValueError, match="a row asks the policy in .* itself: "
    ) as error:
        own_judge.require("a row", task, question)
    assert said in str(error.value)


def test_all_that_is_allowed_can_be_asked(task):
    """The longest prompt that passes, and responses that spell no character."""
    alone = len(task.tokenizer.encode([QUESTION.fill("", "")])[0]) + 1
    most = task.start.policy.context - 1 - alone - LENGTH - own_judge._SEAMS
    task = dataclasses.replace(task, prompt_length=most)
    own_judge.require("a row", task, QUESTION)
    with pytest.raises(ValueError, match="lower --text.prompt-length"):
        longer = dataclasses.replace(task, prompt_length=most + 1)
        own_judge.require("a row", longer, QUESTION)
    tokens = np.random.default_rng(1).integers(3, 259, (4, most)).astype(np.int32)
    long = Prompts(
        tokens=tokens,
        mask=np.ones(tokens.shape, bool),
        ids=np.arange(4, dtype=np.int32),
    )
    task = dataclasses.replace(task, show=lambda index: {"prompt": "x " * 1000})
    assert np.isfinite(answers(task, long, written(task, long))).all()


# --- A run.

SETTINGS = {"num_prompts": 12, "num_responses": 3, "num_draws": 2, "tau": 0.1}


def align(task, folder, num_steps=4, **settings):
    return alignment.align(
        "self_rewarding",
        task,
        None,
        training=alignment.Training(num_steps=num_steps, batch_size=4, save_every=1),
        folder=folder,
        seed=0,
        settings=SETTINGS | {"num_rounds": 2} | settings,
        learning_rate=0.05,
        mesh=training.make_mesh(jax.devices()[:1]),
    )


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return align(task, folder)


def leaves(params):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])


def test_a_round_writes_judges_and_is_held_to_the_policy_of_the_one_before(
    task, whole, tmp_path
):
    """M_t writes and judges what M_(t+1) learns from, and is its reference."""
    first = align(task, tmp_path / "first", num_steps=2, num_rounds=1)
    assert first.num_steps == 2 and whole.num_steps == 4
    row = algorithms.find("self_rewarding")
    rounds = row.course(4, **SETTINGS, num_rounds=2)
    kept = np.load(whole.folder / "round_2" / "examples.npz")
    said = np.load(whole.folder / "round_2" / "log_probs.npz")["reference"]
    read = ~np.isnan(said).any((1, 2))  # others were in no batch
    run = run_of(task, {}, tmp_path)
    setup, state = begun(rounds[1].method, task)
    for params, same in ((first.params, True), (task.start.params, False)):
        state = dataclasses.replace(
            state,
            players={"policy": params},
            key=alignment.stage_key(0, 20),
            step=np.int32(2),
        )
        context = dataclasses.replace(
            run.context(setup, state),
            answer=own_judge.answering(task, setup.policy, params),
        )
        made = rounds[1].make(context, None)
        tokens = kept["responses.tokens"]
        equal = made.responses.tokens.shape == tokens.shape and (
            (made.responses.tokens == tokens).all()
            and (made.rewards == kept["rewards"]).all()
        )
        assert equal == same
        found = policies.log_probs(
            task.start.policy,
            params,
            Prompts(**{n: kept[f"prompts.{n}"] for n in ("tokens", "mask", "ids")}),
            Responses(
                **{n: kept[f"responses.{n}"] for n in ("tokens", "mask", "truncated")}
            ),
        )
        assert np.allclose(found[read], said[read], atol=1e-4) == same


def test_a_run_that_was_broken_off_ends_with_the_same_bits(
    task, whole, tmp_path, monkeypatch
):
    train, told = course._train, llm.LlmReward.told

    def killed_in_training(*given):
        raise MemoryError

    def killed_in_judging(own, questions):
        for number, found in enumerate(told(own, questions)):
            if number == 20:
                raise MemoryError
            yield found

    def in_round_two(function):
        def called(*given):
            if given[-2].name == "round_2":
                return function(*given)
            return train(*given)

        return called

    folder = tmp_path / "broken"
    for target, name, fault in (
        (llm.LlmReward, "told", killed_in_judging),
        (course, "_train", in_round_two(killed_in_training)),
    ):
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(target, name, fault)
            align(task, folder)
    assert (folder / "round_2" / "examples.npz").exists()
    found = align(task, folder)
    np.testing.assert_array_equal(leaves(found.params), leaves(whole.params))
    assert (leaves(found.params) != leaves(task.start.params)).any()


def test_a_policy_that_cannot_be_asked_is_refused_before_anything_is_done(
    task, tmp_path
):
    small = dataclasses.replace(task, prompt_length=200)
    with pytest.raises(ValueError, match="self-rewarding asks the policy in"):
        align(small, tmp_path / "none")
    assert not (tmp_path / "none").exists()
