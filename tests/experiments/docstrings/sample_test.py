"""Samples of a policy for a user's own file."""

import pytest

from experiments.docstrings import sample


def test_samples_are_printed_for_a_users_file(start_policy, tmp_path, capsys):
    file = tmp_path / "module.py"
    file.write_text("def twice(x):\n    return 2 * x\n\n\ndef half(x):\n    return x\n")
    sample.main(sample.Config(folder=start_policy, file=file))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if ":" in line][:1] == ["twice"]


def test_a_sample_longer_than_the_context_is_refused(start_policy, tmp_path):
    file = tmp_path / "module.py"
    file.write_text("def twice(x):\n    return 2 * x\n")
    with pytest.raises(ValueError, match="--prompt-length 97 .* 128 tokens"):
        sample.main(sample.Config(folder=start_policy, file=file, prompt_length=97))


@pytest.mark.parametrize(
    "content",
    [
        b"# coding: latin-1\ndef f(x):\n    return '\xe9'\n",
        b"\xef\xbb\xbfdef f(x):\n    return x\n",
    ],
)
def test_files_of_any_declared_encoding_are_read(
    start_policy, tmp_path, content, capsys
):
    (tmp_path / "module.py").write_bytes(content)
    sample.main(sample.Config(folder=start_policy, file=tmp_path / "module.py"))
    assert capsys.readouterr().out.startswith("f:")


def test_code_that_is_cut_for_a_sample_is_counted(start_policy, tmp_path, capsys):
    file = tmp_path / "module.py"
    file.write_text(
        "def f(x):\n    return x\n\n\ndef g(y):\n    return y" + " + 1" * 99
    )
    sample.main(sample.Config(folder=start_policy, file=file))
    assert "1 of 2 are longer than 48 tokens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "named"), [("def f(:", "not valid Python"), ("x = 1\n", "no function")]
)
def test_a_file_without_functions_is_an_error(start_policy, tmp_path, text, named):
    file = tmp_path / "module.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=named):
        sample.main(sample.Config(folder=start_policy, file=file))
