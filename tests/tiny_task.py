"""A tiny start policy on real code, its reviewers, and a small data set.

A plugin of pytest: what is made here is made once a session, for whoever asks.
"""

import dataclasses
import pathlib

import jax
import numpy as np
import optax
import pytest

from experiments import docstrings
from nashalign import algorithms, alignment, data, policies
from nashalign.alignment import runs
from nashalign.types import pytree

TEXTS = ['def reset(self):\n    self.count = 0\n"""Reset the counter."""'] * 4
NUM_PROMPTS, NUM_VOTERS = 8, 5
"""Of the data set."""
VOTES = np.random.default_rng(0).integers(0, 6, (NUM_PROMPTS, 4, 4)) / NUM_VOTERS
"""Shares of them in the data set's votes, each order of a pair counted by itself."""


@pytree
@dataclasses.dataclass(frozen=True)
class Lengths:
    """Scores a response by its length."""

    def score(self, key, prompts, responses):
        return responses.mask.sum(-1) * 1.0


def write_policy(
    folder: pathlib.Path, texts: list[str], *, vocabulary: int, context: int
) -> pathlib.Path:
    """Returns the folder of a tiny random policy, with a tokenizer of some texts."""
    tokenizer = data.train_tokenizer(texts, folder / "tokenizer", vocabulary=vocabulary)
    config = policies.LlamaConfig(
        vocab_size=tokenizer.size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=context,
        tie_word_embeddings=True,
    )
    policies.save_pretrained(
        folder / "policy",
        policies.llama(config).init(jax.random.key(0)),
        config,
        tokenizer_folder=folder / "tokenizer",
    )
    return folder / "policy"


@pytest.fixture(scope="session")
def start_policy(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("start")
    return write_policy(folder, TEXTS, vocabulary=300, context=128)


@pytest.fixture(scope="session")
def harvested(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def loaded(start_policy, harvested) -> docstrings.Docstrings:
    text = docstrings.Text(packages="standard_library")
    return docstrings.load_task(start_policy, harvested, text)


@pytest.fixture(scope="session")
def data_set(loaded, tmp_path_factory) -> alignment.DataSet:
    """Four responses to each prompt, judged by their length."""
    folder = tmp_path_factory.mktemp("judges")
    mask = np.arange(24) < np.arange(1, 33).reshape(8, 4, 1) % 24 + 1
    np.savez(
        folder / "votes.npz",
        tokens=np.arange(8 * 4 * 24, dtype=np.int32).reshape(8, 4, 24) % 256,
        mask=mask,
        truncated=mask[..., -1],
        preference=VOTES.astype(np.float32),
        votes=VOTES.astype(np.float32),
    )
    [ballot, _] = alignment.votes.ballots(NUM_PROMPTS, 1, NUM_VOTERS)
    return alignment.examples.of_votes(
        alignment.votes.collect(loaded.task, loaded.voters, ballot, 0, folder),
        Lengths(),
        folder,
        demonstrations=loaded.demonstrations(ballot.rows(loaded.task, 0)),
        dimensions=loaded.dimensions(NUM_VOTERS, 0),
    )


def begun(
    method: algorithms.Method, task: alignment.Task
) -> tuple[algorithms.Setup, algorithms.State]:
    """The setup and the state in which a run of a row begins."""
    setup = algorithms.Setup(
        policy=task.start.policy, optimizer=optax.sgd(0.1), decoding=task.decoding
    )
    key = jax.random.key(0)
    return setup, algorithms.init(method, setup, task.start.params, key)


def run_of(task: alignment.Task, annotators, folder: pathlib.Path) -> runs.Run:
    """A run of a task whose annotators are these, and nothing else is said."""
    return runs.Run(
        task=task,
        annotators=annotators,
        training=alignment.Training(),
        learning_rate=1e-3,
        data_set=None,
        validation=None,
        mesh=None,
        folder=folder,
        seed=0,
        track=(),
    )
