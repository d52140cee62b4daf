"""The docstrings data set: built once, whole or not at all, without TensorFlow."""

import concurrent.futures
import io
import subprocess
import sys

import numpy as np
import pytest
import rich.console

from experiments.docstrings import builder, harvest, sources

QUIET = rich.console.Console(file=io.StringIO())


@pytest.fixture
def files(tmp_path):
    """Returns sources with three functions in each split and one broken file."""
    found = []
    for package in ("jax", "click", "rich"):
        path = tmp_path / f"{package}.py"
        path.write_text(
            "".join(
                f'def {package}_{i}(x):\n    """Return {package}, case {word}."""\n'
                f"    return x + {i}\n"
                for i, word in enumerate(["one", "two", "three"])
            )
        )
        found.append(sources.Source(package, path))
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    return [*found, sources.Source("broken", broken)]


def test_what_is_written_comes_back(tmp_path, files):
    corpus = builder.docstrings(tmp_path / "data", sources=files, console=QUIET)
    assert {split: len(kept) for split, kept in corpus.splits.items()} == {
        "train": 3,
        "validation": 3,
        "test": 3,
    }
    assert (corpus.files, corpus.unparsable, corpus.duplicates) == (4, 1, 0)
    expected = {
        harvest.Pair(
            f"rich_{i}",
            "rich",
            f"def rich_{i}(x):\n    return x + {i}",
            f"Return rich, case {word}.",
        )
        for i, word in enumerate(["one", "two", "three"])
    }
    assert set(corpus.pairs("test")) == expected
    assert isinstance(corpus.splits["test"][0]["code"], bytes)


def test_a_second_call_reads_what_the_first_one_built(tmp_path, files, monkeypatch):
    first = builder.docstrings(tmp_path, sources=files, console=QUIET)
    monkeypatch.setattr(harvest, "harvest", None)
    second = builder.docstrings(tmp_path, console=QUIET)
    assert second.pairs("train") == first.pairs("train")
    assert (second.files, second.unparsable) == (4, 1)


def test_a_build_that_breaks_off_leaves_nothing_to_read(tmp_path, files, monkeypatch):
    def broken(self, pairs):
        yield 0, {"name": "f", "package": "p", "code": "c", "summary": "s"}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(builder.Docstrings, "_generate_examples", broken)
        with pytest.raises(KeyboardInterrupt):
            builder.docstrings(tmp_path, sources=files, console=QUIET)
    corpus = builder.docstrings(tmp_path, sources=files, console=QUIET)
    assert len(corpus.splits["train"]) == 3


def test_what_a_killed_build_left_is_cleared_away_and_nothing_is_said_of_downloads(
    tmp_path, files, capsys
):
    left = tmp_path / "docstrings" / "dependencies" / "incomplete.ABC_1.0.0"
    left.mkdir(parents=True)
    builder.docstrings(tmp_path, sources=files, console=QUIET)
    assert not left.exists()
    assert "ownload" not in "".join(capsys.readouterr())


def test_a_second_process_waits_for_the_first_one_to_build(tmp_path, files):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with builder._alone_in(tmp_path, "dependencies"):
            second = pool.submit(
                builder.docstrings, tmp_path, sources=files, console=QUIET
            )
            with pytest.raises(TimeoutError):
                second.result(timeout=0.5)
        assert len(second.result().splits["train"]) == 3


@pytest.mark.parametrize("packages", ["dependency", "instaled"])
def test_a_misspelt_choice_names_the_near_match(tmp_path, packages):
    with pytest.raises(ValueError, match="did you mean 'dependencies'|'installed'"):
        builder.docstrings(tmp_path, packages)


def test_nothing_found_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no documented function"):
        builder.docstrings(tmp_path, sources=[], console=QUIET)


def test_an_absent_split_is_an_error_that_names_the_others(tmp_path, files):
    corpus = builder.docstrings(tmp_path, sources=files[:1], console=QUIET)
    with pytest.raises(ValueError, match="no split 'test'.*train"):
        corpus.pairs("test")


def test_tensorflow_is_never_imported(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from experiments import docstrings\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "(path / 'json.py').write_text('def f(x):\\n"
        '    """Return the very thing."""\\n    return x\\n\')\n'
        "from experiments.docstrings import builder, sources\n"
        "source = sources.Source('json', path / 'json.py')\n"
        "corpus = builder.docstrings(path / 'data', sources=[source])\n"
        "assert corpus.splits['train'][0]['name'] == b'f'\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_a_damaged_data_set_says_what_to_delete_whatever_is_damaged(tmp_path, files):
    builder.docstrings(tmp_path, sources=files, console=QUIET)
    folder = tmp_path / "docstrings" / "dependencies" / "1.0.0"

    def read():
        corpus = builder.docstrings(tmp_path, sources=files, console=QUIET)
        return {split: corpus.pairs(split) for split in corpus.splits}

    sound = read()
    draw = np.random.default_rng(0)
    noticed = 0
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for number in range(12):
            content = bytearray(whole)
            if number < 4:
                del content[draw.integers(len(content)) :]
            else:
                content[draw.integers(len(content))] ^= 1 << draw.integers(8)
            path.write_bytes(content)
            try:
                found = read()
            except ValueError as error:
                assert str(folder) in str(error) and "Delete" in str(error)
                noticed += 1
            else:
                assert found.keys() <= sound.keys()
                for split, pairs in found.items():
                    assert pairs == sound[split], (path, number)
        path.write_bytes(whole)
    assert noticed > 20
    assert read() == sound
