"""A comparison of policies and files of answers from the command line."""

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
from nashalign import data, evaluation, policies, preferences
from nashalign.cli import contestants
from nashalign.policies import lora
from tests.tiny_task import write_policy

NUMBER = 12

JUDGE = '''
"""Likes letters of the first half of the alphabet, and what it is shown first."""

import pathlib

ASKED = pathlib.Path(__file__).with_name("asked.txt")
LIMIT = pathlib.Path(__file__).with_name("limit.txt")


def good(text):
    return sum(c in "abcdefghijklm" for c in text)


def prefer(prompt, y, z):
    with ASKED.open("a") as file:
        file.write(repr((prompt, y, z)) + "\\n")
    if LIMIT.exists() and len(ASKED.read_text().splitlines()) > int(LIMIT.read_text()):
        raise RuntimeError("the judge has gone home")
    return 0.55 + 0.4 * ((good(y) > good(z)) - (good(y) < good(z)))


def first(prompt, y, z):
    return 1.0


def score(prompt, y):
    return float(good(y))
'''


@pytest.fixture(scope="module")
def files(tmp_path_factory, policy):
    """Prompts, a judge, two policies of different tokenizers and a file of answers."""
    folder = tmp_path_factory.mktemp("contest")
    (folder / "judge.py").write_text(JUDGE)
    other = write_policy(
        folder / "other", ["a quick brown fox jumps"] * 4, vocabulary=300, context=64
    )
    (folder / "plain").symlink_to(policy)
    (folder / "fox").symlink_to(other)
    write(folder / "prompts.jsonl", [{"prompt": own, "of": own[-1]} for own in PROMPTS])
    answers = [
        {"prompt": own, "responses": [f"cab <b>{own[-1]}</b>\n\nand *more*", "second"]}
        for own in reversed(PROMPTS)
    ]
    write(folder / "people.jsonl", answers)
    return folder


PROMPTS = [f"round {number}" for number in range(NUMBER)]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def compare(files, output, *more, who=("plain", "fox", "people.jsonl"), judge="prefer"):
    command = ["compare", *(str(files / own) for own in who)]
    command += ["--prompts", str(files / "prompts.jsonl"), "--output", str(output)]
    command += ["--annotator", f"{files}/judge.py:{judge}"]
    return commands.main([*command, "--text.response-length", "5", *more])


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "whole"
    who = (str(files / own) for own in ("plain", "fox", "people.jsonl"))
    command = ["compare", *who, "--prompts", str(files / "prompts.jsonl")]
    command += ["--annotator", f"{files}/judge.py:prefer", "--output", str(output)]
    command += ["--text.response-length", "5", "--cluster", "of"]
    assert commands.main(command) == 0
    return output, command


def test_policies_of_different_tokenizers_meet_a_file_of_answers(finished, files):
    output, _ = finished
    lines = read(output / "results/responses.jsonl")
    assert [line["prompt"] for line in lines] == PROMPTS
    assert all(set(line["responses"]) == {"plain", "fox", "people"} for line in lines)
    given = {line["prompt"]: line["responses"] for line in read(files / "people.jsonl")}
    for line in lines:
        assert line["responses"]["people"] == given[line["prompt"]][:1]
    for name in ("plain", "fox"):
        kept = read(output / "answers" / f"{name}.jsonl")
        assert {line["prompt"]: line["responses"] for line in kept} == {
            line["prompt"]: line["responses"][name] for line in lines
        }


def test_the_policy_answers_as_generate_writes(finished, files, tmp_path):
    answers = tmp_path / "answers.jsonl"
    given = ["--policy", str(files / "fox"), "--text.response-length", "5"]
    given += ["--prompts", str(files / "prompts.jsonl"), "--output", str(answers)]
    fox = contestants.Contestant("fox", files / "fox")
    given += ["--seed", str(fox.seed(0))]
    assert commands.main(["generate", *given]) == 0
    kept = {
        line["prompt"]: line["responses"]
        for line in read(finished[0] / "answers/fox.jsonl")
    }
    assert {line["prompt"]: line["responses"] for line in read(answers)} == kept


def test_win_rates_are_the_mean_of_both_orders(finished):
    names, found = evaluation.read_win_rate_csv(finished[0] / "results/win_rates.csv")
    assert names == ["plain", "fox", "people"]

    def good(text):
        return sum(c in "abcdefghijklm" for c in text)

    expected = np.zeros((3, 3))
    for line in read(finished[0] / "results/responses.jsonl"):
        scores = np.array([good(line["responses"][name][0]) for name in names])
        expected += 0.5 + 0.4 * np.sign(scores[:, None] - scores[None, :])
    # Equal texts tie, and the liking for the first place is gone from the mean.
    np.testing.assert_allclose(found.mean, expected / NUMBER)
    arrays = np.load(finished[0] / "results/preferences.npz")
    assert sorted(set(arrays["clusters"])) == sorted({own[-1] for own in PROMPTS})
    np.testing.assert_allclose(arrays["exact"].mean(0), expected / NUMBER, atol=1e-6)
    matrix = evaluation.win_rate_matrix(
        arrays["exact"], clusters=arrays["clusters"].tolist()
    )
    np.testing.assert_allclose(found.half_width, matrix.half_width, atol=1e-6)


def test_tables_say_ratings_the_game_and_how_the_judge_was_asked(finished):
    results = finished[0] / "results"
    summary = (results / "summary.md").read_text()
    for heading in ("rating", "characters", "length-controlled", "Nash", "unbeaten"):
        assert f" {heading} |" in summary.splitlines()[0]
    assert "12 prompts of 10 clusters; asked in both orders" in summary
    assert "answers of plain" in summary
    game = json.loads((results / "game.json").read_text())
    assert set(game["winner"]) == {"plain", "fox", "people"}
    assert "of the bootstrap draws" in (results / "game.md").read_text()
    for name in ("win_rates.png", "ratings.png", "summary.csv", "samples.md"):
        assert (results / name).stat().st_size


def test_the_page_shows_every_answer_and_escapes_it(finished):
    page = (finished[0] / "results/samples.html").read_text()
    assert "cab &lt;b&gt;0&lt;/b&gt;\n\nand *more*" in page
    assert "<b>0</b>" not in page and "beats plain" in page
    assert page.count("<article") == 3 * 10


def test_a_finished_comparison_is_left_alone(finished, files, capsys):
    asked = (files / "asked.txt").read_text()
    assert commands.main(finished[1]) == 0
    assert "finished" in capsys.readouterr().out
    assert (files / "asked.txt").read_text() == asked


def test_a_comparison_that_was_broken_off_asks_nobody_twice(finished, files, tmp_path):
    output = tmp_path / "broken"
    command = list(finished[1])
    command[command.index("--output") + 1] = str(output)
    (files / "asked.txt").unlink()
    (files / "limit.txt").write_text("30")
    try:
        with pytest.raises(RuntimeError, match="gone home"):
            commands.main(command)
    finally:
        (files / "limit.txt").unlink()
    # The file of a policy that was killed while it wrote: whole lines, and half a one.
    kept = output / "answers/fox.jsonl"
    whole = kept.read_bytes()
    lines = whole.splitlines(keepends=True)
    before = [json.loads(line) | {"responses": ["kept"]} for line in lines[:2]]
    torn = "".join(json.dumps(line) + "\n" for line in before).encode()
    kept.write_bytes(torn + lines[2][: len(lines[2]) // 2])
    assert commands.main(command) == 0
    # What was whole was not drawn again, and the rest is what would have been drawn.
    assert kept.read_bytes() == torn + b"".join(lines[2:])
    kept.write_bytes(whole)
    asked = (files / "asked.txt").read_text().splitlines()
    answered = asked[:30] + asked[31:]
    assert len(set(answered)) == len(answered)


@pytest.mark.full
def test_a_comparison_that_was_killed_ends_as_an_unbroken_one(
    finished, files, tmp_path
):
    output = tmp_path / "killed"
    command = list(finished[1])
    command[command.index("--output") + 1] = str(output)
    process = subprocess.Popen(
        [sys.executable, "-m", "nashalign", *command],
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"},
        cwd=pathlib.Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    begun, deadline = output / "answers/plain.jsonl", time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if begun.exists() and begun.stat().st_size:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.01)
    assert not (output / "finished.json").exists()
    assert commands.main(command) == 0
    for name in ("win_rates.csv", "summary.csv", "game.json", "responses.jsonl"):
        whole = (finished[0] / "results" / name).read_bytes()
        assert (output / "results" / name).read_bytes() == whole, name


def test_a_policy_that_meets_itself_draws_other_answers(files, policy, tmp_path):
    who = (f"one={policy}", f"two={policy}")
    command = ["compare", *who, "--prompts", str(files / "prompts.jsonl")]
    command += ["--output", str(tmp_path / "out"), "--text.response-length", "5"]
    assert commands.main([*command, "--annotator", f"{files}/judge.py:score"]) == 0
    lines = read(tmp_path / "out/results/responses.jsonl")
    same = [own["responses"]["one"] == own["responses"]["two"] for own in lines]
    assert np.mean(same) < 0.3


@pytest.mark.slow
def test_adapters_meet_their_own_base(files, policy, tmp_path):
    start = policies.load_pretrained(policy)
    own = policies.Lora(rank=2, alpha=64.0)
    params = policies.adapt(start, own, jax.random.key(0)).params
    moved = jax.tree.map(lambda x: x + 0.5, lora.trained(params))
    folder = tmp_path / "adapted"
    policies.save_adapters(
        folder, lora.join(params, moved), start.config, own, base=policy
    )
    who = (f"tuned={folder}", f"base={policy}")
    output = tmp_path / "out"
    command = ["compare", *who, "--prompts", str(files / "prompts.jsonl")]
    command += ["--output", str(output), "--annotator", f"{files}/judge.py:score"]
    assert commands.main([*command, "--text.response-length", "5"]) == 0
    lines = read(output / "results/responses.jsonl")
    assert all(set(line["responses"]) == {"tuned", "base"} for line in lines)
    assert any(len(set(map(str, own["responses"].values()))) > 1 for own in lines)


def test_a_judge_that_looks_at_the_place_alone_finds_everyone_equal(
    files, tmp_path, capsys
):
    both, one = tmp_path / "both", tmp_path / "one"
    who = ("people.jsonl", "others.jsonl")
    answers = [{"prompt": own, "responses": [f"{own}!"]} for own in PROMPTS]
    write(files / "others.jsonl", answers)
    assert compare(files, both, who=who, judge="first") == 0
    _, found = evaluation.read_win_rate_csv(both / "results/win_rates.csv")
    np.testing.assert_array_equal(found.mean, 0.5)
    assert "with probability 1.000" in (both / "results/summary.md").read_text()
    assert compare(files, one, "--no-both-orders", who=who, judge="first") == 0
    _, found = evaluation.read_win_rate_csv(one / "results/win_rates.csv")
    assert found.mean[0, 1] == 1.0
    summary = (one / "results/summary.md").read_text()
    assert "both orders" not in summary
    # The answers of one are always the longer ones.
    assert "length and policy can hardly be told apart, of others." in summary
    # Who always wins has no finite rating, which is said and mended.
    assert "1 tie is added to each pair" in summary


def test_rewards_are_asked_once_and_several_answers_are_averaged(files, tmp_path):
    who = ("people.jsonl", "twice.jsonl")
    answers = [{"prompt": own, "responses": ["xyz", "aaaa", "left"]} for own in PROMPTS]
    write(files / "twice.jsonl", answers)
    given = ("--num-responses", "2", "--baseline", "twice")
    assert compare(files, tmp_path / "out", *given, who=who, judge="score") == 0
    _, found = evaluation.read_win_rate_csv(tmp_path / "out/results/win_rates.csv")
    # "cab <b>0</b> ... and *more*" has 9 such letters to 0; "second" has 3 to 4.
    expected = (1 / (1 + np.exp(-9)) + 1 / (1 + np.exp(1))) / 2
    assert found.mean[0, 1] == pytest.approx(expected)
    summary = (tmp_path / "out/results/summary.md").read_text()
    assert "answers of twice" in summary and "2 answers each" in summary


def test_a_learned_judge_reads_texts_with_its_own_tokenizer(files, policy, tmp_path):
    judge = tmp_path / "judge"
    start = policies.load_pretrained(policy)
    params = preferences.init_params(jax.random.key(1), start.policy, start.params)
    params["head"] = params["head"] * 40
    tokenizer = data.load_tokenizer(policy)
    model = preferences.PairwiseModel(
        params=params, policy=start.policy, eos_id=tokenizer.closing_id
    )
    preferences.save_judge(judge, model, start.config, policy)
    short = [{"prompt": own, "responses": [own[-2:]]} for own in PROMPTS]
    write(files / "short.jsonl", short)
    write(files / "long.jsonl", [own | {"responses": ["rock!"]} for own in short])
    output = tmp_path / "out"
    command = ["compare", str(files / "short.jsonl"), str(files / "long.jsonl")]
    command += ["--prompts", str(files / "prompts.jsonl"), "--output", str(output)]
    assert commands.main([*command, "--annotator", str(judge)]) == 0
    _, found = evaluation.read_win_rate_csv(output / "results/win_rates.csv")
    ids = data.prompt_ids(tokenizer, PROMPTS, length=20)
    prompts = data.pad_prompts(ids.tokens, ids.ids, length=20, pad_id=tokenizer.pad_id)
    y, z = (
        data.encode_responses(tokenizer, [[text] for text in own], length=12)
        for own in ([own[-2:] for own in PROMPTS], ["rock!"] * NUMBER)
    )
    expected = np.asarray(model.prefer(None, prompts, y, z)).mean()
    assert abs(expected - 0.5) > 1e-3
    assert found.mean[0, 1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_language_model_judges_in_both_orders(files, policy, tmp_path):
    template, output = tmp_path / "own.txt", tmp_path / "out"
    template.write_text("answers: 1 2\n\n{context}|{first}|{second}\n1 or 2?\n")
    command = ["compare", *(str(files / own) for own in ("people.jsonl", "more.jsonl"))]
    lines = read(files / "people.jsonl")
    for line in lines:
        line["responses"] = ["dab", "third"]
    write(files / "more.jsonl", lines)
    command += ["--prompts", str(files / "prompts.jsonl"), "--output", str(output)]
    command += ["--judge.template", str(template), "--judge.folder", str(policy)]
    assert commands.main(command) == 0
    assert "**more**" in (output / "results" / "win_rates.md").read_text()
    kept = (output / "judge.jsonl").read_text().splitlines()
    # Both orders of each of the prompts' pairs, once.
    assert json.loads(kept[-1])["questions"] == 2 * NUMBER


def test_an_ensemble_of_learned_judges_is_asked_as_one(files, policy, tmp_path):
    start = policies.load_pretrained(policy)
    ends = data.load_tokenizer(policy).closing_id
    judges = [
        preferences.RewardModel(
            params=preferences.init_params(
                jax.random.key(seed), start.policy, start.params
            ),
            policy=start.policy,
            eos_id=ends,
        )
        for seed in range(2)
    ]
    write(
        files / "words.jsonl", [{"prompt": p, "responses": ["rock"]} for p in PROMPTS]
    )
    for combine in ("mean", "worst_case"):
        judge, output = tmp_path / combine, tmp_path / f"{combine}_out"
        preferences.save_ensemble(judge, judges, combine, start.config, policy)
        command = ["compare", str(files / "people.jsonl"), str(files / "words.jsonl")]
        command += ["--prompts", str(files / "prompts.jsonl"), "--output", str(output)]
        assert commands.main([*command, "--annotator", str(judge)]) == 0
        _, found = evaluation.read_win_rate_csv(output / "results/win_rates.csv")
        assert 0 < found.mean[0, 1] < 1 and found.mean[0, 1] != 0.5


def missing(files):
    lines = read(files / "people.jsonl")
    write(files / "missing.jsonl", [own for own in lines if own["prompt"] != "round 7"])
    return files / "missing.jsonl"


def test_a_prompt_that_a_file_lacks_is_refused_before_anything_is_sampled(
    files, tmp_path
):
    missing(files)
    who = ("plain", "missing.jsonl")
    said = compare(files, tmp_path / "out", who=who)
    assert "missing.jsonl has 0 answers to prompt 8 of 12, 'round 7'" in said
    assert not (tmp_path / "out").exists()
    few = compare(
        files, tmp_path / "out", "--num-responses", "3", who=("plain", "people.jsonl")
    )
    assert "people.jsonl has 2 answers to prompt 1 of 12, 'round 0', and 3" in few


@pytest.mark.parametrize(
    "line, said",
    [
        ({"prompt": "round 1"}, "line 1: `responses` is missing"),
        ({"prompt": "round 1", "responses": "text"}, "`responses` is 'text'"),
        ({"prompt": "round 1", "responses": [1]}, r"`responses` is [1]"),
        ({"responses": ["text"]}, "line 1: `prompt` is missing"),
    ],
)
def test_a_line_that_is_no_answer_is_refused_by_its_number(files, tmp_path, line, said):
    path = files / "wrong.jsonl"
    write(path, [line])
    found = compare(files, tmp_path / "out", who=("people.jsonl", "wrong.jsonl"))
    assert str(path) in found and said in found


@pytest.mark.parametrize(
    "more, who, said",
    [
        ((), ("people.jsonl",), "1 policies are given"),
        ((), ("people.jsonl", "people.jsonl"), "give them as NAME=PATH"),
        ((), ("people.jsonl", "nothing"), "nothing is not there"),
        ((), ("people.jsonl", ""), "without a config.json"),
        (("--baseline", "him"), ("people.jsonl", "plain"), "--baseline is 'him'"),
        (("--cluster", "who"), ("people.jsonl", "plain"), "--cluster is 'who'"),
        (("--temperature", "-1"), ("people.jsonl", "plain"), "--temperature is -1.0"),
        (("--num-samples", "0"), ("people.jsonl", "plain"), "--num-samples is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(files, tmp_path, more, who, said):
    found = compare(files, tmp_path / "out", *more, who=who)
    assert found.startswith("error: ") and said in found
    assert not (tmp_path / "out").exists()


def test_names_are_those_of_files_and_stand_before_the_equals_sign(files, tmp_path):
    own = str(files / "people.jsonl")
    assert [c.name for c in contestants.parse([own, f"them={own}"])] == [
        "people",
        "them",
    ]
    strange = files / "a=b.jsonl"
    write(strange, [])
    assert contestants.parse([own, str(strange)])[1].name == "a=b"
    for name in ("", ".hidden"):
        with pytest.raises(ValueError, match="cannot be that of a file"):
            contestants.parse([own, f"{name}={pathlib.Path(own)}"])


def test_an_annotator_that_is_neither_is_refused(files, tmp_path):
    command = ["compare", str(files / "people.jsonl"), f"b={files / 'people.jsonl'}"]
    command += ["--prompts", str(files / "prompts.jsonl")]
    command += ["--output", str(tmp_path / "out"), "--annotator", "nobody"]
    assert "--annotator is 'nobody'" in commands.main(command)
