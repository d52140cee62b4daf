"""A tiny policy that writes letters, for commands that read checkpoints."""

import json
import pathlib

import pytest

from tests import judging
from tests.tiny_task import write_policy

TEXTS = ["round 1: rock paper scissors"] * 4
TURNS = (
    "{% for own in messages %}<|begin|>{{ own.role }}: {{ own.content }}\n{% endfor %}"
)


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


@pytest.fixture(scope="session")
def chatting(policy, tmp_path_factory) -> pathlib.Path:
    """The tiny policy, with a chat template."""
    folder = tmp_path_factory.mktemp("chatting")
    for path in policy.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").write_text(TURNS)
    return folder


@pytest.fixture(scope="module")
def key():
    """The key of a server that is asked, which is reached without a proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", judging.KEY)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        yield
