"""A tiny policy that writes letters, for commands that read checkpoints."""

import json
import pathlib

import pytest

from tests.tiny_task import write_policy

TEXTS = ["round 1: rock paper scissors"] * 4


@pytest.fixture(scope="session")
def policy(tmp_path_factory) -> pathlib.Path:
    """A folder with a random policy and its tokenizer."""
    folder = tmp_path_factory.mktemp("policy")
    return write_policy(folder, TEXTS, vocabulary=280, context=48)


@pytest.fixture(scope="session")
def prompts(tmp_path_factory) -> pathlib.Path:
    """A file of prompts, each with a pair and a field of its own."""
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    lines = [
        {"prompt": f"round {n}: ", "chosen": "rock", "rejected": "none", "number": n}
        for n in range(60)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
