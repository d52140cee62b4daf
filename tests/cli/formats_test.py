"""Commands on published formats: what they are told, and that they train on it."""

import json
import pathlib

import pytest

from nashalign import __main__ as commands
from nashalign import data

SAMPLES = pathlib.Path(__file__).parents[1] / "data/samples"
TURNS = (
    "{% for own in messages %}<|begin|>{{ own.role }}: {{ own.content }}\n{% endfor %}"
)
# Where a number in a line makes another prompt of it, and what learns from such lines.
FORMS = {
    "records": ("records_pairs.jsonl", '"prompt": "', "dpo"),
    "hh": ("hh.jsonl", "Human:", "dpo"),
    "hh_text": ("hh.jsonl", "Human:", "dpo"),
    "tldr": ("tldr.jsonl", '"post": "', "dpo"),
    "tldr_prompts": ("tldr_prompts.jsonl", '"post": "', "sft"),
    "xsum": ("xsum.jsonl", '"document": "', "sft"),
    "ultrafeedback_prompts": ("ultrafeedback_binarized.jsonl", '"prompt": "', "ipo_md"),
    "ultrafeedback_binarized": (
        "ultrafeedback_binarized.jsonl",
        '"user", "content": "',
        "dpo",
    ),
    "ultrafeedback_scored": ("ultrafeedback_scored.jsonl", '"instruction": "', "dpo"),
    "pandalm": ("pandalm.json", '"instruction": "', "dpo"),
    "llmbar": ("llmbar.json", '"input": "', "dpo"),
}
JUDGE = """
def prefer(prompt, y, z):
    return 0.5 + 0.4 * ((len(y) < len(z)) - (len(y) > len(z)))
"""


@pytest.fixture(scope="module")
def chatting(policy, tmp_path_factory):
    """The tiny policy, with a chat template."""
    folder = tmp_path_factory.mktemp("chatting")
    for path in policy.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "chat_template.jinja").write_text(TURNS)
    return folder


def test_every_format_is_aligned_on():
    assert set(FORMS) == set(data.FORMATS)


def many(form, path):
    """Writes twenty lines of a format for every one of its sample."""
    name, front, _ = FORMS[form]
    content = (SAMPLES / name).read_text()
    lines = json.loads(content) if content.startswith("[") else None
    lines = lines or [json.loads(line) for line in content.splitlines()]
    texts = [
        json.dumps(line).replace(front, f"{front}{n}")
        for line in lines
        for n in range(20)
    ]
    path.write_text("\n".join(texts))


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        # One on pairs of messages and one on demonstrations; the others alike.
        pytest.param(own, marks=() if own in ("hh", "xsum") else pytest.mark.full)
        for own in FORMS
    ],
)
def test_a_policy_is_aligned_on_every_format(form, chatting, tmp_path):
    path, output = tmp_path / "data.jsonl", tmp_path / "run"
    many(form, path)
    (tmp_path / "judge.py").write_text(JUDGE)
    method = FORMS[form][2]
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
    many("pandalm", path)
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
