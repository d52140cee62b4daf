"""Answers of a policy to a file of prompts."""

import json

import pytest

from nashalign import __main__ as commands
from nashalign import data


def generate(policy, prompts, output, *more):
    command = ["generate", "--policy", str(policy), "--prompts", str(prompts)]
    lengths = ("--text.response-length", "5")
    return commands.main([*command, "--output", str(output), *lengths, *more])


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_prompt_is_answered_in_order_and_keeps_its_fields(
    policy, prompts, tmp_path
):
    output = tmp_path / "answers.jsonl"
    more = ("--num-responses", "2", "--batch-size", "7")
    assert generate(policy, prompts, output, *more) == 0
    lines = read(output)
    assert [line["number"] for line in lines] == [str(n) for n in range(60)]
    assert [line["prompt"] for line in lines] == [f"round {n}: " for n in range(60)]
    assert {len(line["responses"]) for line in lines} == {2}
    assert len({text for line in lines for text in line["responses"]}) > 60


def test_answers_do_not_depend_on_the_batch_they_were_in(policy, prompts, tmp_path):
    found = []
    for size in ("7", "60"):
        output = tmp_path / f"{size}.jsonl"
        assert generate(policy, prompts, output, "--batch-size", size) == 0
        found.append(read(output))
    assert found[0] == found[1]


@pytest.mark.parametrize("sharp", [("--temperature", "0"), ("--top-p", "1e-6")])
def test_greedy_answers_do_not_depend_on_the_seed(policy, prompts, tmp_path, sharp):
    found = []
    for seed in ("0", "1"):
        output = tmp_path / f"{seed}.jsonl"
        assert generate(policy, prompts, output, "--seed", seed, *sharp) == 0
        found.append(read(output))
    assert found[0] == found[1]


def test_a_stop_text_and_what_follows_are_left_out(policy, prompts, tmp_path):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    assert generate(policy, prompts, whole) == 0
    letters = "".join(line["responses"][0] for line in read(whole))
    stop = max("abcdefghijklmnopqrstuvwxyz", key=letters.count)
    assert generate(policy, prompts, cut, "--text.stop", stop, "\x00\x00") == 0
    for before, after in zip(read(whole), read(cut), strict=True):
        assert after["responses"] == [before["responses"][0].split(stop)[0]]


@pytest.mark.parametrize(
    "more, said",
    [
        (("--temperature", "-1"), "--temperature is -1.0"),
        (("--top-p", "0"), "--top-p is 0.0"),
        (("--num-responses", "0"), "--num-responses is 0"),
        (("--text.stop", ""), "none may be empty"),
        (("--text.response-length", "400"), "lower one"),
    ],
)
def test_a_setting_out_of_range_is_refused(policy, prompts, tmp_path, more, said):
    message = generate(policy, prompts, tmp_path / "answers.jsonl", *more)
    assert str(message).startswith("error: ") and said in message


def test_answers_that_are_there_are_left_alone(policy, prompts, tmp_path):
    output = tmp_path / "answers.jsonl"
    output.write_text("mine")
    assert "give another --output" in generate(policy, prompts, output)
    assert output.read_text() == "mine"


def test_help_is_the_documentation(capsys):
    assert commands.main(["--help"]) == 0
    assert "nashalign align" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        commands.main(["generate", "--help"])
    shown = capsys.readouterr().out
    assert "--top-p" in shown and "usage: nashalign generate" in shown


def test_an_unknown_command_is_answered_with_the_known_ones():
    assert "nashalign generate" in commands.main(["genrate"])


def test_the_shipped_splits_are_the_documented_ones():
    assert data.SPLITS == ("train", "validation", "test")
