import json
import pathlib
import pickle

import pytest

from nashalign import algorithms, alignment, training
from nashalign.alignment import several


def settings(name, **own):
    return alignment.settings_type(name)(**own)


def many(**more):
    names = ("rl", "nash_md_pg")
    own = {name: settings(name) for name in names}
    return alignment.Several(methods=names, settings=own, **more)


@pytest.fixture
def asked(monkeypatch):
    """What processes are asked to do; the first piece diverges."""
    calls = []

    def at_once(make_work, pieces, number, *, progress, total, **_):
        calls.append((list(pieces), number, progress(), total))
        pickle.dumps(make_work)
        error = training.TrainingDiverged(
            "loss is nan", 7, None, pathlib.Path("batch.npz")
        )
        return [error, *[None] * (len(pieces) - 1)]

    monkeypatch.setattr(training, "at_once", at_once)
    return calls


def make_bench():
    raise AssertionError("made in the processes alone")


def wrote(folder, num_steps):
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(num_steps + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(lines))


def test_what_is_left_is_trained_with_the_share_that_it_had_before(asked, tmp_path):
    own = many(seeds=2, processes=3, training=alignment.Training(num_steps=5))
    for place, done in (("rl-seed0", 5), ("rl-seed1", 5), ("nash_md_pg-seed0", 2)):
        wrote(tmp_path / place, done)
    found = several._train_at_once(make_bench, own, tmp_path)
    left = [("nash_md_pg", 0), ("nash_md_pg", 1)]
    # Three processes though two policies are left: rounding depends on a core's share.
    assert asked == [(left, 3, 2, 10)]
    assert list(found) == left[:1] and found[left[0]].step == 7


def test_policies_of_one_process_are_trained_here(asked, tmp_path):
    own = many(training=alignment.Training(num_steps=5))
    assert several._train_at_once(make_bench, own, tmp_path) == {} and not asked


def test_updates_are_counted_over_rounds_and_not_the_look_before_them(tmp_path):
    for number, done in ((1, 3), (2, 1)):
        wrote(tmp_path / f"round_{number}", done)
    assert alignment.logs.num_updates(tmp_path) == 4
    assert alignment.logs.num_updates(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("name", algorithms.TABLE)
def test_settings_of_every_row_go_to_other_processes_whole(name):
    own = settings(name, learning_rate=0.25)
    again = pickle.loads(pickle.dumps(own))
    assert again == own and type(again) is type(own)
    assert pickle.loads(pickle.dumps(alignment.Settings())) == alignment.Settings()
