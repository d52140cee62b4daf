"""Data sets as array records: what is read is what was written, without TensorFlow."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from nashalign import data

SAMPLES = pathlib.Path(__file__).with_name("samples")
OF_FORMATS = {
    "records": "records_messages.jsonl",
    "hh": "hh.jsonl",
    "hh_text": "hh.jsonl",
    "tldr": "tldr.jsonl",
    "tldr_prompts": "tldr_prompts.jsonl",
    "xsum": "xsum.jsonl",
    "ultrafeedback_prompts": "ultrafeedback_prompts.jsonl",
    "ultrafeedback_binarized": "ultrafeedback_binarized.jsonl",
    "ultrafeedback_scored": "ultrafeedback_scored.jsonl",
    "pandalm": "pandalm.json",
    "llmbar": "llmbar.json",
}


def build(tmp_path, form, **more):
    return data.build_dataset(tmp_path / "kept", tmp_path / "copy", form, **more)


def put(tmp_path, *files, name="copy"):
    (tmp_path / name).mkdir(exist_ok=True)
    for file in files:
        (tmp_path / name / file).write_bytes((SAMPLES / file).read_bytes())


@pytest.mark.parametrize("form", data.FORMATS)
def test_records_are_read_back_exactly_in_their_order(form, tmp_path):
    file = OF_FORMATS[form]
    put(tmp_path, file)
    folder = build(tmp_path, form)
    found = data.read_dataset(folder, file.split(".")[0])
    assert list(found) == data.read_records(SAMPLES / file, form)


def test_numbers_and_halves_of_characters_are_kept_exactly(tmp_path):
    (tmp_path / "copy").mkdir()
    line = {"prompt": "\ud800 a", "chosen": "\x00", "rejected": "", "more": [1, None]}
    line |= {"chosen_score": 0.1, "rejected_score": 1 / 3, "\udfff": {"\ud800": 1e300}}
    path = tmp_path / "copy/own.jsonl"
    path.write_text(json.dumps(line))
    found = data.read_dataset(build(tmp_path, "records"), "own")
    assert list(found) == data.read_records(path)
    assert found[-1].scores == (0.1, 1 / 3)


def test_each_file_and_each_folder_is_a_split(tmp_path):
    put(tmp_path, "hh.jsonl", "tldr.jsonl")
    put(tmp_path, "records_pairs.jsonl", "records_prompts.jsonl", name="copy/both")
    (tmp_path / "copy/empty").mkdir()
    with pytest.raises(ValueError, match="`prompt` is missing"):
        build(tmp_path, "records")
    splits = {"train": "both/records_pairs.jsonl"}
    found = data.read_dataset(build(tmp_path, "records", splits=splits), "train")
    assert len(found) == 3 and [own.prompt for own in found[1:]] == [
        "Add two and two.",
        "Say nothing.",
    ]
    assert found[-3] == found[0]
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(ValueError, match="no split 'test', only train"):
        data.read_dataset(found.folder, "test")
    assert len(data.read_dataset(found.folder, "train[:67%]")) == 2
    for path in (tmp_path / "copy").glob("*.jsonl"):
        path.unlink()
    (tmp_path / "copy/both/records_prompts.jsonl").unlink()
    made = data.build_dataset(tmp_path / "again", tmp_path / "copy", "records")
    assert list(data.read_dataset(made, "both")) == list(found)


def test_what_no_split_can_be_made_of_is_refused(tmp_path):
    (tmp_path / "copy").mkdir()
    with pytest.raises(ValueError, match="has no file of JSON"):
        build(tmp_path, "hh")
    with pytest.raises(ValueError, match="split 'a': .*none is not there"):
        build(tmp_path, "hh", splits={"a": "none"})
    put(tmp_path, "hh.jsonl")
    (tmp_path / "copy/hh.json").write_text("[]")
    with pytest.raises(ValueError, match="would both be split 'hh'"):
        build(tmp_path, "hh")
    with pytest.raises(ValueError, match="did you mean 'hh"):
        build(tmp_path, "hhh")
    with pytest.raises(ValueError, match="is no data set"):
        data.read_dataset(tmp_path, "hh")


def test_malformed_lines_are_skipped_where_asked_for_and_noted(tmp_path):
    (tmp_path / "copy").mkdir()
    path = tmp_path / "copy/own.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": 3}\n')
    with pytest.raises(ValueError, match="own.jsonl, line 2: `prompt` is 3"):
        build(tmp_path, "records")
    folder = build(tmp_path, "records", skip_malformed=True)
    assert [own.prompt for own in data.read_dataset(folder, "own")] == ["a"]
    read = json.loads((folder / "metadata.json").read_text())["read"]
    assert read["own"].startswith("1 record, 1 malformed and skipped")


def test_a_data_set_that_is_there_is_kept_and_one_of_other_files_refused(tmp_path):
    put(tmp_path, "hh.jsonl")
    folder = build(tmp_path, "hh")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert build(tmp_path, "hh") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(ValueError, match=r"something else \(skip_malformed\)"):
        build(tmp_path, "hh", skip_malformed=True)
    path = tmp_path / "copy/hh.jsonl"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ValueError, match=r"something else \(hh\); delete it"):
        build(tmp_path, "hh")


def test_a_format_of_ones_own_is_built_too(tmp_path, monkeypatch):
    own = data.Format(
        name="mine",
        about="our own",
        fields=("q",),
        gives="prompts",
        parse=lambda line: data.Record(prompt=line["q"]),
    )
    monkeypatch.setitem(data.FORMATS, "mine", own)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/train.jsonl").write_text('{"q": "a"}')
    found = data.read_dataset(build(tmp_path, "mine"), "train")
    assert list(found) == [data.Record(prompt="a")]


def test_a_damaged_data_set_says_so_or_is_read_as_it_was(tmp_path):
    put(tmp_path, "hh.jsonl")
    folder = build(tmp_path, "hh")
    sound, noticed = list(data.read_dataset(folder, "hh")), 0
    draw = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(4):
            path.write_bytes(whole[: draw.integers(len(whole))])
            try:
                assert list(data.read_dataset(folder, "hh")) == sound
            except ValueError as error:
                assert str(folder) in str(error)
                noticed += 1
        path.write_bytes(whole)
    assert noticed > 8


def test_tensorflow_is_never_imported_and_tfds_where_it_is_used(tmp_path):
    put(tmp_path, "hh.jsonl")
    script = (
        "import sys\n"
        "from nashalign import data\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        "folder = data.build_dataset(sys.argv[1], sys.argv[2], 'hh')\n"
        "assert len(data.read_dataset(folder, 'hh')) == 3\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        str(tmp_path / "k"),
        str(tmp_path / "copy"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "ownload" not in done.stdout + done.stderr


def test_a_data_set_is_read_as_the_files_that_it_was_made_of(tmp_path):
    put(tmp_path, "hh.jsonl")
    (tmp_path / "copy/more.jsonl").write_bytes((SAMPLES / "hh.jsonl").read_bytes())
    folder = build(tmp_path, "hh")
    whole = data.read_records(SAMPLES / "hh.jsonl", "hh")
    assert data.read(folder).records == whole * 2
    assert data.read(folder / "more", "hh").records == whole
    assert data.read(folder / "hh[:1]").records == whole[:1]
    assert data.title(folder / "more") == "hh, more" and data.title(folder) == "hh"
    assert "6 records, 3 of a prompt and responses" in str(data.read(folder))
    with pytest.raises(ValueError, match="of the format 'hh', and 'tldr' is asked for"):
        data.read(folder, "tldr")
    with pytest.raises(ValueError, match="no split 'less', only hh, more"):
        data.read(folder / "less")
    with pytest.raises(ValueError, match="no split 'less', only hh, more"):
        data.fingerprint(folder / "less")


def test_a_data_set_is_known_by_its_records_wherever_it_was_built(tmp_path):
    put(tmp_path, "hh.jsonl")
    one = build(tmp_path, "hh")
    two = data.build_dataset(tmp_path / "again", tmp_path / "copy", "hh")
    assert data.fingerprint(one) == data.fingerprint(two)
    assert data.fingerprint(one) != data.fingerprint(one / "hh")
    path = tmp_path / "copy/hh.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    other = data.build_dataset(tmp_path / "other", tmp_path / "copy", "hh")
    assert data.fingerprint(one) != data.fingerprint(other)


def test_a_folder_of_another_library_is_refused_by_name(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "dataset_info.json").write_text("{}")
    for read in (data.read, data.fingerprint):
        with pytest.raises(ValueError, match=f"{tmp_path} is no data set that data.b"):
            read(tmp_path)
    put(tmp_path, "hh.jsonl")
    folder = build(tmp_path, "hh")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"name": "mnist"}))
    with pytest.raises(ValueError, match="it is TFDS's 'mnist'"):
        data.read(folder)
    (folder / "dataset_info.json").unlink()
    with pytest.raises(ValueError, match="no dataset_info.json with array records"):
        data.read(folder)
