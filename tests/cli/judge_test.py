"""Alignment to a language model as the judge, behind a server or local."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from nashalign import __main__ as commands
from nashalign import policies, training
from tests import judging

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("key")

TEMPLATE = "answers: 1 2\n\n{context}|{first}|{second}\n1 or 2?\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "own.txt"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture(scope="module")
def arguments(policy, prompts, template):
    def given(output, *more):
        own = ["--policy", str(policy), "--prompts", str(prompts)]
        own += ["--judge.template", str(template), "--method", "online_ipo"]
        own += ["--training.batch-size", "8", "--training.num-steps", "4"]
        own += ["--training.save-every", "2", "--training.evaluate-every", "2"]
        own += ["--text.response-length", "5", "--evaluation.num-prompts", "4"]
        own += ["--splits.test", "0.2", "--splits.validation", "0.2"]
        own += ["--evaluation.num-validation-prompts", "4", "--output", str(output)]
        return [*own, *more]

    return given


def behind(proxy, *more):
    own = ("--judge.url", proxy.url, "--judge.model", "hashed")
    return (*own, "--judge.timeout", "20", *more)


def align(arguments):
    return commands.main(["align", *arguments])


def params(folder):
    found = policies.load_pretrained(folder / "policy").params
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(found)])


def metrics(folder):
    lines = training.read_log(folder / "run/metrics.jsonl")
    drop = ("time", "seconds")
    return [{k: v for k, v in own.items() if k not in drop} for own in lines]


@pytest.fixture(scope="module")
def unbroken(arguments, tmp_path_factory):
    output = tmp_path_factory.mktemp("judged") / "whole"
    with judging.serving() as proxy:
        assert align(arguments(output, *behind(proxy))) == 0
    assert set(collections.Counter(proxy.whole).values()) == {1}
    return output, proxy


@pytest.mark.slow
def test_a_policy_is_aligned_to_a_judge_behind_a_server(unbroken):
    output, proxy = unbroken
    line = json.loads((output / "run/rollouts.jsonl").read_text().splitlines()[0])
    y, z = line["responses"][:2]
    if y != z:
        assert line["preference"][0][1] not in (0.0, 0.5, 1.0)
    assert "judge" not in json.loads((output / "config.json").read_text())
    counts = json.loads((output / "judge.jsonl").read_text().splitlines()[-1])
    assert counts["calls"] == len(proxy.seen) and counts["malformed"] == 0


@pytest.mark.slow
def test_the_key_is_in_nothing_that_is_left(unbroken):
    output, proxy = unbroken
    assert proxy.keys == {f"Bearer {judging.KEY}"}
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [own for own in files if judging.KEY.encode() in own.read_bytes()]


@pytest.mark.slow
def test_a_server_that_dies_ends_in_a_sentence_and_the_run_goes_on_from_there(
    unbroken, arguments, tmp_path
):
    whole, _ = unbroken
    limit = 60

    def dies(text, attempt):
        return "closed" if len(proxy.seen) > limit else None

    with judging.serving(fault=dies) as proxy:
        given = arguments(tmp_path, *behind(proxy, "--judge.attempts", "2"))
        ended = align(given)
        assert str(ended).startswith("error: the judge hashed at http://127.0.0.1")
        assert "broke" in ended and judging.KEY not in ended
        lines = (tmp_path / "judge.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["calls"] == len(proxy.seen)
        assert not (tmp_path / "finished.json").exists()
        limit = 10**9
        assert align(given) == 0
    assert set(collections.Counter(proxy.whole).values()) == {1}
    np.testing.assert_array_equal(params(tmp_path), params(whole))
    assert metrics(tmp_path) == metrics(whole)


@pytest.mark.full
def test_a_run_that_was_killed_in_the_middle_of_a_step_ends_with_the_same_bits(
    unbroken, arguments, tmp_path
):
    whole, before = unbroken
    reached, held = threading.Event(), threading.Event()
    # Somewhere in the third step: the second is saved, and some answers are in.
    stop = len(before.seen) * 5 // 8

    def waits(body):
        if len(proxy.seen) > stop and not held.is_set():
            reached.set()
            held.wait(120)
        return judging.hashed(body)

    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    with judging.serving(waits) as proxy:
        given = arguments(tmp_path, *behind(proxy))
        process = subprocess.Popen(
            [sys.executable, "-m", "nashalign", "align", *given],
            env=environment,
            cwd=pathlib.Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert reached.wait(400)
        time.sleep(0.5)  # what has been answered arrives
        process.send_signal(signal.SIGKILL)
        process.wait()
        at_kill = len(proxy.seen)
        held.set()
        assert 0 < at_kill and not (tmp_path / "finished.json").exists()
        assert align(given) == 0
    np.testing.assert_array_equal(params(tmp_path), params(whole))
    assert metrics(tmp_path) == metrics(whole)
    # Those that were held back had not arrived, and they alone are asked again.
    again = [own for own, n in collections.Counter(proxy.whole).items() if n > 1]
    held_back = [(text, draw) for text, draw, _ in proxy.seen[stop:at_kill]]
    assert again and set(again) == set(held_back)


@pytest.mark.slow
def test_a_policy_judges_others_where_it_stands(arguments, policy, tmp_path):
    given = ("--judge.folder", str(policy), "--training.num-steps", "1")
    assert align(arguments(tmp_path / "short", *given)) == 0
    counts = json.loads((tmp_path / "short/judge.jsonl").read_text().splitlines()[-1])
    assert counts["malformed"] == 0 and counts["questions"] > 0
    long = align(arguments(tmp_path / "long", *given, "--judge.template", "helpful"))
    assert "reads 47" in str(long) and "shorter" in str(long)


def test_a_template_of_other_words_is_another_run(unbroken, arguments, tmp_path):
    output, proxy = unbroken
    other = tmp_path / "own.txt"
    other.write_text(TEMPLATE.replace("or", "and"))
    more = behind(proxy, "--judge.template", str(other))
    assert "annotator.template" in str(align(arguments(output, *more)))
    # What does not change replies may change.
    more = behind(proxy, "--judge.workers", "2", "--judge.max-calls", "1")
    assert align(arguments(output, *more)) == 0


@pytest.mark.slow
def test_a_run_with_the_replies_of_another_asks_nothing_and_has_its_bits(
    unbroken, arguments, tmp_path, capsys
):
    whole, _ = unbroken
    with judging.serving() as proxy:
        more = behind(proxy, "--judge.cache", str(whole / "judge.sqlite"))
        assert align(arguments(tmp_path, *more)) == 0
    assert not proxy.seen
    assert "0 calls" in capsys.readouterr().out
    np.testing.assert_array_equal(params(tmp_path), params(whole))
    counts = json.loads((tmp_path / "judge.jsonl").read_text().splitlines()[-1])
    assert counts["cached"] == counts["questions"] > 0 == counts["calls"]


@pytest.mark.full
def test_a_server_rates_responses_for_rows_that_read_rewards(
    arguments, policy, tmp_path
):
    template = tmp_path / "rating.txt"
    template.write_text("answers: 1 2\n\nrate {response} to {context}\n")
    with judging.serving() as proxy:
        more = behind(proxy, "--method", "grpo", "--training.num-steps", "1")
        given = (*more, "--judge.template", str(template))
        assert align(arguments(tmp_path / "run", *given)) == 0
    line = json.loads((tmp_path / "run/run/rollouts.jsonl").read_text().splitlines()[0])
    assert all(1 < reward < 2 for reward in line["rewards"])
    assert set(collections.Counter(proxy.whole).values()) == {1}


@pytest.mark.parametrize(
    "more, said",
    [
        (("--judge.template", "helpfull"), "did you mean helpful"),
        ((), "needs one model"),
        (("--judge.url", "http://127.0.0.1:9/v1"), "--judge.model"),
        (("--judge.url", "http://a:b@host/v1", "--judge.model", "m"), "no password"),
        (("--judge.folder", "nowhere"), "nowhere"),
        (("--annotator", "judge.py:prefer"), "give one of them"),
        (("--judge.folder", "x", "--judge.workers", "0"), "--judge.workers is 0"),
        (("--judge.folder", "x", "--judge.draws", "0"), "--judge.draws is 0"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_refused_before_anything_is_done(
    arguments, tmp_path, more, said
):
    message = align(arguments(tmp_path / "run", *more))
    assert str(message).startswith("error: ") and said in message
    assert not (tmp_path / "run" / "run").exists()


def test_a_folder_that_is_no_judge_is_told_what_it_may_be(policy, prompts, tmp_path):
    def said(annotator):
        own = ["--policy", str(policy), "--prompts", str(prompts), "--method", "rl"]
        own += ["--annotator", str(annotator), "--output", str(tmp_path / "run")]
        return align(own)

    assert "asked by --judge.folder and --judge.template" in said(policy)
    start = policies.load_pretrained(policy)
    scored = {"policy": start.params, "head": np.ones(start.policy.width)}
    policies.save_scorer(tmp_path / "left/judge", scored, start.config, policy)
    assert f"You may mean {tmp_path / 'left/judge'}" in said(tmp_path / "left")


def test_a_row_that_asks_nobody_names_the_options(policy, prompts, tmp_path):
    own = ["--policy", str(policy), "--prompts", str(prompts), "--method", "ipo_md"]
    own += ["--output", str(tmp_path), "--text.response-length", "5"]
    own += ["--training.batch-size", "8", "--splits.test", "0.2"]
    said = align([*own, "--splits.validation", "0.2"])
    assert "there is none; give an --annotator or a --judge" in said
