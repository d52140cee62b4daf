"""An output folder is begun, gone on with, or left alone; never spoiled."""

import dataclasses
import json
import pathlib

import pytest

from nashalign import training
from nashalign.training import records


@dataclasses.dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    policy: pathlib.Path = pathlib.Path("policy")
    optimizer: Optimizer = Optimizer()


def test_a_new_folder_holds_configuration_versions_and_devices(tmp_path):
    with training.open_run(tmp_path / "new" / "run", Config()) as run:
        assert not run.resumed
    written = json.loads((tmp_path / "new" / "run" / "config.json").read_text())
    assert written["config"] == {
        "seed": 0,
        "policy": "policy",
        "optimizer": {"learning_rate": 1e-3, "betas": [0.9, 0.95]},
    }
    versions = {"python", "jax", "jaxlib", "flax", "optax", "devices"}
    assert set(written["environment"]) == versions | {"cores"}
    assert written["environment"]["devices"] == "8 x cpu"


def test_a_run_that_breaks_off_before_it_left_anything_binds_nobody(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with training.open_run(tmp_path, Config(seed=1)):
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        with training.open_run(tmp_path, Config(seed=2)) as run:
            (run.folder / "votes").write_text("paid for")
            raise ZeroDivisionError
    with pytest.raises(training.ConfigChanged):
        with training.open_run(tmp_path, Config(seed=1)):
            raise AssertionError("opened")


def test_what_was_read_must_be_the_same_again_and_the_difference_is_shown(tmp_path):
    with training.open_run(tmp_path, Config()) as run:
        run.require_same("prompts", {"train": "7", "test": "3"})
    with training.open_run(tmp_path, Config()) as run:
        run.require_same("prompts", {"train": "7", "test": "3"})
        with pytest.raises(training.ConfigChanged) as error:
            run.require_same("prompts", {"train": "8", "test": "3"})
    assert error.value.differences == [("prompts.train", "7", "8")]


def test_the_same_configuration_goes_on(tmp_path):
    with training.open_run(tmp_path, Config()):
        before = (tmp_path / "config.json").stat().st_mtime_ns
    mapping = {"seed": 0, "policy": "policy", "optimizer": Optimizer()}
    for config in (Config(), mapping):
        with training.open_run(tmp_path, config) as run:
            assert run.resumed
    assert (tmp_path / "config.json").stat().st_mtime_ns == before


def test_a_changed_configuration_shows_the_difference_and_changes_nothing(tmp_path):
    with training.open_run(tmp_path, {**dataclasses.asdict(Config()), "gone": 1}):
        before = (tmp_path / "config.json").read_bytes()
    changed = {
        **dataclasses.asdict(Config(seed=3, optimizer=Optimizer(learning_rate=0.1))),
        "added": None,
    }
    with pytest.raises(training.ConfigChanged) as error:
        with training.open_run(tmp_path, changed):
            raise AssertionError("opened")
    assert error.value.differences == [
        ("added", "(absent)", None),
        ("gone", 1, "(absent)"),
        ("optimizer.learning_rate", 1e-3, 0.1),
        ("seed", 0, 3),
    ]
    assert "  optimizer.learning_rate: 0.001 -> 0.1\n" in str(error.value)
    assert (tmp_path / "config.json").read_bytes() == before


@pytest.mark.parametrize("number", [None, 1, 3])
def test_a_folder_of_another_layout_is_refused_with_a_sentence(tmp_path, number):
    with training.open_run(tmp_path, Config()):
        path = tmp_path / "config.json"
        written = json.loads(path.read_text())
        assert written.pop("format") == 2
    if number is not None:
        written["format"] = number
    path.write_text(json.dumps(written))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"format {number or 1}, and this is 2\); f"):
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "goes_on"),
    [
        (60, 80, True),
        (0.5, 0.75, True),
        (60, None, True),
        (60, 40, False),
        (None, 60, False),
        ("a", "b", False),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_a_run_may_be_given_more_of_what_extends_it(
    tmp_path, old, new, goes_on, finished
):
    def opened(value, seed=0, extends=("training.most",)):
        config = {"seed": seed, "training": {"most": value}}
        return training.open_run(tmp_path, config, extends=extends)

    with opened(old) as run:
        (run.folder / "votes").write_text("paid for")
        if finished:
            run.finish()
    before = (tmp_path / "config.json").read_bytes()
    # More of one setting excuses no other, and nothing is more unless it is said.
    for others in ({"seed": 1}, {"extends": ()}):
        with pytest.raises(training.ConfigChanged):
            with opened(new, **others):
                raise AssertionError("opened")
    if goes_on:
        with opened(new) as run:
            assert run.resumed
        # What is asked for now is what the folder holds from now on.
        assert not (tmp_path / "finished.json").exists()
        with pytest.raises(training.ConfigChanged):
            with opened(old):
                raise AssertionError("opened")
        with opened(new) as run:
            run.finish()
        return
    with pytest.raises(training.ConfigChanged, match=f"most: {old} -> {new}"):
        with opened(new):
            raise AssertionError("opened")
    assert (tmp_path / "config.json").read_bytes() == before
    assert (tmp_path / "finished.json").exists() == finished


def test_a_finished_folder_is_kept(tmp_path):
    with training.open_run(tmp_path, Config()) as run:
        run.finish(minutes=3)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(training.RunFinished, match="results are in") as error:
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")
    assert error.value.summary["minutes"] == 3
    with pytest.raises(training.ConfigChanged, match="seed: 0 -> 1"):
        with training.open_run(tmp_path, Config(seed=1)):
            raise AssertionError("opened")
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("name,win rate"),
        lambda path: path.write_text("name,win rate\nrl,.6"),
    ],
    ids=["missing", "cut", "changed"],
)
def test_a_run_whose_results_are_not_there_is_not_finished(tmp_path, spoil):
    with training.open_run(tmp_path, Config()) as run:
        training.write_text(tmp_path / "results" / "table.csv", "name,win rate\nrl,.5")
        training.write_text(tmp_path / "checkpoints" / "1", "of no use any more")
        run.finish("results")
    (tmp_path / "checkpoints" / "1").unlink()
    with pytest.raises(training.RunFinished):
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")
    spoil(tmp_path / "results" / "table.csv")
    with pytest.warns(UserWarning, match=r"results/table\.csv is missing or not what"):
        with training.open_run(tmp_path, Config()) as run:
            assert run.resumed
    assert not (tmp_path / "finished.json").exists()


@pytest.mark.parametrize("content", ["", '{"fin', "[]", "[" * 10**5, '{"results": 3}'])
def test_a_damaged_finished_json_says_what_to_delete(tmp_path, content):
    with training.open_run(tmp_path, Config()) as run:
        run.finish()
    (tmp_path / "finished.json").write_text(content)
    with pytest.raises(ValueError, match=r"finished\.json is damaged .* Delete"):
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")


@pytest.mark.parametrize("content", [b"", b"\xff{}", b"7"])
def test_a_damaged_record_of_what_was_read_says_what_to_delete(tmp_path, content):
    with training.open_run(tmp_path, Config()) as run:
        run.require_same("prompts", {"train": "7"})
        (tmp_path / "prompts.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"prompts\.json is damaged .* delete"):
            run.require_same("prompts", {"train": "7"})


def test_a_run_that_fails_is_not_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with training.open_run(tmp_path, Config()) as run:
            (run.folder / "votes").write_text("paid for")
            raise KeyboardInterrupt
    with training.open_run(tmp_path, Config()) as run:
        assert run.resumed


def test_other_versions_are_a_warning(tmp_path, monkeypatch):
    with training.open_run(tmp_path, Config()):
        pass
    monkeypatch.setattr(records.importlib.metadata, "version", lambda name: "0.0")
    with pytest.warns(UserWarning) as warned:
        with training.open_run(tmp_path, Config()):
            pass
    assert any("is resumed with 0.0" in str(warning.message) for warning in warned)


def test_two_processes_cannot_work_in_one_folder(tmp_path):
    with training.open_run(tmp_path, Config()):
        with pytest.raises(ValueError, match="another process is at work"):
            with training.open_run(tmp_path, Config()):
                raise AssertionError("opened")
    with training.open_run(tmp_path, Config()):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds thesis\.tex but no config\.json"):
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_kill_at_the_very_start_left_is_no_hindrance(tmp_path):
    (tmp_path / ".partial-17-config.json").write_text('{"conf')
    with training.open_run(tmp_path, Config()) as run:
        assert not run.resumed


@pytest.mark.parametrize("content", ["", "[]", '{"seed": 0}'])
def test_a_strange_config_json_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is not a run's"):
        with training.open_run(tmp_path, Config()):
            raise AssertionError("opened")


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=f"cannot write to {tmp_path}/file/run"):
        with training.open_run(tmp_path / "file" / "run", Config()):
            raise AssertionError("opened")


def test_a_full_disk_is_an_error_before_the_run_begins(tmp_path):
    with pytest.raises(OSError, match="MiB are needed"):
        with training.open_run(tmp_path, Config(), space=2**60):
            raise AssertionError("opened")


def test_a_function_is_no_setting(tmp_path):
    with pytest.raises(TypeError, match="plain values, not the function"):
        with training.open_run(tmp_path, {"loss": test_a_function_is_no_setting}):
            raise AssertionError("opened")
