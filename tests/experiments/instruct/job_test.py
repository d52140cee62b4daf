"""The job, end to end, with a tiny random model and a chat template of our own."""

import json
import pathlib

import jax
import numpy as np
import pytest

from experiments.instruct import __main__ as instruct
from experiments.instruct import config as configs
from experiments.instruct import page, task
from nashalign import alignment, data, policies, training
from nashalign.alignment import rollouts
from tests.tiny_task import write_policy

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)
RECORDS = data.read_records(task.INSTRUCTIONS)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("start")
    texts = [task.SYSTEM, *(record.prompt for record in RECORDS)]
    policy = write_policy(folder, texts, vocabulary=600, context=128)
    path = policy / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"chat_template": TEMPLATE}
    path.write_text(json.dumps(settings))
    return policy


@pytest.fixture(scope="module")
def arguments(chat_model):
    """The smallest job, in a given folder."""

    def given(output, *more):
        return ["--smoke", "--policy", str(chat_model), "--output", str(output), *more]

    return given


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("runs") / "adapters"
    assert instruct.command(arguments(output)) == 0
    return output


def test_prompts_are_what_the_chat_template_makes_of_them(chat_model):
    loaded = task.load_task(chat_model, alignment.Text(response_length=8))
    for split, prompts in loaded.task.prompts.items():
        own = [record for record in RECORDS if record.others["split"] == split]
        assert len(prompts) == len(own) and len(set(prompts.clusters)) == len(own)
        for tokens, index, record in zip(prompts.tokens, prompts.ids, own, strict=True):
            text = f"<system> {task.SYSTEM}\n<user> {record.prompt}\n<assistant> "
            assert loaded.task.tokenizer.decode(tokens) == text
            # People and reviewers read the instruction alone.
            shown = loaded.task.show(int(index))["prompt"]
            assert shown == loaded.annotator.prompts[index] == record.prompt


@pytest.mark.slow
def test_adapters_come_out_and_a_page_that_says_on_what(finished, chat_model):
    adapters = finished / "policies" / "ipo_md"
    settings = json.loads((adapters / "adapter_config.json").read_text())
    assert (settings["peft_type"], settings["r"]) == ("LORA", 8)
    text = (finished / "results" / page.NAME).read_text()
    base = policies.load_pretrained(chat_model).params
    size = sum(leaf.size for leaf in jax.tree.leaves(base))
    for said in (
        "220 train, 30 validation, 50 test instructions of",
        f"beside the {size:,} of the model",
        "brief (34%), covering (36%), fresh (30%)",
        "2 of each method, of 8 instructions",
        "±",
    ):
        assert said in text
    assert "`ipo_md` " in text.partition("Seconds of an update")[2]


@pytest.mark.slow
def test_answers_before_and_after_are_kept_and_the_first_are_shown(finished):
    lines = training.read_log(finished / "results" / "responses.jsonl")
    size = configs.smoke().evaluation
    assert len(lines) == size.num_prompts
    tested = [r.prompt for r in RECORDS if r.others["split"] == "test"]
    assert all(set(line["responses"]) == {"IPO-MD", "start"} for line in lines)
    assert {line["prompt"] for line in lines} < set(tested)
    text = (finished / "results" / page.NAME).read_text()
    shown = [line["prompt"] for line in lines if f"\n{line['prompt']}\n" in text]
    assert shown == [line["prompt"] for line in lines[: size.num_samples]]


@pytest.mark.full
@pytest.mark.slow
def test_all_parameters_are_trained_when_asked(arguments, chat_model, tmp_path):
    assert instruct.command(arguments(tmp_path / "run", "--whole")) == 0
    found = policies.load_pretrained(tmp_path / "run" / "policies" / "ipo_md").params
    start = policies.load_pretrained(chat_model).params
    moved = jax.tree.map(lambda x, y: float(abs(x - y).max()), found, start)
    assert min(jax.tree.leaves(moved)) > 0
    text = (tmp_path / "run" / "results" / page.NAME).read_text()
    assert f"all {sum(x.size for x in jax.tree.leaves(start)):,} parameters" in text


@pytest.mark.full
@pytest.mark.slow
def test_broken_off_it_goes_on_and_ends_with_the_same_adapters(
    arguments, finished, tmp_path, monkeypatch
):
    lines, place = rollouts.lines, []

    def broken(*given):
        place.append(given)
        if len(place) == 2:
            raise MemoryError
        return lines(*given)

    command = arguments(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "lines", broken)
        with pytest.raises(MemoryError):
            instruct.command(command)
    assert instruct.command(command) == 0
    whole, again = (
        policies.load_pretrained(folder / "policies" / "ipo_md").params
        for folder in (finished, tmp_path / "run")
    )
    jax.tree.map(np.testing.assert_array_equal, whole, again)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--methods", "rl"), "rl needs reward"),
        (("--methods", "dpo"), "dpo needs responses"),
        (("--policy", "nowhere"), "nowhere has no config.json"),
        (("--evaluation.num-prompts", "51"), "the test split has 50"),
        (("--lora.rank", "0"), "rank"),
        (("--settings.online-ipo.tau", "1"), "online_ipo is not among the --methods"),
    ],
)
def test_bad_settings_are_named_before_anything_is_done(
    arguments, tmp_path, more, named
):
    assert named in instruct.command(arguments(tmp_path / "run", *more))
    assert not list((tmp_path / "run").glob("*"))


def test_whole_policies_are_trained_at_a_rate_for_them_in_a_folder_of_their_own():
    adapted = configs.Config()
    whole = configs.whole(adapted)
    assert adapted.lora.rank == 8 and whole.lora.rank is None
    adapters_rate, whole_rate = (
        own.settings["online_ipo"].learning_rate for own in (adapted, whole)
    )
    assert adapters_rate > 10 * whole_rate
    assert adapted.output != whole.output
