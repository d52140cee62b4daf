"""Tasks of prompts of one's own."""

import jax
import numpy as np
import pytest

from nashalign import alignment, data, policies


def records(*prompts, **fields):
    return [data.Record(prompt=prompt, **fields) for prompt in prompts]


PROMPTS = [f"def f{n}(x):\n    return x" for n in range(40)]


def task(start_policy, *, prompts=PROMPTS, annotator=None, **text):
    text = alignment.Text(response_length=8, **text)
    return alignment.text_task(start_policy, records(*prompts), annotator, text=text)


def test_a_function_of_text_is_told_the_prompt_as_it_was_written(start_policy):
    asked = []

    def prefer(prompt, y, z):
        asked.append(prompt)
        return 0.5

    own = task(start_policy, annotator=prefer, suffix="\n#")
    found = own.task.write(
        own.task.start.params,
        "train",
        np.arange(3),
        alignment.stage_key(0, 1),
        num_responses=2,
    )
    alignment.asking.compare_all(own.annotator, found.prompts, found.responses)
    assert set(asked) == {PROMPTS[index] for index in found.prompts.ids}


@pytest.mark.parametrize("suffix", [(), (7, 8)])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_what_is_written_is_scored_by_its_writer_and_by_the_start(
    start_policy, scale, suffix
):
    own = task(start_policy).task
    rows, start = np.arange(3), own.start.params
    params = start if scale == 1 else jax.tree.map(lambda leaf: scale * leaf, start)
    key = alignment.stage_key(0, 1)
    found = own.write(params, "train", rows, key, num_responses=2, suffix=suffix)
    shown = own.batch("train", rows, suffix)
    for log_probs, scorer, prompts in (
        (found.log_probs, params, shown),
        (found.reference_log_probs, start, own.batch("train", rows)),
    ):
        expected = policies.log_probs(
            own.start.policy, scorer, prompts, found.responses
        )
        np.testing.assert_allclose(log_probs, expected, atol=1e-4)
    alike = np.allclose(found.log_probs, found.reference_log_probs, atol=1e-3)
    assert alike == (scale == 1 and not suffix)


class Tokens:
    """Reads tokens, on the host, and does not say where it is."""

    def prefer(self, key, prompts, y, z):
        return np.full(y.tokens.shape[:2], 0.25)


def test_an_annotator_that_takes_a_key_reads_tokens(start_policy):
    annotator = Tokens()
    assert task(start_policy, annotator=annotator).annotator is annotator


def test_prompts_that_are_too_long_are_cut_as_asked_for(start_policy):
    prompts = [*PROMPTS, "x" * 400]
    for too_long, number in (("end", 41), ("beginning", 41), ("drop", 40)):
        own = task(start_policy, prompts=prompts, prompt_length=40, too_long=too_long)
        assert sum(map(len, own.task.prompts.values())) == number


def test_lengths_that_do_not_fit_the_context_are_refused(start_policy):
    with pytest.raises(ValueError, match="lower one"):
        task(start_policy, prompt_length=127)
    with pytest.raises(ValueError, match="every prompt is longer"):
        task(start_policy, prompt_length=4, too_long="drop")


def test_prompts_of_equal_text_are_one_cluster_of_one_split(start_policy):
    own = task(start_policy, prompts=[*PROMPTS, *PROMPTS]).task
    for prompts in own.prompts.values():
        assert len(prompts) == 2 * len(set(prompts.clusters))


def test_pairs_are_labelled_and_their_scores_normalised(start_policy):
    pairs = [
        data.Record(
            prompt=prompt, chosen="a", rejected="b", scores=(float(n), float(-n))
        )
        for n, prompt in enumerate(PROMPTS)
    ]
    own = alignment.text_task(
        start_policy, pairs, text=alignment.Text(response_length=8)
    )
    found = own.data_set()
    np.testing.assert_array_equal(found.sampled.preference[:, 0, 1], 1.0)
    np.testing.assert_array_equal(found.sampled.preference[:, 1, 0], 0.0)
    assert abs(found.sampled.rewards.mean()) < 1e-6
    assert found.sampled.rewards.std() == pytest.approx(1, abs=1e-5)
    texts = own.task.texts(found.demonstrations.responses)
    assert {text for row in texts for text in row} == {"a"}


def test_a_stop_text_ends_responses_and_functions_of_text_are_told_what_is_before(
    start_policy,
):
    said = []

    def score(prompt, y):
        said.append(y)
        return 0.0

    pairs = [
        data.Record(prompt=prompt, chosen="Adds e", rejected="Ads")
        for prompt in PROMPTS
    ]
    stop = alignment.Text(response_length=8, stop=("e", "\n\n"))
    own = alignment.text_task(start_policy, pairs, score, text=stop)
    free = alignment.text_task(
        start_policy, pairs, text=alignment.Text(response_length=8)
    )
    key, places = alignment.stage_key(0, 1), np.arange(12)
    found, wanted = (
        one.task.write(one.task.start.params, "train", places, key, num_responses=2)
        for one in (own, free)
    )
    alignment.asking.score(own.annotator, found.prompts, found.responses)
    whole = [text for row in free.task.texts(wanted.responses) for text in row]
    assert sum("e" in text for text in whole) > 6
    assert set(said) == {text.split("e")[0] for text in whole}
    given = own.data_set().sampled.responses
    assert (own.task.tokenizer.closing_id == given.tokens).any(-1)[0].tolist() == [
        False,
        True,
    ]
    assert own.task.texts(given)[0] == ["Adds ", "Ads"]
    with pytest.raises(ValueError, match="--text.stop, .*none may be empty"):
        task(start_policy, stop=("a", ""))


def test_prompts_without_pairs_are_no_data_set(start_policy):
    with pytest.raises(ValueError, match="no `chosen`"):
        task(start_policy).data_set()


BARS = "{% for own in messages %}<|begin|>{{ own.role }}: {{ own.content }}<|end|>\n"
BARS += "{% endfor %}{% if add_generation_prompt %}<|begin|>assistant:{% endif %}"


@pytest.fixture
def chatting(start_policy, tmp_path):
    """The start policy, with a chat template."""
    for path in start_policy.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(BARS)
    return tmp_path


def written(own):
    """The prompts' tokens as text, special ones among it, in the order of the file."""
    task, found = own.task, {}
    for prompts in task.prompts.values():
        for index, tokens in zip(prompts.ids, prompts.tokens, strict=True):
            text = task.tokenizer.backend.decode(tokens, skip_special_tokens=False)
            found[int(index)] = text
    return [text for _, text in sorted(found.items())]


def test_a_plain_prompt_is_a_message_of_the_user_where_that_is_asked_for(chatting):
    plain, chat = (task(chatting, chat=own, suffix="!") for own in (False, True))
    assert written(plain)[3] == "<|begin|>" + PROMPTS[3] + "!"
    assert (
        written(chat)[3] == f"<|begin|>user: {PROMPTS[3]}!<|end|>\n<|begin|>assistant:"
    )


def test_conversations_are_written_as_the_template_says_and_shown_as_text(chatting):
    asked = []

    def score(prompt, y):
        asked.append(prompt)
        return 0.0

    talk = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who?"},
    )
    shown = "system: Be brief.\n\nuser: Who?"
    own = alignment.text_task(
        chatting,
        records(*[shown] * 9, messages=talk),
        score,
        text=alignment.Text(response_length=8),
        splits=alignment.Splits(validation=0.0, test=0.0),
    )
    header = "<|begin|>system: Be brief.<|end|>\n<|begin|>user: Who?<|end|>\n"
    assert written(own) == [header + "<|begin|>assistant:"] * 9
    found = own.task.write(
        own.task.start.params, "train", np.arange(2), alignment.stage_key(0, 1)
    )
    alignment.asking.score(own.annotator, found.prompts, found.responses)
    assert set(asked) == {shown}


def test_a_conversation_without_a_template_or_without_its_end_is_refused(
    start_policy, chatting
):
    with pytest.raises(ValueError, match="no chat template"):
        task(start_policy, chat=True)
    with pytest.raises(ValueError, match="--text.too-long beginning"):
        task(chatting, chat=True, too_long="beginning")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"alpha": 8.0}, "nothing without --lora.rank"),
        ({"targets": ("q_proj",)}, "nothing without --lora.rank"),
        ({"merge": True}, "no adapters to merge"),
        ({"rank": 2, "targets": ("query",)}, "none of the projections"),
    ],
    ids=str,
)
def test_settings_of_adapters_that_would_have_no_effect_are_refused(
    start_policy, given, said
):
    adapters, training = alignment.Adapters(**given), alignment.Training()
    with pytest.raises(ValueError, match=said):
        alignment.with_adapters(task(start_policy).task, adapters, training, 0)


def test_the_base_of_adapters_is_kept_as_frozen_policies_are(start_policy):
    own, adapters = task(start_policy).task, alignment.Adapters(rank=2)
    for dtype in (None, "bfloat16"):
        training = alignment.Training(frozen_dtype=dtype)
        start = alignment.with_adapters(own, adapters, training, 0).start
        base = jax.tree.leaves(policies.lora.base(start.params))
        assert {leaf.dtype.name for leaf in base} == {dtype or "float32"}
        small = jax.tree.leaves(policies.lora.trained(start.params))
        assert {leaf.dtype.name for leaf in small} == {"float32"}
    assert alignment.with_adapters(own, alignment.Adapters(), training, 0) == own


def test_the_preference_of_a_pair_is_what_its_voters_say(start_policy):
    pairs = [
        data.Record(
            prompt=prompt, chosen="a", rejected="b", votes=(1.0, 0.5, (n % 2) / 1)
        )
        for n, prompt in enumerate(PROMPTS)
    ]
    own = alignment.text_task(
        start_policy, pairs, text=alignment.Text(response_length=8)
    )
    ids = own.task.prompts["train"].ids
    found = own.data_set().sampled.preference
    np.testing.assert_allclose(found[:, 0, 1], np.where(ids % 2, 2.5 / 3, 0.5))
    np.testing.assert_allclose(found[:, 0, 1] + found[:, 1, 0], 1.0)
    np.testing.assert_array_equal(found[:, [0, 1], [0, 1]], 0.5)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"num_prompts": 64}, "--judges.num-prompts asks for 64 prompts"),
        ({"num_prompts": 16, "num_held_out": 30}, "--judges.num-held-out asks for 30"),
    ],
)
def test_votes_on_more_prompts_than_there_are_are_refused(
    start_policy, tmp_path, more, said
):
    settings = alignment.Judges(batch_size=8, **more)
    own = task(start_policy, annotator=lambda prompt, y, z: 0.5)
    voters = alignment.votes.voters(own.annotator)
    with pytest.raises(ValueError, match=said):
        alignment.learn_judges(
            own.task, voters, settings, {"reward"}, seed=0, folder=tmp_path
        )
    assert not list(tmp_path.iterdir())
