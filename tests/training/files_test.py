"""A result file is absent, old or new; never half of one."""

import errno

import pytest

from nashalign import training


def test_a_file_is_replaced_in_one_stroke(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    training.write_text(path, "old")
    with training.replacing(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    training.write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        with training.replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_failed_write_names_the_path_and_keeps_the_kind_of_error(tmp_path):
    with pytest.raises(OSError, match="cannot write to .*table.csv") as error:
        with training.replacing(tmp_path / "table.csv"):
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
