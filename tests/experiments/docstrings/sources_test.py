"""Which source files are found, and to which package they belong."""

import pathlib

import pytest

from experiments.docstrings import sources


def install(root, name, requires=(), files=()):
    """Writes a distribution's metadata and files as pip would."""
    info = root / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def packages(found):
    """Returns the packages of sources."""
    return sorted({source.package for source in found})


def test_dependencies_are_followed_without_extras_and_missing_ones(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    requires = ["Direct_One>=1", "absent-one; sys_platform == 'x'", "e; extra == 't'"]
    install(tmp_path, "root-of-all", requires, ["root_of_all/a.py"])
    install(tmp_path, "direct-one", ["deep.two[x]<3"], ["direct/a.py", "single.py"])
    install(tmp_path, "deep-two", ["root-of-all"], ["deep/a.py", "deep/b.txt"])
    install(tmp_path, "e", (), ["extra/a.py"])
    found = sources.dependencies("root-of-all")
    assert packages(found) == ["deep", "direct", "single"]
    assert all(source.path.is_file() for source in found)


def test_dependencies_of_what_is_not_installed_are_an_error_with_advice():
    with pytest.raises(ValueError, match="no-such-thing.*pip install -e"):
        sources.dependencies("no-such-thing")


def test_installed_reads_every_distribution(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "lonely", (), ["lonely/a.py", "../../bin/lonely.py"])
    found = sources.installed()
    assert "lonely" in packages(found) and "numpy" in packages(found)
    assert ".." not in packages(found)


def test_tests_are_not_sources(tmp_path):
    wanted = ["a/b.py", "a/testing.py", "single.py"]
    unwanted = ["a/tests/b.py", "test/b.py", "a/test_b.py", "a/b_test.py"]
    unwanted += ["a/conftest.py", "site-packages/c.py"]
    for file in wanted + unwanted:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    found = sources.folder(tmp_path)
    assert [source.path.relative_to(tmp_path).as_posix() for source in found] == wanted
    assert packages(found) == ["a", "single"]


def test_the_standard_library_is_found_without_what_is_installed_in_it():
    found = packages(sources.standard_library())
    assert {"json", "argparse", "asyncio"} <= set(found)
    assert not {"site-packages", "numpy", "test"} & set(found)
    assert isinstance(sources.standard_library()[0].path, pathlib.Path)
