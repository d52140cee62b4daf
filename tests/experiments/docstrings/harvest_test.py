"""Pairs of code and summary: what is read, what is unique, what goes where."""

import io
import textwrap

import pytest
import rich.console

from experiments.docstrings import harvest
from experiments.docstrings.sources import Source

QUIET = rich.console.Console(file=io.StringIO())

# Of each split, two packages whose places are fixed for ever: moving one would mix
# what was trained on with what is tested on.
GOLDEN = {
    "jax": "train",
    "numpy": "train",
    "json": "train",
    "click": "validation",
    "requests": "validation",
    "rich": "test",
    "optax": "test",
}


def function(name="reset", summary="Reset the internal state.", body="self.x = 0"):
    """Returns the source of a documented function."""
    return f'def {name}(self):\n    """{summary}"""\n    {body}\n'


def sources(tmp_path, texts):
    """Writes one file for each package and returns them as sources."""
    found = []
    for package, text in texts.items():
        path = tmp_path / f"{package}.py"
        path.write_text(text, "utf-8")
        found.append(Source(package, path))
    return found


def pairs(text):
    """Returns the pairs of an indented source text."""
    return list(harvest.pairs_of(textwrap.dedent(text), "package"))


@pytest.mark.parametrize("package, split", GOLDEN.items())
def test_the_split_of_a_package_never_changes(package, split):
    assert harvest.split_of(package) == split


def test_a_tenth_of_all_packages_is_held_out_for_each_purpose():
    splits = [harvest.split_of(f"package{i}") for i in range(4000)]
    assert 0.78 < splits.count("train") / 4000 < 0.82
    assert 0.08 < splits.count("validation") / 4000 < 0.12
    assert 0.08 < splits.count("test") / 4000 < 0.12


def test_code_is_the_signature_on_one_line_and_the_body_without_the_docstring():
    (pair,) = pairs(
        '''
        class Counter:
            @property
            def count(
                self,
                start: int = 0,
            ) -> int:
                """Return the number of things.

                More.
                """

                # Slow.
                if start:
                    return 1
                return 0
        '''
    )
    assert pair.name == "count"
    assert pair.summary == "Return the number of things."
    assert pair.code == (
        "def count(self, start: int = 0) -> int:\n"
        "    # Slow.\n"
        "    if start:\n"
        "        return 1\n"
        "    return 0"
    )


def test_code_is_cut_to_a_few_lines_and_characters():
    body = "\n    ".join(f"x{i} = {'1' * 20}" for i in range(100))
    (pair,) = harvest.pairs_of(function(body=body), "package")
    assert len(pair.code.split("\n")) == harvest.MAX_LINES
    (pair,) = harvest.pairs_of(function(body="x = '" + "y" * 900 + "'"), "package")
    assert len(pair.code) == harvest.MAX_CHARACTERS


def test_methods_and_conditional_and_async_functions_count_and_inner_ones_do_not():
    found = pairs(
        '''
        if True:
            async def first(x):
                """Return the first of them."""
                def inner(x):
                    """Return the inner of them."""
                    return x
                return x
        else:
            def second(x):
                """Return the second of them."""
        class Thing:
            def third(self):
                """Return the third of them."""
        '''
    )
    assert [pair.name for pair in found] == ["first", "second", "third"]


def test_functions_without_docstrings_have_the_same_code_as_with_them():
    documented = function() + function("other")
    bare = documented.replace('    """Reset the internal state."""\n', "")
    expected = [(pair.name, pair.code) for pair in pairs(documented)]
    assert len(expected) == 2
    assert harvest.functions_of(documented) == harvest.functions_of(bare) == expected
    assert harvest.functions_of("def f(x): return x\n") == []


def test_a_form_feed_does_not_shift_the_lines():
    text = "\x0cx = 1\n" + function()
    (pair,) = harvest.pairs_of(text, "package")
    assert pair.code == "def reset(self):\n    self.x = 0"


def test_a_warning_in_foreign_source_stays_silent():
    assert len(list(harvest.pairs_of("x = '\\d'\n" + function(), "package"))) == 1


def test_a_file_that_does_not_parse_is_skipped_and_counted(tmp_path):
    found = sources(
        tmp_path, {"json": function(), "broken": "def f(:\n", "nul": "x = 1\0\n"}
    )
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"x = '\xe9'\n")
    result = harvest.harvest([*found, Source("latin", latin)], QUIET)
    assert (result.files, result.unparsable) == (4, 3)
    assert [pair.name for pair in result.pairs["train"]] == ["reset"]


def test_a_file_named_twice_is_read_once(tmp_path):
    found = sources(tmp_path, {"json": function()})
    result = harvest.harvest(found * 2, QUIET)
    assert (result.files, result.duplicates) == (1, 0)


@pytest.mark.parametrize(
    "copy",
    [
        function(),
        function(body="pass"),
        function(summary="reset the Internal state", body="pass"),
        function(summary="Reset it in another way."),
    ],
    ids=["whole", "other body", "other case and no full stop", "other summary"],
)
def test_a_vendored_copy_of_a_test_text_never_lands_in_train(tmp_path, copy):
    found = sources(tmp_path, {"jax": copy, "click": copy, "rich": function()})
    result = harvest.harvest(found, QUIET)
    assert {split: len(kept) for split, kept in result.pairs.items()} == {
        "train": 0,
        "validation": 0,
        "test": 1,
    }
    assert result.duplicates == 2
    assert result.pairs["test"][0].package == "rich"


def test_a_dropped_duplicate_still_keeps_its_own_copies_out():
    first = harvest.Pair("f", "rich", "code a", "Do the one thing.")
    bridge = harvest.Pair("f", "click", "code b", "Do the one thing.")
    last = harvest.Pair("g", "jax", "code b", "Do another thing.")
    unique = harvest.deduplicate(
        {"train": [last], "validation": [bridge], "test": [first]}
    )
    assert unique == {"train": [], "validation": [], "test": [first]}


def test_the_order_of_the_files_does_not_matter(tmp_path):
    texts = {name: function(name, body=f"x = '{name}'") for name in GOLDEN}
    found = sources(tmp_path, texts | {"vendored": texts["jax"]})
    forward = harvest.harvest(found, QUIET)
    assert forward == harvest.harvest(found[::-1], QUIET)


NESTED = {
    "no such codec": b"# coding: klingon\ndef f():\n    pass\n",
    "no codec of text": b"# coding: hex\ndef f():\n    pass\n",
    "another encoding": b"# coding: utf-8\n'\xff'\n",
    "null bytes": b"x = 1\0",
    "operators": b"x = " + b"-" * 100_000 + b"1\n",
    "brackets": b"x = " + b"(" * 100_000 + b"\n",
    "attributes": b"x = a" + b".b" * 100_000 + b"\n",
    "a sum": b"x = 1" + b" + 1" * 100_000 + b"\n",
}


@pytest.mark.parametrize("content", NESTED.values(), ids=NESTED)
def test_no_file_ends_the_harvest_and_each_is_counted(tmp_path, content):
    sound = b'def f(x):\n    """Return the argument."""\n    return x\n'
    found = []
    for name, written in (("bad", content), ("good", sound)):
        path = tmp_path / f"{name}.py"
        path.write_bytes(written)
        found.append(Source(name, path))
    result = harvest.harvest(found, QUIET)
    assert (result.files, result.unparsable) == (2, 1)
    assert sum(map(len, result.pairs.values())) == 1
    with pytest.raises(SyntaxError):
        harvest.functions_of(harvest.decoded(content))


def test_a_function_below_many_elifs_is_found_or_the_file_is_not_python():
    branches = "".join(f"elif x == {n}:\n    pass\n" for n in range(900))
    text = f"if x:\n    pass\n{branches}else:\n    def f(x):\n        return x\n"
    try:
        assert [name for name, _ in harvest.functions_of(text)] == ["f"]
    except SyntaxError as error:
        # The parser of some versions gives up earlier than ours.
        assert isinstance(error.__cause__, RecursionError | MemoryError)
