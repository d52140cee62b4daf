"""However often a run is broken off, it ends with the same bits and the same logs.

Started as a program, this file is the run that the tests kill.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from nashalign import training
from nashalign.types import pytree

NUM_STEPS = 12


@pytree
@dataclasses.dataclass(frozen=True)
class State:
    w: jax.Array
    velocity: jax.Array
    step: jax.Array
    key: jax.Array


def start():
    zeros = jnp.zeros(3)
    return State(w=zeros, velocity=zeros, step=jnp.int32(0), key=jax.random.key(5))


def batch_of(index):
    x = np.random.default_rng(index).normal(size=(8, 3)).astype(np.float32)
    return {"x": x, "y": x @ np.float32([1, -2, 3])}


@functools.partial(jax.jit, donate_argnums=0)
def step(state, batch):
    noise = jax.random.normal(jax.random.fold_in(state.key, state.step), (3,))

    def loss_of(w):
        errors = batch["x"] @ (w + 0.01 * noise) - batch["y"]
        return jnp.mean(errors**2), errors

    (loss, errors), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.w)
    velocity = 0.9 * state.velocity + gradient
    state = dataclasses.replace(
        state,
        w=state.w - 0.02 * velocity,
        velocity=velocity,
        step=state.step + 1,
    )
    return state, {"loss": loss, "gradient_norm": jnp.linalg.norm(gradient)}, errors


def rows(step, batch, errors):
    for example in range(2):
        yield {"x": batch["x"][example], "error": errors[example]}


def train(folder, step=step, state=None, num_steps=NUM_STEPS, **settings):
    settings = {"save_every": 4, "rollouts_of": rows, "name": "toy", **settings}
    state = start() if state is None else state
    return training.run(step, state, batch_of, num_steps, folder=folder, **settings)


def bits(state):
    state = dataclasses.replace(state, key=jax.random.key_data(state.key))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def logged(folder):
    lines = {"metrics": [], "rollouts": []}
    for path in pathlib.Path(folder).glob("*.jsonl"):
        lines[path.stem] = training.read_log(path)
        for line in lines[path.stem]:
            line.pop("time", None)
            line.pop("seconds", None)
    return lines


def board(folder):
    """Pairs (step, tag) of a TensorBoard folder, in order."""
    seen = []
    for path in (pathlib.Path(folder) / "tensorboard").iterdir():
        content, at = path.read_bytes(), 0
        while at < len(content):
            length = int.from_bytes(content[at : at + 8], "little")
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            seen += [(event.step, value.tag) for value in event.summary.value]
            at += length + 16
    return seen


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, train(folder)


class Broken(Exception):
    pass


def breaking_at(count):
    """The step, until it breaks."""
    calls = iter(range(count))

    def fragile(state, batch):
        if next(calls, None) is None:
            raise Broken
        return step(state, batch)

    return fragile


def same_as(unbroken, folder, state):
    assert bits(state) == bits(unbroken[1])
    assert logged(folder) == logged(unbroken[0])
    assert sorted(board(folder)) == sorted(board(unbroken[0]))


def test_the_logs_have_each_step_once_and_each_row(unbroken):
    folder, state = unbroken
    steps = list(range(1, NUM_STEPS + 1))
    assert int(state.step) == NUM_STEPS
    assert [line["step"] for line in logged(folder)["metrics"]] == steps
    assert [line["step"] for line in logged(folder)["rollouts"]] == sorted(steps * 2)
    names = ("gradient_norm", "loss")
    assert sorted(board(folder)) == [(step, name) for step in steps for name in names]


def test_metrics_and_rows_are_those_of_their_own_step(unbroken):
    state, lines = start(), logged(unbroken[0])
    for index in range(3):
        state, metrics, errors = step(state, batch_of(index))
        assert lines["metrics"][index]["loss"] == float(metrics["loss"])
        row = lines["rollouts"][2 * index + 1]
        assert row["error"] == float(errors[1])
        assert row["x"] == batch_of(index)["x"][1].tolist()


@pytest.mark.parametrize("breaks", [[1], [6], [4, 1, 6], [11]])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path, unbroken, breaks):
    for count in breaks:
        with pytest.raises(Broken):
            train(tmp_path, breaking_at(count))
    same_as(unbroken, tmp_path, train(tmp_path))


def test_lines_beyond_the_checkpoint_are_cut(tmp_path, unbroken):
    with pytest.raises(Broken):
        train(tmp_path, breaking_at(7))
    assert logged(tmp_path)["metrics"][-1]["step"] == 6
    same_as(unbroken, tmp_path, train(tmp_path))


@pytest.mark.parametrize("torn", ['{"step"', '{"step": 5, "loss": 1.0}', "\0\0\n"])
def test_a_line_that_a_kill_has_torn_is_cut(tmp_path, unbroken, torn):
    with pytest.raises(Broken):
        train(tmp_path, breaking_at(5))
    assert logged(tmp_path)["metrics"][-1]["step"] == 4
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write(torn)
    same_as(unbroken, tmp_path, train(tmp_path))


@pytest.mark.parametrize("name", ["metrics.jsonl", "rollouts.jsonl"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, path.stat().st_size * 2 // 3),
        lambda path: path.write_bytes(path.read_bytes().replace(b'p": 2', b'p": x', 1)),
        lambda path: path.write_bytes(path.read_bytes().replace(b'p": 2', b'p": 0', 1)),
    ],
    ids=["deleted", "cut", "garbled", "out of order"],
)
@pytest.mark.parametrize("num_steps", [4, NUM_STEPS], ids=["done", "to resume"])
def test_logs_that_are_shorter_than_the_checkpoint_are_noticed_before_any_step(
    tmp_path, name, spoil, num_steps
):
    train(tmp_path, num_steps=4)
    spoil(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} has [\d,]+ bytes of the .* step 4"):
        train(tmp_path, step=None, num_steps=num_steps)


@pytest.mark.parametrize(
    ("part", "spoilt", "said"),
    [
        (rb'"time"', b'"tame"', "line 2 has no time"),
        (rb'"loss": [^,}]+', b'"loss": "text"', "loss of line 2 is 'text'"),
        (rb'"loss": [^,}]+', b'"loss": [0, 1]', r"loss of line 2 is \[0, 1\]"),
    ],
)
def test_a_line_of_metrics_that_is_none_is_noticed(tmp_path, part, spoilt, said):
    train(tmp_path, num_steps=4)
    path = tmp_path / "metrics.jsonl"
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    changed = re.sub(part, lambda found: spoilt.ljust(len(found[0])), second)
    assert len(changed) == len(second) and changed != second
    path.write_bytes(b"".join([first, changed, *rest]))
    with pytest.raises(ValueError, match=f"metrics.jsonl is damaged: {said}"):
        train(tmp_path)


def test_a_finished_run_is_returned_without_work(tmp_path, unbroken):
    train(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.jsonl")}
    state = train(tmp_path, breaking_at(0))
    same_as(unbroken, tmp_path, state)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.jsonl")}


def test_a_run_shorter_than_its_checkpoint_is_an_error(tmp_path):
    train(tmp_path)
    with pytest.raises(ValueError, match="at step 12, beyond the 6 asked for"):
        train(tmp_path, num_steps=6)


def test_the_callers_state_outlives_a_step_that_donates(tmp_path):
    # JAX does not donate while it looks for NaN.
    with jax.debug_nans(False):
        # Of a function of its own: what the other jit has found is not looked up.
        donating = jax.jit(lambda *given: step.__wrapped__(*given), donate_argnums=0)
        state = start()
        train(tmp_path, donating, state, num_steps=2)
        np.testing.assert_array_equal(state.w, jnp.zeros(3))


def test_metrics_are_fetched_after_the_next_step_is_dispatched(tmp_path):
    events = []

    class Metric:
        def __init__(self, index):
            self.index = index

        def __array__(self, *_args, **_kwargs):
            events.append(("fetched", self.index))
            return np.float32(0)

    def noted(state, batch):
        index = len([what for what, _ in events if what == "step"])
        events.append(("step", index))
        return state, {"loss": Metric(index)}, None

    train(tmp_path, noted, num_steps=3, rollouts_of=None)
    order = list(dict.fromkeys(events))
    assert order == [
        ("step", 0),
        ("step", 1),
        ("fetched", 0),
        ("step", 2),
        ("fetched", 1),
        ("fetched", 2),
    ]


@pytest.mark.parametrize("count", [0, 2, 6])
def test_the_state_to_begin_with_is_evaluated_once_however_often_a_run_begins(
    tmp_path, count
):
    def evaluate(state):
        return {"done": state.step}

    for _ in range(2):
        with pytest.raises(Broken):
            train(tmp_path, breaking_at(count), evaluate=evaluate)
    train(tmp_path, evaluate=evaluate)
    steps = [line["step"] for line in logged(tmp_path)["metrics"]]
    assert steps == list(range(NUM_STEPS + 1))
    assert sorted(step for step, tag in board(tmp_path) if tag == "done") == [0, 12]


def test_evaluations_join_the_metrics_of_their_step(tmp_path):
    def evaluate(state):
        return {"done": state.step, "undefined": float("nan")}

    train(tmp_path, evaluate=evaluate, evaluate_every=5, rollouts_of=None)
    lines = training.read_log(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(NUM_STEPS + 1))
    assert [line.get("done") for line in lines if "done" in line] == [0, 5, 10, 12]
    assert [line["step"] for line in lines if "done" in line] == [0, 5, 10, 12]
    assert lines[5]["undefined"] is None and "loss" not in lines[0]
    assert not (tmp_path / "rollouts.jsonl").exists()


def done(state):
    return {"done": state.step}


def at_least(number):
    """Whether so many steps are done."""
    return lambda measured: measured.get("done", 0) >= number


def test_a_run_that_is_stopped_is_saved_and_returned_again_without_a_step(tmp_path):
    settings = {"evaluate": done, "evaluate_every": 3, "stop": at_least(5)}
    state = train(tmp_path, **settings)
    assert int(state.step) == 6
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps()[-1] == 6
    before = logged(tmp_path)
    assert [line["step"] for line in before["metrics"]] == list(range(7))
    again = train(tmp_path, breaking_at(0), **settings)
    assert bits(again) == bits(state) and logged(tmp_path) == before


@pytest.mark.parametrize("laxer", [None, at_least(9), at_least(99)])
def test_a_stopped_run_goes_on_where_it_may_and_equals_an_unbroken_one(tmp_path, laxer):
    settings = {"evaluate": done, "evaluate_every": 3}
    train(tmp_path / "broken", **settings, stop=at_least(5))
    state = train(tmp_path / "broken", **settings, stop=laxer)
    whole = tmp_path / "whole", train(tmp_path / "whole", **settings, stop=laxer)
    assert int(state.step) == (9 if laxer and laxer({"done": 9}) else NUM_STEPS)
    same_as(whole, tmp_path / "broken", state)


def test_a_stopped_run_that_broke_off_ends_where_an_unbroken_one_does(tmp_path):
    settings = {"evaluate": done, "evaluate_every": 3, "stop": at_least(8)}
    whole = tmp_path / "whole", train(tmp_path / "whole", **settings)
    for count in (5, 2):
        with pytest.raises(Broken):
            train(tmp_path / "broken", breaking_at(count), **settings)
    same_as(whole, tmp_path / "broken", train(tmp_path / "broken", **settings))


def test_trackers_are_given_each_line_once_as_it_is_logged(tmp_path):
    def evaluate(state):
        return {"done": state.step, "undefined": float("nan")}

    first, second = [], []
    settings = {"evaluate": evaluate, "evaluate_every": 5}
    settings["track"] = [lambda line: first.append(dict(line)), second.append]
    train(tmp_path, **settings, num_steps=8)
    assert [line["step"] for line in first] == list(range(9)) and first == second
    # As the log has them: what is not finite is None.
    assert first == training.read_log(tmp_path / "metrics.jsonl")
    assert first[0]["undefined"] is None
    # A run that resumes gives the new lines, and a finished one gives none.
    for _ in range(2):
        train(tmp_path, **settings)
    assert [line["step"] for line in first] == list(range(NUM_STEPS + 1))


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
@pytest.mark.parametrize("bad, last_good", [(0, None), (5, 4), (7, 4), (8, 8), (11, 8)])
def test_a_run_that_diverges_stops_and_shows_step_checkpoint_and_batch(
    tmp_path, name, bad, last_good
):
    def bad_step(state, batch):
        index = int(state.step)
        state, metrics, record = step(state, batch)
        if index == bad:
            metrics = {**metrics, name: np.float32("inf")}
        return state, metrics, record

    with pytest.raises(training.TrainingDiverged) as error:
        train(tmp_path, bad_step)
    assert (error.value.step, error.value.last_good) == (bad + 1, last_good)
    good = "there is none" if last_good is None else f"step {last_good}"
    assert f"Last good checkpoint: {good}" in str(error.value)
    assert f"{name} is inf at step {bad + 1}" in str(error.value)
    with np.load(tmp_path / f"diverged_step_{bad + 1}.npz") as batch:
        assert set(batch) == {"batch.x", "batch.y", "record"}
        np.testing.assert_array_equal(batch["batch.x"], batch_of(bad)["x"])
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [s for s in (4, 8) if s <= bad]
    assert len(logged(tmp_path)["metrics"]) == bad


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_state_is_not_saved_even_if_the_metrics_are_finite(tmp_path, bad):
    def bad_step(state, batch):
        state, metrics, record = step(state, batch)
        if int(state.step) == 7:
            state = dataclasses.replace(state, w=np.full(3, bad, np.float32))
        return state, {"loss": np.float32(0)}, record

    with jax.debug_nans(False):
        with pytest.raises(
            training.TrainingDiverged, match="state holds NaN or infinity"
        ) as error:
            train(tmp_path, bad_step)
    assert (error.value.step, error.value.last_good) == (8, 4)


@pytest.fixture
def in_the_foreground():
    """Listens to Ctrl-C, which a job of a shell's background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_foreground")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_and_saves(tmp_path, unbroken, number, capsys):
    def signalled(state, batch):
        if int(state.step) == 5:
            signal.raise_signal(number)
        return step(state, batch)

    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    expected = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(expected) as error:
        train(tmp_path, signalled)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    if number == signal.SIGTERM:
        assert error.value.code == 143
    message = str(error.value) + capsys.readouterr().err
    assert f"stopped after step 6 of 12, which is saved in {tmp_path}" in message
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == [4, 6]
    assert len(logged(tmp_path)["metrics"]) == 6
    same_as(unbroken, tmp_path, train(tmp_path))


@pytest.mark.usefixtures("in_the_foreground")
def test_a_second_signal_acts_at_once(tmp_path):
    def signalled(state, batch):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second signal was swallowed")

    with pytest.raises(KeyboardInterrupt, match="^$"):
        train(tmp_path, signalled)


@pytest.mark.parametrize("setting", ["save_every", "evaluate_every"])
def test_an_interval_below_one_is_an_error(tmp_path, setting):
    for count in (-1, 0):
        with pytest.raises(ValueError, match=f"{setting} is {count}"):
            train(tmp_path, **{"save_every": 4, setting: count})


def test_an_unwritable_folder_is_an_error_before_any_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write to .*file"):
        train(tmp_path / "file", breaking_at(0))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Two runs in processes of their own, ended in step 7 by SIGKILL and SIGTERM."""
    signals = (signal.SIGKILL, signal.SIGTERM)
    folders = {number: tmp_path_factory.mktemp(number.name) for number in signals}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with contextlib.ExitStack() as stack:
        processes = {}
        for number, folder in folders.items():
            processes[number] = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, str(folder)],
                    env=environment,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(processes[number].kill)
        for number, process in processes.items():
            deadline = time.monotonic() + 120
            while not reached(folders[number]):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline, "the run has not reached step 7"
                time.sleep(0.02)
            process.send_signal(number)
        return {
            number: (
                folders[number],
                process.communicate(timeout=60)[1],
                process.wait(),
            )
            for number, process in processes.items()
        }


def reached(folder):
    return (folder / "checkpoints" / "4").exists() and (folder / "waits").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_is_gone_on_with_to_the_same_bits(killed, unbroken, number):
    folder, errors, code = killed[number]
    if number == signal.SIGKILL:
        assert code == -9
    else:
        assert code == 143
        assert "The same command resumes from there" in errors
    assert len(logged(folder)["metrics"]) == {-9: 5, 143: 7}[code]
    same_as(unbroken, folder, train(folder))


def waiting_step(state, batch):
    """The step; its seventh waits to be killed, or told to end."""
    if int(state.step) == 6:
        (pathlib.Path(sys.argv[1]) / "waits").touch()
        while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            time.sleep(0.02)
    return step(state, batch)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    import conftest  # noqa: F401 - the same devices and modes as the tests'

    train(sys.argv[1], waiting_step)
