"""Iterations over parts of prompts, on a tiny model and a judge of its own."""

import json

import pytest

from experiments.ultrafeedback_iterative import __main__ as ultrafeedback
from experiments.ultrafeedback_iterative import config as configs
from nashalign import __main__ as commands
from nashalign import training
from tests.tiny_task import write_policy

WORDS = "write a short note to the baker who lives beside the old mill".split()


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """A tiny model, prompts, and a judge of pairs."""
    folder = tmp_path_factory.mktemp("ultrafeedback")
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))] * 4
    policy = write_policy(folder, texts, vocabulary=290, context=128)
    prompts, pairs = folder / "prompts.jsonl", folder / "pairs.jsonl"
    lines = [{"prompt": f"{text} {n}"} for n, text in enumerate(texts)]
    prompts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    more = {"chosen": "a note", "rejected": "no"}
    pairs.write_text("".join(json.dumps(line | more) + "\n" for line in lines))
    train = ["train-judge", "--policy", str(policy), "--prompts", str(pairs)]
    train += ["--text.response-length", "8", "--output", str(folder / "judge")]
    assert commands.main(train) == 0
    found = {"policy": policy, "prompts": prompts, "judge": folder / "judge" / "judge"}
    return [part for name, own in found.items() for part in (f"--{name}", str(own))]


@pytest.mark.full
@pytest.mark.slow
def test_an_iteration_is_a_part_of_the_prompts(arguments, tmp_path):
    output = tmp_path / "run"
    more = ["--smoke", "--text.no-chat", "--output", str(output)]
    assert ultrafeedback.command([*arguments, *more]) == 0
    [run] = [own for own in output.iterdir() if (own / "rollouts.jsonl").exists()]
    lines = training.read_log(run / "rollouts.jsonl")
    seen = [line["prompt"] for line in lines]
    assert len(seen) == len(set(seen))
    assert "SPPO" in (output / "results" / "win_rates.md").read_text()


def test_iterates_move_behind_each_part(tmp_path):
    paths = dict.fromkeys(("policy", "prompts", "judge"), tmp_path)
    config = configs.Config(**paths).of_parts(59_000)
    period = 59_000 // 3 // 64
    assert config.training.num_steps == 3 * period
    assert config.training.num_steps * 64 <= 59_000
    for name, own in config.settings.items():
        inner = own.own.get("num_inner", 1)
        assert 0 <= period - own.own["period"] * inner < max(inner, 1)
        assert own.learning_rate == 5e-7, name
    with pytest.raises(ValueError, match="a part of the 100 prompts has 33"):
        configs.Config(**paths).of_parts(100)


def test_a_row_without_iterations_is_refused(arguments, tmp_path):
    more = ["--methods", "dpo", "--output", str(tmp_path / "run")]
    assert "dpo" in str(ultrafeedback.command([*arguments, *more]))


def test_prompts_that_have_changed_are_another_run(arguments, tmp_path, monkeypatch):
    own = tmp_path / "prompts.jsonl"
    own.write_text('{"prompt": "write a note"}\n')

    def breaks(config, run):
        (run.folder / "begun").touch()
        raise ValueError("broken off")

    monkeypatch.setattr(ultrafeedback, "align_and_compare", breaks)
    command = [*arguments, "--prompts", str(own), "--output", str(tmp_path / "run")]
    for _ in range(2):
        assert "broken off" in ultrafeedback.command(command)
    own.write_text('{"prompt": "write a letter"}\n')
    said = ultrafeedback.command(command)
    assert "prompts: prompts.jsonl sha256:" in said and "broken off" not in said
