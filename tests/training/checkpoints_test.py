"""A checkpoint is what was saved, bit for bit, or a clear error."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from nashalign import training


@pytest.fixture
def checkpoints(tmp_path):
    with training.Checkpoints(tmp_path / "checkpoints") as opened:
        yield opened


def state(seed=0):
    key, key_w = jax.random.split(jax.random.key(seed))
    w = jax.random.normal(key_w, (8, 3))
    return {
        "params": {"w": w, "half": w.astype(jnp.bfloat16), "flags": w > 0},
        "step": jnp.int32(2**30 + seed),
        "key": key,
        "keys": jax.random.split(jax.random.key(seed, impl="rbg"), 3),
        "host": np.arange(3) + seed,
    }


def bits(tree):
    def of(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        return str(leaf.dtype), leaf.shape, np.asarray(leaf).tobytes()

    return jax.tree.map(of, tree)


def test_every_kind_of_leaf_comes_back_bit_for_bit(checkpoints):
    checkpoints.save(3, state(1))
    step, restored = checkpoints.restore_latest(like=state(2))
    assert step == 3
    assert bits(restored) == bits(state(1))
    assert jax.tree.map(type, restored) == jax.tree.map(type, state(1))
    kinds = [restored[name].dtype for name in ("key", "keys")]
    assert kinds == [state(1)[name].dtype for name in ("key", "keys")]


def test_leaves_come_back_in_the_shardings_asked_for(checkpoints):
    mesh = training.make_mesh(fsdp=4)
    whole = state(1)
    del whole["host"]
    checkpoints.save(1, whole)
    like = jax.device_put(whole, training.fully_sharded(whole, mesh))
    assert like["params"]["w"].sharding.spec == PartitionSpec("fsdp")
    _, restored = checkpoints.restore_latest(like)
    assert bits(restored) == bits(whole)
    for leaf, wanted in zip(
        jax.tree.leaves(restored), jax.tree.leaves(like), strict=True
    ):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)


def test_the_newest_two_are_kept_and_none_is_skipped(checkpoints):
    for step in (1, 2, 3, 7):
        checkpoints.save(step, state(step))
    checkpoints.wait()
    assert checkpoints.steps() == [3, 7]
    step, restored = checkpoints.restore_latest(state())
    assert (step, bits(restored)) == (7, bits(state(7)))


def test_an_empty_folder_has_nothing_to_restore(checkpoints):
    assert checkpoints.restore_latest(state()) is None
    assert checkpoints.steps() == []


def test_a_state_may_be_donated_as_soon_as_save_returns(checkpoints):
    # JAX does not donate while it looks for NaN.
    with jax.debug_nans(False):
        change = jax.jit(lambda x: x * 2 + 1, donate_argnums=0)
        x = change(jnp.arange(300_000.0))
        checkpoints.save(1, {"x": x})
        for _ in range(5):
            x = change(x)
        x.block_until_ready()
    _, restored = checkpoints.restore_latest({"x": x})
    np.testing.assert_array_equal(restored["x"], 2 * np.arange(300_000.0) + 1)


def test_what_a_kill_left_half_written_is_ignored_and_removed(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, state(1))
    with training.Checkpoints(tmp_path / "other") as checkpoints:
        checkpoints.save(20, state(2))
    (tmp_path / ".partial-17-probe").write_bytes(bytes(9))
    half = tmp_path / ".partial-20.orbax-checkpoint-tmp"
    (tmp_path / "other" / "20").rename(half)
    next(half.rglob("manifest.ocdbt")).unlink()
    with training.Checkpoints(tmp_path) as checkpoints:
        step, restored = checkpoints.restore_latest(state())
        assert (step, bits(restored)) == (10, bits(state(1)))
        checkpoints.save(30, state(2))
        assert checkpoints.steps() == [10, 30]
    assert sorted(path.name for path in tmp_path.iterdir() if path != half) == [
        *("10", "30", "other")
    ]
    assert not half.exists()


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda s: s["params"].pop("w"), r"params\.w is unknown here"),
        (lambda s: s["params"].update(bias=jnp.ones(2)), r"params\.bias is missing"),
        (
            lambda s: s["params"].update(w=jnp.ones((8, 4))),
            r"params\.w is float32\[8, 3\] in it and float32\[8, 4\] here",
        ),
        (
            lambda s: s["params"].update(w=jnp.ones((8, 3), jnp.bfloat16)),
            r"params\.w is float32\[8, 3\] in it and bfloat16\[8, 3\] here",
        ),
    ],
    ids=["leaf dropped", "leaf added", "shape", "type"],
)
def test_a_state_of_another_form_is_an_error_that_names_the_leaf(
    checkpoints, change, complaint
):
    checkpoints.save(5, state())
    other = state()
    change(other)
    with pytest.raises(ValueError, match=complaint) as error:
        checkpoints.restore_latest(other)
    assert "checkpoint 5" in str(error.value)


def test_a_damaged_checkpoint_names_the_folder_to_delete(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, state(1))
        checkpoints.save(20, state(2))
    for path in (tmp_path / "20").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with training.Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError, match="20 to resume from step 10"):
            checkpoints.restore_latest(state())


def flipped(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_no_single_bit_changes_unnoticed_and_the_earlier_checkpoint_is_intact(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, state(1))
        checkpoints.save(20, state(2), {"length": 7})
        checkpoints.wait()
        draw = np.random.default_rng(0)
        paths = [path for path in (tmp_path / "20").rglob("*") if path.is_file()]
        assert {"contents.json", "manifest.ocdbt"} < {path.name for path in paths}
        for path in paths:
            for bit in draw.integers(8 * path.stat().st_size, size=5):
                flipped(path, bit)
                with pytest.raises(ValueError) as error:
                    checkpoints.restore_latest(state())
                assert str(path) in str(error.value)
                assert str(error.value).endswith("20 to resume from step 10")
                flipped(path, bit)
        assert bits(checkpoints.restore_latest(state())[1]) == bits(state(2))
        assert checkpoints.note(20) == {"length": 7}
        paths[0].unlink()
        with pytest.raises(ValueError, match="is damaged"):
            checkpoints.restore_latest(state())
        shutil.rmtree(tmp_path / "20")
        assert bits(checkpoints.restore_latest(state())[1]) == bits(state(1))


def test_a_leaf_that_is_no_array_is_named(checkpoints):
    with pytest.raises(TypeError, match=r"leaf a\.rate is a float, 0\.1"):
        checkpoints.save(1, {"a": {"rate": 0.1}})


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=f"cannot write to {tmp_path}/file/checkpoints"):
        training.Checkpoints(tmp_path / "file" / "checkpoints")


def test_a_failed_write_is_an_os_error_that_names_the_last_whole_one(
    tmp_path, monkeypatch
):
    with training.Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(1, state())
        checkpoints.wait()

        def no_space(*_args, **_kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoints._orbax, "save", no_space)
        checkpoints.save(2, state())
        with pytest.raises(OSError, match=r"No space left.*last whole one: step 1"):
            checkpoints.wait()


def test_too_little_space_is_an_error_before_any_work(checkpoints, monkeypatch):
    monkeypatch.setattr(
        training.files.shutil,
        "disk_usage",
        lambda _: training.files.shutil._ntuple_diskusage(10**9, 10**9, 2**20),
    )
    checkpoints.reserve({"w": jnp.ones(2**10)})
    with pytest.raises(OSError, match=r"3 MiB are needed, 1 MiB are free"):
        checkpoints.reserve({"w": jnp.ones(2**18)})


def test_at_least_one_checkpoint_must_be_kept(tmp_path):
    with pytest.raises(ValueError, match="keep is 0"):
        training.Checkpoints(tmp_path, keep=0)


def test_checkpoints_are_read_by_many_and_written_by_one_at_a_time(tmp_path):
    state = {"x": np.arange(3.0)}
    with training.Checkpoints(tmp_path) as one, training.Checkpoints(tmp_path) as other:
        one.save(1, state)
        one.wait()
        with training.Checkpoints(tmp_path) as reading:
            step, found = reading.restore_latest(state)
        assert step == 1 and (np.asarray(found["x"]) == state["x"]).all()
        with pytest.raises(ValueError, match="another process is at work"):
            other.reserve(state)
    with training.Checkpoints(tmp_path) as late:
        with training.Checkpoints(tmp_path) as quick:
            quick.save(2, state)
        with pytest.raises(ValueError, match="has written to .* meanwhile"):
            late.reserve(state)
