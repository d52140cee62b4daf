"""Commands on published formats: what they are told, and that they train on it."""

import json
import shutil

import pytest

from nashalign import __main__ as commands
from nashalign import data
from tests.cli import forms

SAMPLES = forms.SAMPLES
JUDGE = """
def prefer(prompt, y, z):
    return 0.5 + 0.4 * ((len(y) < len(z)) - (len(y) > len(z)))
"""


def test_every_format_is_aligned_on():
    assert set(forms.FORMS) == set(data.FORMATS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        # One on pairs of messages and one on demonstrations; the others alike.
        pytest.param(own, marks=() if own in ("hh", "xsum") else pytest.mark.full)
        for own in forms.FORMS
    ],
)
def test_a_policy_is_aligned_on_every_format(form, chatting, tmp_path):
    path, output = tmp_path / "data.jsonl", tmp_path / "run"
    forms.many(form, path)
    (tmp_path / "judge.py").write_text(JUDGE)
    method = forms.FORMS[form][2]
    own = ["--policy", str(chatting), "--prompts", str(path), "--format", form]
    own += ["--method", method, "--output", str(output)]
    if method == "ipo_md":
        own += ["--annotator", f"{tmp_path}/judge.py:prefer"]
        own += ["--evaluation.num-prompts", "4"]
    own += ["--training.batch-size", "8", "--training.num-steps", "1"]
    own += ["--text.response-length", "5", "--evaluation.num-validation-prompts", "4"]
    own += ["--splits.test", "0.2", "--splits.validation", "0.2"]
    assert commands.main(["align", *own]) == 0
    assert (output / "policy/model.safetensors").is_file()


@pytest.mark.slow
def test_a_judge_is_trained_on_a_published_format(policy, tmp_path):
    path, output = tmp_path / "data.jsonl", tmp_path / "run"
    forms.many("pandalm", path)
    own = ["train-judge", "--policy", str(policy), "--prompts", str(path)]
    own += ["--format", "pandalm", "--output", str(output), "--kind", "reward"]
    own += ["--text.response-length", "5", "--training.batch-size", "8"]
    own += ["--training.num-epochs", "1", "--text.prompt-length", "24"]
    assert commands.main(own) == 0
    assert (output / "judge").is_dir() and (output / "results").is_dir()


def generate(policy, path, output, *more):
    own = ["generate", "--policy", str(policy), "--prompts", str(path)]
    own += ["--output", str(output), "--text.response-length", "3"]
    return commands.main([*own, *more])


def test_a_malformed_line_ends_a_command_or_is_left_out_and_said(
    policy, tmp_path, capsys
):
    lines = json.loads((SAMPLES / "llmbar.json").read_text())
    lines[1]["label"] = 3
    path, output = tmp_path / "pairs.json", tmp_path / "answers.jsonl"
    path.write_text(json.dumps(lines))
    said = generate(policy, path, output, "--format", "llmbar")
    assert f"{path}, entry [1]: `label` is 3; it must be one of 1, 2" in said
    assert "--skip-malformed" in said and not output.exists()
    more = ("--format", "llmbar", "--skip-malformed")
    assert generate(policy, path, output, *more) == 0
    assert len(output.read_text().splitlines()) == 2
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 records, 1 malformed and skipped" in shown
    assert "entry [1]: `label` is 3" in shown


def test_a_misspelt_format_is_refused_before_anything_is_read(policy, tmp_path):
    said = generate(policy, tmp_path / "none", tmp_path / "out", "--format", "llmbr")
    assert "--format: 'llmbr' is no format; did you mean 'llmbar'?" in said


def test_a_file_of_another_format_is_told_its_own(policy, tmp_path):
    said = generate(policy, SAMPLES / "pandalm.json", tmp_path / "answers.jsonl")
    assert "--format pandalm" in said


def test_a_folder_is_known_by_the_content_and_names_of_what_is_read(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"prompt": "a"}')
    found = [data.fingerprint(folder)]
    (folder / "README.md").write_text("not read")
    assert data.fingerprint(folder) == found[0]
    (folder / "a.jsonl").rename(folder / "b.jsonl")
    found.append(data.fingerprint(folder))
    (folder / "b.jsonl").write_text('{"prompt": "b"}')
    found.append(data.fingerprint(folder))
    (folder / "c.json").write_text("[]")
    found.append(data.fingerprint(folder))
    assert len(set(found)) == 4


def test_a_data_set_that_was_built_is_answered_as_its_files_are(
    policy, tmp_path, capsys
):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "one.json").write_bytes((SAMPLES / "llmbar.json").read_bytes())
    (copy / "two.json").write_bytes((SAMPLES / "llmbar.json").read_bytes())
    folder = data.build_dataset(tmp_path / "kept", copy, "llmbar")
    found = {"files": copy / "one.json", "split": folder / "one", "whole": folder}
    for name, path in found.items():
        more = ("--format", "llmbar") if name == "files" else ()
        assert generate(policy, path, tmp_path / name, *more) == 0
    files, split, whole = ((tmp_path / name).read_text() for name in found)
    assert files == split and len(whole.splitlines()) == 2 * len(split.splitlines())
    said = generate(policy, folder, tmp_path / "none", "--format", "pandalm")
    assert "made of the format 'llmbar', and 'pandalm' is asked for" in said
    said = generate(policy, tmp_path / "kept", tmp_path / "none")
    assert "is no data set that data.build_dataset has made" in said


def test_a_data_set_that_has_changed_is_another_run(policy, tmp_path):
    (tmp_path / "copy").mkdir()
    folder = tmp_path / "kept/preferences/records/1.0.0"
    said = []
    for word in ("rock", "paper"):
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        lines = [
            {"prompt": f"{n}", "chosen": word, "rejected": "none"} for n in range(40)
        ]
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "copy/own.jsonl").write_text(text)
        assert data.build_dataset(tmp_path / "kept", tmp_path / "copy", "records")
        command = ["train-judge", "--policy", str(policy), "--prompts", str(folder)]
        command += ["--output", str(tmp_path / "run"), "--text.response-length", "5"]
        said.append(commands.main(command))
    assert said[0] == 0 and "prompts: 1.0.0 sha256:" in said[1]
