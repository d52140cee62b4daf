"""A result file is absent, old or new; never half of one."""

import errno
import zipfile

import numpy as np
import pytest

from nashalign import training, writing
from nashalign.training import files


def test_a_file_is_replaced_in_one_stroke(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    training.write_text(path, "old")
    with writing.replacing(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    training.write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        with writing.replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_failed_write_names_the_path_and_keeps_the_kind_of_error(tmp_path):
    with pytest.raises(OSError, match="cannot write to .*table.csv") as error:
        with writing.replacing(tmp_path / "table.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.errno == errno.ENOSPC
    assert "No space left on device" in str(error.value)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileExistsError, match="cannot write to .*file"):
        training.require_writable(tmp_path / "file")


def test_a_probe_leaves_nothing(tmp_path):
    training.require_writable(tmp_path / "new", space=1)
    assert list((tmp_path / "new").iterdir()) == []


SHAPES = {"tokens": (None, 4), "mask": (None, 4)}


def saved(path, **arrays):
    whole = {"tokens": np.arange(8).reshape(2, 4), "mask": np.ones((2, 4), bool)}
    np.savez(path, **{**whole, **arrays})
    return path


def test_arrays_are_read_as_they_were_written(tmp_path):
    path = saved(tmp_path / "votes.npz", rewards=np.ones(2))
    found = files.read_arrays(path, "Delete it", SHAPES, {"rewards": (2,)})
    np.testing.assert_array_equal(found["tokens"], np.arange(8).reshape(2, 4))
    assert found.keys() == {"tokens", "mask", "rewards"}


def test_no_damage_to_arrays_is_anything_but_a_sentence_that_names_the_file(tmp_path):
    path = saved(tmp_path / "votes.npz")
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    sound = files.read_arrays(path, "Delete it", SHAPES)
    noticed = 0
    for _ in range(300):
        content = bytearray(whole)
        if draw.random() < 0.2:
            del content[draw.integers(len(content)) :]
        else:
            content[draw.integers(len(content))] ^= 1 << draw.integers(8)
        path.write_bytes(content)
        try:
            found = files.read_arrays(path, "Delete it", SHAPES)
        except ValueError as error:
            assert f"{path} is damaged (" in str(error)
            assert str(error).endswith("). Delete it")
            noticed += 1
        else:
            # Such as the time of writing: no number has changed.
            for name, array in sound.items():
                np.testing.assert_array_equal(found[name], array)
    assert noticed > 200


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mask": np.ones((2, 5), bool)}, r"mask is bool\[2, 5\], not \[None, 4\]"),
        ({"mask": np.full((2, 4), "yes")}, r"mask is <U3\[2, 4\]"),
        ({"mask": np.array([[None] * 4])}, "is damaged"),
        ({"more": np.ones(2)}, "more is unknown"),
    ],
)
def test_other_arrays_are_named(tmp_path, arrays, said):
    path = saved(tmp_path / "votes.npz", **arrays)
    with pytest.raises(ValueError, match=said):
        files.read_arrays(path, "Delete it", SHAPES)


def test_an_array_that_is_missing_is_named(tmp_path):
    path = tmp_path / "votes.npz"
    np.savez(path, tokens=np.ones((2, 4)))
    with pytest.raises(ValueError, match="mask is missing in it"):
        files.read_arrays(path, "Delete it", SHAPES)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mask.npy", b"no array")
    with pytest.raises(ValueError, match="votes.npz is damaged"):
        files.read_arrays(path, "Delete it", SHAPES)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"[" * 10**5, b"3", b'{"b": 1}']
)
def test_a_damaged_json_file_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path} is damaged \(.*\)\. Delete it"):
        files.read_json(path, "Delete it", "a")
    path.write_text('{"a": 1}')
    assert files.read_json(path, "Delete it", "a") == {"a": 1}


def test_files_that_have_changed_are_told_by_their_checksums(tmp_path):
    for name in ("a/1", "a/2", "b"):
        training.write_text(tmp_path / name, name)
    written = files.checksums(tmp_path, "a", "b")
    assert list(written) == ["a/1", "a/2", "b"] and not files.changed(tmp_path, written)
    (tmp_path / "a/1").unlink()
    (tmp_path / "b").write_text("c")
    assert files.changed(tmp_path, written) == ["a/1", "b"]
