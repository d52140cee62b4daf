"""FILE.py:NAME: what is found, and what is said where it is not."""

import pytest

from nashalign import python_file


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("NUMBER = 7\n")
    path = tmp_path / "own.py"
    path.write_text(
        "import dataclasses\nfrom beside import NUMBER\n\n"
        "@dataclasses.dataclass\nclass Judge:\n    n: int = NUMBER\n\n"
        "judge = Judge()\n"
    )
    return path


def test_a_name_of_a_file_is_loaded_with_what_lies_beside_the_file(file):
    assert python_file.load(f"{file}:judge").n == 7


@pytest.mark.parametrize("text", ["own.py", "own:judge", "own.py:", "runs/judge", ""])
def test_other_texts_are_no_references(text):
    assert not python_file.is_reference(text)
    with pytest.raises(ValueError, match="FILE.py:NAME"):
        python_file.load(text)


def test_a_misspelt_name_is_answered_with_near_ones(file):
    with pytest.raises(ValueError, match="no 'jugde'; did you mean judge"):
        python_file.load(f"{file}:jugde")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere.py is not a file"):
        python_file.load(f"{tmp_path}/nowhere.py:judge")


@pytest.mark.parametrize(
    "source, said",
    [
        ("a = 1\nb = a / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("a = 1\nb = (\n", "line 2: SyntaxError"),
        ("import nowhere_to_be_found\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_file_that_fails_says_in_which_line(tmp_path, source, said):
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(ValueError) as error:
        python_file.load(f"{path}:a")
    assert str(error.value).startswith(f"{path}, {said}")
