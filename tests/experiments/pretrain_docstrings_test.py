"""The pre-training of the start policy, on a corpus of a few functions."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from experiments import docstrings
from experiments.pretrain_docstrings import __main__ as pretrain
from experiments.pretrain_docstrings import corpus, sequences
from experiments.pretrain_docstrings.config import Config
from nashalign import data, policies, training
from nashalign.data import harvest

PAIRS = [
    harvest.Pair(
        name=f"reset_{n}",
        package="chex",
        code=f"def reset_{n}(self):\n    self.count = {n}",
        summary=f"Reset the counter number {n} of this thing to what it was.",
    )
    for n in range(40)
]


@pytest.fixture(scope="module", autouse=True)
def harvested():
    """A harvest of a few functions, in no time."""
    pairs = {"train": PAIRS[:32], "validation": PAIRS[32:], "test": []}
    found = harvest.Harvest(pairs=pairs, files=1, unparsable=0, duplicates=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harvest, "harvest", lambda files, console: found)
        yield


def test_no_test_function_and_no_copy_of_one_is_learned_from(tmp_path, monkeypatch):
    own = docstrings.test_functions()[-1].pair
    copies = [
        own,
        dataclasses.replace(own, package="jax", name="renamed", summary="Do it now."),
        dataclasses.replace(own, package="jax", code="def f():\n    return 1"),
    ]
    pairs = {"train": [*copies, *PAIRS[:3]], "validation": [*copies[1:], PAIRS[3]]}
    found = harvest.Harvest(pairs=pairs, files=1, unparsable=0, duplicates=2)
    monkeypatch.setattr(harvest, "harvest", lambda files, console: found)
    kept = corpus.corpus(Config(output=tmp_path), None)
    assert sorted(pair.name for pair in kept["train"]) == [
        "reset_0",
        "reset_1",
        "reset_2",
    ]
    assert kept["validation"] == [PAIRS[3]]
    assert json.loads((tmp_path / "counts.json").read_text())["duplicates"] == 7


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("pretrain")
    return Config(
        output=folder / "run",
        destination=folder / "model",
        vocabulary=300,
        width=16,
        inner_width=16,
        num_layers=1,
        num_heads=1,
        batch_tokens=256,
        minutes=0.02,
        save_minutes=0.01,
        num_validation=8,
    )


@pytest.fixture(scope="module")
def trained(config) -> Config:
    pretrain.main(config)
    return config


@pytest.mark.slow
def test_the_model_is_a_folder_that_loads_with_its_card(trained):
    start = policies.load_pretrained(trained.destination)
    tokenizer = data.load_tokenizer(trained.destination)
    policies.check_vocabulary(tokenizer.size, start.config)
    card = (trained.destination / "README.md").read_text()
    assert "| chex |" in card and "Validation loss" in card


@pytest.mark.slow
def test_training_lowers_the_validation_loss_and_logs_it(trained):
    lines = (trained.output / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["validation_loss"] for line in lines]
    assert len(losses) >= 1 and losses[-1] < np.log(trained.vocabulary)


@pytest.mark.slow
def test_a_finished_training_is_not_done_again(trained):
    before = (trained.output / "log.jsonl").read_text()
    weights = (trained.destination / "model.safetensors").read_bytes()
    pretrain.main(trained)
    assert (trained.output / "log.jsonl").read_text() == before
    assert (trained.destination / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_other_settings_on_an_old_folder_are_refused(trained):
    for changed in ({"most_per_package": 1}, {"excluded": ("jax",)}):
        with pytest.raises(training.ConfigChanged, match=next(iter(changed))):
            pretrain.main(dataclasses.replace(trained, **changed))


@pytest.mark.slow
def test_another_shape_cannot_go_on_from_a_model(trained, tmp_path):
    wider = dataclasses.replace(
        trained, output=tmp_path / "run", start=trained.destination, width=32
    )
    with pytest.raises(ValueError, match="width"):
        pretrain.main(wider)


def test_summary_tokens_are_scored_before_code(config):
    tokenizer = data.train_tokenizer(
        [pair.code + pair.summary for pair in PAIRS],
        config.output / "another_tokenizer",
        vocabulary=300,
    )
    encoded = sequences.encode(config, tokenizer, PAIRS)
    tokens, summary, code = sequences.positions(encoded, np.arange(4))
    # A flat position predicts the token after it, in rows one shorter than the tokens.
    row, column = (
        summary[0] // (tokens.shape[1] - 1),
        summary[0] % (tokens.shape[1] - 1),
    )
    assert column + 1 == encoded.prompt_lengths[row]
    assert not set(summary) & set(code)
    last = encoded.lengths[0] - 1
    assert tokens[0, last] == tokenizer.closing_id and last - 1 in summary


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"minutes": float("nan")}, "--minutes is nan"),
        ({"learning_rate": -1.0}, "--learning-rate is -1.0"),
        ({"num_validation": 0}, "--num-validation is 0"),
        ({"seed": 2**64}, "--seed is"),
        ({"scored": 1.5}, "--scored is 1.5"),
        ({"num_heads": 5}, "--num-heads is 5"),
        ({"prompt_length": 600}, "--prompt-length and --response-length"),
        ({"site_packages": (pathlib.Path("nowhere"),)}, "--site-packages nowhere"),
        ({"start": pathlib.Path("nowhere")}, "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_said_before_the_harvest(tmp_path, changed, named):
    config = dataclasses.replace(Config(output=tmp_path / "run"), **changed)
    with pytest.raises((ValueError, OSError), match=named):
        pretrain.main(config)
    assert not (tmp_path / "run").exists()
