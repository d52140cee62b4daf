"""Alignment of one's own policy, prompts, annotator and row from the command line."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from nashalign import __main__ as commands
from nashalign import data, policies, preferences, training
from nashalign.policies import lora
from tests import tiny_t5
from tests.cli.conftest import TURNS
from tests.tiny_task import write_policy

JUDGE = '''
"""Likes what has many letters of the first half of the alphabet."""

asked = []


def prefer(prompt, y, z):
    own, other = (sum(c in "abcdefghijklm" for c in text) for text in (y, z))
    return 0.5 + 0.4 * ((own > other) - (own < other))


def score(prompt, y):
    return float(sum(c in "abcdefghijklm" for c in y))


def broken(prompt, y, z):
    return 7.0
'''

ROW = """
from nashalign import algorithms, losses

OWN = algorithms.Row(
    name="own_row",
    title="a row of one's own",
    paper="none",
    settings=(
        algorithms.Setting(
            name="tau",
            meaning="strength of the regularisation",
            range=algorithms.settings.POSITIVE,
            default=0.3,
        ),
    ),
    method=algorithms.Method(
        members=algorithms.draw(algorithms.authors.policy, 2),
        annotation="preference",
        loss=algorithms.objectives.contrastive(losses.ipo),
    ),
)
NUMBER = 3
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "judge.py").write_text(JUDGE)
    (folder / "row.py").write_text(ROW)
    return folder


@pytest.fixture(scope="module")
def arguments(policy, prompts, files):
    def given(output, method, *more, judge="prefer"):
        own = ["--policy", str(policy), "--prompts", str(prompts)]
        if judge:
            own += ["--annotator", f"{files}/judge.py:{judge}"]
        own += ["--method", method, "--output", str(output)]
        own += ["--training.batch-size", "8", "--training.num-steps", "4"]
        own += ["--training.save-every", "2", "--training.evaluate-every", "2"]
        own += ["--text.response-length", "5", "--evaluation.num-prompts", "4"]
        own += ["--splits.test", "0.2", "--splits.validation", "0.2"]
        own += ["--data-set.num-prompts", "8", "--data-set.num-responses", "2"]
        return [*own, "--evaluation.num-validation-prompts", "4", *more]

    return given


def align(arguments):
    return commands.main(["align", *arguments])


@pytest.fixture(scope="module")
def finished(arguments, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert align(arguments(output, "nash_md_pg")) == 0
    return output


def params(folder):
    found = policies.load_pretrained(folder).params
    return np.concatenate([np.ravel(x) for x in leaves(found)])


def leaves(tree):
    return jax.tree.leaves(tree)


SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 48,
}


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("more", [(), ("--lora.rank", "2")], ids=["whole", "adapters"])
@pytest.mark.parametrize(
    "own",
    [
        policies.Gemma2Config(vocab_size=280, windows=(4, None), **SIZES),
        policies.GPT2Config(vocab_size=280, **SIZES),
        policies.GPTNeoXConfig(vocab_size=280, **SIZES),
        policies.Gemma3Config(vocab_size=280, windows=(4, None), **SIZES),
        policies.MistralConfig(vocab_size=280, window=4, **SIZES),
        policies.Olmo2Config(vocab_size=280, **SIZES),
        policies.Phi3Config(vocab_size=280, window=4, **SIZES),
        policies.Qwen2Config(vocab_size=280, windows=(None, 4), **SIZES),
        policies.Qwen3Config(vocab_size=280, tie_word_embeddings=True, **SIZES),
        policies.SmolLM3Config(vocab_size=280, turns=(True, False), **SIZES),
    ],
    ids=lambda own: type(own).__name__,
)
def test_a_folder_of_each_family_is_aligned_resumed_and_taken_away(
    arguments, policy, prompts, tmp_path, own, more
):
    size = policies.load_pretrained(policy).config.vocab_size
    own = dataclasses.replace(own, vocab_size=size)
    start, output = tmp_path / "start", tmp_path / "run"
    first = policies.family_of(own).build(own).init(jax.random.key(0))
    policies.save_pretrained(start, first, own, tokenizer_folder=policy)
    (start / "chat_template.jinja").write_text(TURNS)
    given = ("--policy", str(start), "--text.chat", *more)
    constant = ("--training.schedule", "constant", "--training.num-steps")
    for steps in ("1", "2"):
        assert align(arguments(output, "ipo_md", *given, *constant, steps)) == 0
    after = policies.load_pretrained(output / "policy")
    assert after.config == own
    assert (after.lora is None) == (not more)
    if more:
        assert max(np.abs(leaf).max() for leaf in leaves(lora.trained(after.params)))
    else:
        assert (params(output / "policy") != params(start)).any()
    answers = tmp_path / "answers.jsonl"
    given = [
        "--policy",
        str(output / "policy"),
        "--prompts",
        str(prompts),
        "--text.chat",
    ]
    given += ["--text.response-length", "5", "--temperature", "0"]
    assert commands.main(["generate", *given, "--output", str(answers)]) == 0
    line = json.loads(answers.read_text().splitlines()[0])
    if importlib.util.find_spec("transformers") is not None:
        expected = live_answer(output / "policy", start, line["prompt"], more)
        assert line["responses"] == [expected]


def live_answer(folder, base, text, adapters):
    """What transformers answers greedily, of at most five tokens, with PEFT's help."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base if adapters else folder, dtype=torch.float32
    )
    if adapters:
        peft = pytest.importorskip("peft")
        model = peft.PeftModel.from_pretrained(model, folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}],
        add_generation_prompt=True,
        return_tensors="pt",
    )["input_ids"]
    ends = data.load_tokenizer(folder).eos_id
    written = model.generate(
        input_ids=ids, do_sample=False, max_new_tokens=5, eos_token_id=list(ends)
    )
    return tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)


@pytest.fixture(scope="module")
def aligned_t5(arguments, tmp_path_factory):
    """The folders of an encoder-decoder before and after two updates of a row."""
    folder = tmp_path_factory.mktemp("t5")
    start, output = tiny_t5.write_policy(folder), folder / "run"
    given = ("--policy", str(start), "--training.num-steps", "2", "--text.slots", "4")
    assert align(arguments(output, "ipo_md", *given)) == 0
    return start, output / "policy"


@pytest.mark.full
def test_an_encoder_decoder_is_aligned_and_taken_away(aligned_t5):
    start, end = map(policies.load_pretrained, aligned_t5)
    assert end.config == start.config
    moved = jax.tree.map(lambda x, y: (x != y).any(), start.params, end.params)
    assert all(jax.tree.leaves(moved))


@pytest.mark.full
@pytest.mark.filterwarnings("default")
def test_an_encoder_decoder_writes_the_text_that_transformers_does(
    aligned_t5, prompts, tmp_path
):
    own, text = aligned_t5[1], "round 0: "
    expected = live_text(own, text)
    answers = tmp_path / "answers.jsonl"
    given = ["--policy", str(own), "--prompts", str(prompts), "--output", str(answers)]
    given += ["--text.response-length", "5", "--temperature", "0"]
    assert commands.main(["generate", *given]) == 0
    line = json.loads(answers.read_text().splitlines()[0])
    assert (line["prompt"], line["responses"]) == (text, [expected])


def live_text(folder, text):
    """What transformers answers greedily, of at most five tokens."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        folder, dtype=torch.float32
    )
    given = tokenizer(text, return_tensors="pt")
    written = model.generate(**given, do_sample=False, max_new_tokens=5)
    return tokenizer.decode(written[0], skip_special_tokens=True)


LORA = ("--lora.rank", "2", "--lora.alpha", "8", "--training.schedule", "constant")


@pytest.fixture(scope="module")
def adapted(arguments, tmp_path_factory):
    """A run of adapters, given its last two updates when it had been finished."""
    output = tmp_path_factory.mktemp("runs") / "adapted"
    first = arguments(output, "ipo_md", *LORA, "--training.num-steps", "2")
    assert align(first) == 0
    assert align(arguments(output, "ipo_md", *LORA)) == 0
    return output


@pytest.mark.slow
def test_adapters_alone_are_trained_kept_and_taken_away(adapted, policy):
    names = {path.name for path in (adapted / "policy").iterdir()}
    assert "adapter_config.json" in names and "config.json" not in names
    found = policies.load_pretrained(adapted / "policy")
    start = policies.load_pretrained(policy)
    jax.tree.map(np.testing.assert_array_equal, lora.base(found.params), start.params)
    last = leaves(lora.trained(found.params))
    assert max(np.abs(leaf).max() for leaf in last) > 0
    assert found.lora.rank == 2 and found.lora.alpha == 8
    steps = sorted((adapted / "run/checkpoints").iterdir())
    kept = json.loads((steps[-1] / "contents.json").read_text())["contents"]["leaves"]
    params = [name for name in kept if name.startswith(("players", "frozen", "opt"))]
    assert len(params) > 2 * len(last)
    counts = [name for name in params if "lora" not in name]
    assert all(kept[name] == "int32[]" for name in counts)


@pytest.mark.full
def test_an_extended_run_of_adapters_has_the_bits_of_an_unbroken_one(
    adapted, arguments, tmp_path
):
    assert align(arguments(tmp_path / "whole", "ipo_md", *LORA)) == 0
    np.testing.assert_array_equal(
        params(adapted / "policy"), params(tmp_path / "whole/policy")
    )


@pytest.mark.full
def test_adapters_are_merged_on_request_and_can_be_trained_further(
    adapted, arguments, tmp_path
):
    merge = (*LORA, "--lora.merge")
    assert align(arguments(tmp_path / "merged", "ipo_md", *merge)) == 0
    whole = policies.load_pretrained(tmp_path / "merged/policy")
    assert whole.lora is None
    found = policies.load_pretrained(adapted / "policy")
    tokens = np.arange(12).reshape(2, 6)
    ones = np.ones_like(tokens, bool)
    np.testing.assert_allclose(
        whole.policy.apply(whole.params, tokens, ones),
        found.policy.apply(found.params, tokens, ones),
        atol=1e-4,
    )
    again = ("--policy", str(adapted / "policy"))
    assert align(arguments(tmp_path / "again", "ipo_md", *again)) == 0
    assert (params(tmp_path / "again/policy") != params(adapted / "policy")).any()
    both = align(arguments(tmp_path / "both", "ipo_md", *again, *LORA))
    assert "already" in both


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(finished):
    for name in (
        "policy/model.safetensors",
        "policy/tokenizer.json",
        "run/best/model.safetensors",
        "run/best.json",
        "run/metrics.jsonl",
        "run/rollouts.jsonl",
        "run/tensorboard",
        "results/win_rates.csv",
        "results/summary.md",
        "results/samples.html",
        "answers.sqlite",
        "finished.json",
    ):
        assert (finished / name).exists(), name


@pytest.mark.slow
def test_rollouts_show_the_prompt_with_its_own_fields(finished):
    line = json.loads((finished / "run/rollouts.jsonl").read_text().splitlines()[0])
    assert line["prompt"] == f"round {line['number']}: "
    assert len(line["responses"]) == 2 and len(line["preference"]) == 2


@pytest.mark.slow
def test_the_best_policy_is_the_one_with_the_highest_win_rate(finished):
    log = training.read_log(finished / "run/metrics.jsonl")
    looks = {line["step"]: line["win_rate"] for line in log if "win_rate" in line}
    assert set(looks) == {0, 2, 4}
    best = json.loads((finished / "run/best.json").read_text())
    assert best["win_rate"] == max(looks.values())
    assert looks[best["step"]] == best["win_rate"]
    if best["step"] == 4:
        same = params(finished / "run/best") == params(finished / "policy")
        assert same.all()


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_bits_of_an_unbroken_one(
    finished, arguments, tmp_path
):
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "nashalign", "align"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    process = subprocess.Popen(
        [*command, *arguments(output, "nash_md_pg")],
        env=environment,
        cwd=pathlib.Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    saved = output / "run" / "checkpoints"
    deadline = time.monotonic() + 400
    while process.poll() is None and time.monotonic() < deadline:
        if list(saved.glob("2*")):
            process.send_signal(signal.SIGKILL)
        time.sleep(0.05)
    assert not (output / "finished.json").exists()
    assert align(arguments(output, "nash_md_pg")) == 0
    np.testing.assert_array_equal(
        params(output / "policy"), params(finished / "policy")
    )
    drop = ("time", "seconds")
    logs = [
        [
            {k: v for k, v in line.items() if k not in drop}
            for line in training.read_log(folder / "run/metrics.jsonl")
        ]
        for folder in (output, finished)
    ]
    assert logs[0] == logs[1]


@pytest.mark.full
def test_a_finished_run_is_left_alone_and_goes_on_with_more_steps(
    finished, arguments, tmp_path, capsys
):
    before = params(finished / "policy")
    assert align(arguments(finished, "nash_md_pg")) == 0
    assert "finished" in capsys.readouterr().out
    constant = ("--training.schedule", "constant")
    output = tmp_path / "longer"
    assert align(arguments(output, "nash_md_pg", *constant)) == 0
    more = (*constant, "--training.num-steps", "6")
    assert align(arguments(output, "nash_md_pg", *more)) == 0
    whole = tmp_path / "whole"
    assert align(arguments(whole, "nash_md_pg", *more)) == 0
    np.testing.assert_array_equal(params(output / "policy"), params(whole / "policy"))
    assert (params(output / "policy") != before).any()
    fewer = align(arguments(output, "nash_md_pg", *constant))
    assert "training.num_steps: 6 -> 4" in fewer


@pytest.mark.full
def test_a_budget_of_kl_ends_training_and_a_larger_one_goes_on(arguments, tmp_path):
    more = ("--settings.learning-rate", "0.3")
    tight = arguments(tmp_path, "online_ipo", *more, "--training.kl-budget", "1e-4")
    assert align(tight) == 0
    record = json.loads((tmp_path / "finished.json").read_text())
    assert record["num_steps"] == 2
    loose = arguments(tmp_path, "online_ipo", *more, "--training.kl-budget", "1e4")
    assert align(loose) == 0
    record = json.loads((tmp_path / "finished.json").read_text())
    assert record["num_steps"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "judge", ["prefer", pytest.param(None, marks=pytest.mark.full)]
)
def test_pairs_of_the_prompts_are_learnt_from(arguments, tmp_path, judge):
    assert align(arguments(tmp_path, "dpo", judge=judge)) == 0
    log = training.read_log(tmp_path / "run/metrics.jsonl")
    assert ("win_rate" in log[-1]) == (judge is not None) and "kl" in log[-1]
    line = json.loads((tmp_path / "run/rollouts.jsonl").read_text().splitlines()[0])
    assert [text.strip() for text in line["responses"]] == ["rock", "none"]
    assert line["preference"] == [[0.5, 1.0], [0.0, 0.5]]


@pytest.mark.slow
def test_without_pairs_the_start_policy_writes_them_once(
    arguments, files, tmp_path, prompts
):
    bare = tmp_path / "bare.jsonl"
    lines = [json.loads(line) for line in prompts.read_text().splitlines()]
    bare.write_text("".join(json.dumps({"prompt": x["prompt"]}) + "\n" for x in lines))
    output = tmp_path / "run"
    command = arguments(output, "ipo", "--prompts", str(bare))
    assert align(command) == 0
    line = json.loads((output / "run/rollouts.jsonl").read_text().splitlines()[0])
    assert line["preference"][0][1] in (
        pytest.approx(0.1),
        pytest.approx(0.5),
        pytest.approx(0.9),
    )
    assert (output / "data_set/examples.npz").exists()


@pytest.mark.slow
def test_a_row_of_ones_own_is_shown_configured_and_trained(
    arguments, files, tmp_path, capsys
):
    with pytest.raises(SystemExit):
        align(["--method", f"{files}/row.py:OWN", "--help"])
    assert "--settings.tau" in capsys.readouterr().out
    more = ("--settings.tau", "0.5")
    assert align(arguments(tmp_path, f"{files}/row.py:OWN", *more)) == 0
    summary = (tmp_path / "results/summary.md").read_text()
    assert "own_row" in summary and "a row of one's own" in summary


@pytest.mark.slow
def test_a_policy_that_is_shared_out_is_read_in_shares(
    arguments, finished, tmp_path, monkeypatch
):
    seen, original = [], policies.load_pretrained

    def load(folder, shardings=None, **others):
        seen.append(original(folder, shardings, **others))
        return seen[-1]

    monkeypatch.setattr(policies, "load_pretrained", load)
    assert align(arguments(tmp_path, "nash_md_pg", "--mesh.fsdp", "4")) == 0
    kernel = seen[0].params["layers"]["up_proj"]["kernel"]
    assert kernel.sharding.shard_shape(kernel.shape) != kernel.shape
    shares = (tmp_path / "policy", finished / "policy")
    np.testing.assert_allclose(*map(params, shares), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_learned_judge_is_an_annotator(arguments, policy, tmp_path):
    start = policies.load_pretrained(policy)
    import jax

    judge = preferences.PairwiseModel(
        params=preferences.init_params(jax.random.key(1), start.policy, start.params),
        policy=start.policy,
        eos_id=2,
    )
    preferences.save_judge(tmp_path / "judge", judge, start.config, policy)
    more = ("--annotator", str(tmp_path / "judge"))
    assert align(arguments(tmp_path / "run", "online_dpo", *more, judge=None)) == 0
    assert (tmp_path / "run/results/win_rates.csv").exists()


@pytest.mark.slow
def test_a_policy_that_judges_itself_needs_nobody_else(arguments, prompts, tmp_path):
    question = preferences.llm.load_template("additive")
    own = write_policy(tmp_path, [question.text] * 4, vocabulary=700, context=384)
    given = ("--policy", str(own), "--settings.num-prompts", "24")
    given = arguments(tmp_path / "run", "self_rewarding", *given, judge=None)
    assert align(given) == 0
    for number in (1, 2):
        with np.load(tmp_path / f"run/run/round_{number}/examples.npz") as made:
            best, worst = made["rewards"].T
        assert len(best) and (best > worst).all() and best.max() <= 5
    assert (params(tmp_path / "run/policy") != params(own)).any()
    done = tmp_path / "run/run/round_2/metrics.jsonl"
    assert training.read_log(done)[-1]["step"] == 2
    assert not (tmp_path / "run/results").exists()


@pytest.mark.parametrize(
    "method, more, said",
    [
        ("nash_md_gp", (), "Did you mean"),
        ("rl", (), "`score`"),
        ("nash_md_pg", ("--settings.tau", "-1"), "tau must be"),
        ("nash_md_pg", ("--training.batch-size", "400"), "--training.batch-size asks"),
        ("nash_md_pg", ("--training.batch-size", "9"), "8 devices"),
        ("nash_md_pg", ("--training.pieces", "2"), "--training.pieces is 2"),
        ("egpo", ("--training.ahead",), "--training.ahead: "),
        ("nash_md_pg", ("--splits.test", "0"), "--splits.test"),
        ("nash_md_pg", ("--text.prompt-length", "44"), "lower one"),
        ("conditional", (), "`levels`"),
        ("self_rewarding", (), "exceed the 48 of the context"),
        ("optune", (), "`score`"),
        ("nash_md_pg", ("--seed", "-1"), "--seed is -1"),
        ("nash_md_pg", ("--mesh.devices", "99"), "--mesh.devices is 99"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    arguments, tmp_path, method, more, said
):
    message = align(arguments(tmp_path / "run", method, *more))
    assert str(message).startswith("error: ") and said in message
    assert not (tmp_path / "run" / "run").exists()


@pytest.mark.parametrize(
    "option, value, said",
    [
        ("--annotator", "nowhere.py:prefer", "nowhere.py"),
        ("--annotator", "{files}/judge.py:perfer", "did you mean prefer"),
        ("--annotator", "{files}", "no judge"),
        ("--annotator", "{files}/judge.py:broken", "7.0"),
        ("--method", "{files}/row.py:OWM", "OWN"),
        ("--method", "{files}/row.py:NUMBER", "not a Row"),
        ("--prompts", "nowhere.jsonl", "nowhere.jsonl"),
    ],
)
def test_a_file_that_is_wrong_is_named(arguments, files, tmp_path, option, value, said):
    more = (option, value.format(files=files))
    message = align(arguments(tmp_path / "run", "online_ipo", *more))
    assert str(message).startswith("error: ") and said in message


@pytest.mark.slow
def test_batches_are_written_one_update_ahead(arguments, tmp_path):
    more = ("--training.ahead", "--training.num-steps", "3")
    assert align(arguments(tmp_path / "run", "online_ipo", *more)) == 0
    log = training.read_log(tmp_path / "run/run/metrics.jsonl")
    assert [own["staleness"] for own in log if own["step"]] == [0, 1, 1]
    assert any("win_rate" in own for own in log)
    assert (tmp_path / "run/policy").exists()
