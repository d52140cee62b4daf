"""The pre-training of the start policy, on a corpus of a few functions."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from experiments import docstrings
from experiments.docstrings import harvest
from experiments.docstrings.pretrain import __main__ as pretrain
from experiments.docstrings.pretrain import card, corpus, sequences
from experiments.docstrings.pretrain.config import Config
from nashalign import data, policies, training

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
def test_a_training_that_was_killed_at_its_end_needs_no_log_of_it(trained, tmp_path):
    shutil.copytree(trained.output, tmp_path / "run")
    (tmp_path / "run" / "finished.json").unlink()
    log = tmp_path / "run" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 1')
    before = (trained.destination / "README.md").read_text()
    pretrain.main(dataclasses.replace(trained, output=tmp_path / "run"))
    assert (trained.destination / "README.md").read_text() == before
    assert log.read_text() == (trained.output / "log.jsonl").read_text()


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


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


DAMAGE = {
    "counts.json": (cut, "it is not JSON"),
    "train.jsonl": (cut, "line 32 is not JSON"),
    "validation.jsonl": (lambda path: path.write_text("{}\n" * 8), "line 1 is no pair"),
}
COUNTS = {
    "pairs": ({"train": 32}, "its pairs are {'train': 32}"),
    "trained_on": (5, "its trained_on are 5"),
    "packages": (None, "its packages are None"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_harvest_says_what_to_delete(tmp_path, name):
    config = Config(output=tmp_path)
    corpus.corpus(config, None)
    spoil, reason = DAMAGE[name]
    spoil(tmp_path / name)
    with pytest.raises(ValueError) as caught:
        corpus.corpus(config, None)
    said = str(caught.value)
    assert f"{tmp_path / name} is damaged ({reason}" in said
    assert f"Delete {tmp_path / 'counts.json'} to harvest again" in said


@pytest.mark.parametrize("name", COUNTS)
def test_counts_that_no_harvest_has_left_are_named(tmp_path, name):
    config = Config(output=tmp_path)
    corpus.corpus(config, None)
    path = tmp_path / "counts.json"
    value, reason = COUNTS[name]
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match=f"counts.json is damaged .{reason}"):
        corpus.counts(config)


def test_lines_that_are_missing_in_a_harvest_are_counted(tmp_path):
    corpus.corpus(Config(output=tmp_path), None)
    path = tmp_path / "train.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match="it has 31 lines, not 32"):
        corpus.corpus(Config(output=tmp_path), None)


@pytest.mark.parametrize("text", ["", "- **Validation loss**\n- **Training**\n"])
def test_a_model_whose_card_is_silent_about_its_training_is_refused(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ValueError, match="README.md does not say how the model was"):
        card.training_before(Config(start=tmp_path))


def test_the_card_of_the_start_policy_says_how_it_was_trained():
    folder = pathlib.Path(pretrain.__file__).parents[2] / "start_policy"
    said = card.training_before(Config(start=folder))
    assert said.startswith("- **Training**") and "Validation loss" not in said


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
