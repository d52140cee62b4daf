"""A tiny policy that writes letters, for commands that read checkpoints."""

import json
import pathlib

import jax
import pytest

from nashalign import command_line, data, policies

TEXTS = ["round 1: rock paper scissors"] * 4


@pytest.fixture(scope="session")
def policy(tmp_path_factory) -> pathlib.Path:
    """A folder with a random policy and its tokenizer."""
    folder = tmp_path_factory.mktemp("policy")
    tokenizer = data.train_tokenizer(TEXTS, folder / "tokenizer", vocabulary=280)
    config = policies.LlamaConfig(
        vocab_size=tokenizer.size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=48,
        tie_word_embeddings=True,
    )
    params = policies.llama(config).init(jax.random.key(0))
    policies.save_pretrained(
        folder / "policy", params, config, tokenizer_folder=folder / "tokenizer"
    )
    return folder / "policy"


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


@pytest.fixture(scope="package", autouse=True)
def _compiled_quickly():
    """Leaves out the compiler's optimisations, which nothing here repays."""
    with command_line.compiled_quickly(True):
        yield
