"""The data set: frozen, whole, evenly clustered, and without anybody else's text."""

import collections
import dataclasses
import io
import json
import re
import types

import pytest
import rich.console

from experiments import docstrings
from experiments.docstrings import __main__ as make
from experiments.docstrings import builder, frozen, harvest, sources

QUIET = rich.console.Console(file=io.StringIO())


def pair(name, package="jax", code=None, summary=None):
    return harvest.Pair(
        name, package, code or f"def {name}():\n    pass", summary or f"Do {name}."
    )


@pytest.fixture(scope="module")
def test_set():
    return docstrings.test_functions()


def lines_of(name):
    return (frozen.FOLDER / name).read_text("utf-8").splitlines()


@pytest.fixture
def names(tmp_path):
    """A small data set: a function in each training split, and two to test on."""
    own = dataclasses.asdict(pair("own", "nashalign")) | {"module": "nashalign.own"}
    standard = docstrings.content_hash(pair("diff", "difflib"))
    files = {
        frozen.OWN_FUNCTIONS: json.dumps(own),
        frozen.STANDARD_FUNCTIONS: f"{standard} difflib.Differ",
        "train.txt": "\n".join(
            docstrings.content_hash(pair(name)) for name in ("b", "gone", "a")
        ),
        "validation.txt": docstrings.content_hash(pair("v", "click")),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    """Lets the harvest find what a test says is installed."""

    def given(**splits):
        corpus = types.SimpleNamespace(splits=splits, pairs=splits.__getitem__)
        monkeypatch.setattr(builder, "docstrings", lambda *_: corpus)
        monkeypatch.setattr(sources, "standard_library", list)

    return given


def test_the_test_prompts_are_512_in_two_halves_and_many_clusters():
    own, standard = lines_of(frozen.OWN_FUNCTIONS), lines_of(frozen.STANDARD_FUNCTIONS)
    assert (len(standard), len(own)) == (255, 257)
    clusters = [line.split()[1] for line in standard]
    clusters += [json.loads(line)["module"] for line in own]
    assert max(collections.Counter(clusters).values()) <= 512 / 20
    assert len(set(clusters)) > 120


def test_nearly_all_test_prompts_are_found_on_any_release(test_set):
    halves = collections.Counter(function.half for function in test_set)
    assert halves[docstrings.THIS_PROJECT] == 257
    # All of them on 3.11.7, 3.12.1 and 3.13.0; a later release may mend a docstring.
    assert 240 <= halves[docstrings.STANDARD_LIBRARY] <= 255
    assert len({function.pair.code for function in test_set}) == len(test_set)


def test_every_test_prompt_is_held_out(test_set):
    assert {harvest.split_of(function.pair.package) for function in test_set} == {
        "test"
    }
    assert harvest.split_of("Nashalign") == harvest.split_of("experiments") == "test"


def test_of_others_there_are_hashes_and_names_of_modules_alone():
    for name in (frozen.STANDARD_FUNCTIONS, *frozen.MANIFESTS.values()):
        for line in lines_of(name):
            assert re.fullmatch(r"[0-9a-f]{16}( [\w.]+)?", line), (name, line)
    for line in lines_of(frozen.OWN_FUNCTIONS):
        record = json.loads(line)
        assert record["package"] in harvest.OWN_PACKAGES
        assert record["module"].split(".")[0] == record["package"]


def test_splits_share_no_hash():
    hashes = [
        line.split()[0]
        for name in (frozen.STANDARD_FUNCTIONS, *frozen.MANIFESTS.values())
        for line in lines_of(name)
    ]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("field", ["name", "package", "code", "summary"])
def test_any_change_of_a_function_is_another_hash(field):
    one = pair("f")
    other = dataclasses.replace(one, **{field: getattr(one, field) + " "})
    assert docstrings.content_hash(one) != docstrings.content_hash(other)


def test_nothing_outside_the_manifest_is_used_and_what_is_missing_is_counted(
    names, installed, tmp_path
):
    installed(train=[pair("a"), pair("new"), pair("b")], validation=[])
    found = docstrings.load(tmp_path, names=names)
    # In the manifest's order, whatever that of the harvest.
    assert [own.pair.name for own in found.functions["train"]] == ["b", "a"]
    assert [found.missing(split) for split in found.functions] == [1, 1, 1]
    assert "1 of 3 train, 1 of 1 validation" in found.described()
    assert [own.cluster for own in found.functions["test"]] == ["nashalign.own"]


def test_the_fingerprint_is_of_what_is_named_not_of_what_is_found(
    names, installed, tmp_path
):
    installed(train=[pair("a")])
    some = docstrings.load(tmp_path, names=names)
    installed(train=[pair("a"), pair("b"), pair("gone")], validation=[pair("v")])
    more = docstrings.load(tmp_path, names=names)
    assert some.fingerprint == more.fingerprint
    freely = docstrings.load(tmp_path, "dependencies", names=names)
    assert freely.fingerprint != more.fingerprint


@pytest.mark.parametrize("name", [*frozen.TEST, *frozen.MANIFESTS.values()])
def test_another_data_set_has_another_fingerprint(names, installed, tmp_path, name):
    installed(train=[pair("a")])
    before = docstrings.load(tmp_path, names=names).fingerprint
    more = {
        frozen.OWN_FUNCTIONS: (names / frozen.OWN_FUNCTIONS).read_text(),
        frozen.STANDARD_FUNCTIONS: "f" * 16 + " difflib\n",
    }
    with (names / name).open("a") as file:
        file.write(more.get(name, "f" * 16 + "\n"))
    assert docstrings.load(tmp_path, names=names).fingerprint != before


def test_a_free_harvest_has_the_same_test_prompts_and_no_copy_of_them(
    names, installed, tmp_path
):
    copies = [
        pair("another", code=pair("own").code),
        pair("own", code="def own():\n    return 1"),
    ]
    installed(train=[*copies, pair("a")], validation=[copies[0], pair("v", "click")])
    found = docstrings.load(tmp_path, "installed", names=names)
    assert [own.pair.name for own in found.functions["train"]] == ["a"]
    assert [own.pair.name for own in found.functions["validation"]] == ["v"]
    assert found.missing("train") == 0
    assert list(found.functions)[0] == "test"


def test_an_unknown_choice_names_those_there_are(tmp_path):
    with pytest.raises(ValueError, match="'frozem'.*frozen, dependencies, installed"):
        docstrings.load(tmp_path, "frozem")


def function(name, text="It is what it is."):
    return f'def {name}():\n    """{text}"""\n    return {name!r}\n\n'


def test_a_data_set_is_what_libraries_share_and_modules_give_evenly(
    tmp_path, monkeypatch
):
    libraries = []
    for number in range(2):
        folder = tmp_path / f"python{number}"
        (folder / "wsgiref").mkdir(parents=True)
        (folder / "wsgiref" / "util.py").write_text(function("one") + function("two"))
        (folder / "shelve.py").write_text(function("f", f"It is number {number}."))
        (folder / "json.py").write_text(function("of_training"))
        libraries.append(folder)
    common = set.intersection(
        *({docstrings.content_hash(p) for p, _ in make.functions(f)} for f in libraries)
    )
    found = make.standard_library(libraries[0], common)
    assert sorted((p.name, cluster) for p, cluster in found) == [
        ("one", "wsgiref.util"),
        ("two", "wsgiref.util"),
    ]
    root = tmp_path / "root"
    for module, number in (("large", 9), ("small", 1), ("other", 2)):
        path = root / "nashalign" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(function(f"{module}{i}") for i in range(number)))
    (root / "setup.py").write_text(function("not_a_package_of_ours"))
    modules = collections.Counter(name for _, name in make.own_functions(root, 5))
    assert modules == {"nashalign.large": 2, "nashalign.small": 1, "nashalign.other": 2}


def test_a_module_with_too_many_functions_is_divided_by_its_classes(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(make, "MOST_IN_A_CLUSTER", 2)
    method = (
        '    def {0}(self):\n        """Do the very {0}."""\n        return "{0}"\n'
    )
    text = function("outside") + "class A:\n" + "".join(map(method.format, "xy"))
    (tmp_path / "shelve.py").write_text(text)
    everything = {docstrings.content_hash(p) for p, _ in make.functions(tmp_path)}
    found = make.standard_library(tmp_path, everything)
    assert collections.Counter(cluster for _, cluster in found) == {
        "shelve": 1,
        "shelve.A": 2,
    }
    monkeypatch.setattr(make, "MOST_IN_A_CLUSTER", 1)
    with pytest.raises(ValueError, match=r"shelve\.A has 2 of 512"):
        make.standard_library(tmp_path, everything)


def test_what_the_data_set_cannot_be_made_of_is_said_before_the_harvest(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "empty").mkdir()
    nowhere, empty = tmp_path / "nowhere", tmp_path / "empty"
    for libraries, place, said in (
        ((), empty, "--libraries names no folder"),
        ((empty, nowhere), empty, f"{nowhere} is no folder"),
        ((empty,), tmp_path / "file", "cannot write to .*file"),
        ((empty,), empty, f"--libraries {empty} has no function"),
    ):
        config = make.Config(libraries=libraries, destination=place)
        with pytest.raises((ValueError, OSError), match=said):
            make.main(config)
