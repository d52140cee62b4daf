"""README and docs: what they show runs, what they link to is there."""

import contextlib
import doctest
import importlib
import os
import pathlib
import re
import shlex
import subprocess
import sys

import jax
import pytest

from experiments.fixed_points import __main__ as fixed_points
from nashalign import algorithms, command_line, data, policies, python_file
from nashalign.policies import families

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
FENCE = re.compile(r"^```\{?([\w-]*)\}?[^\n]*\n(.*?)^```$", re.M | re.S)
# What a page runs for minutes is run here as small as can be.
SMALLER = {
    "num_steps=20": "num_steps=2",
    "batch_size=16": "batch_size=8",
    "num_prompts=128": "num_prompts=16",
}
SETTINGS = ("jax_enable_x64", "jax_disable_most_optimizations")


def blocks(page, *languages):
    found = FENCE.findall(page.read_text("utf-8"))
    return [(kind, text) for kind, text in found if kind in languages]


def pages_with(*languages):
    found = [page for page in PAGES if blocks(page, *languages)]
    return pytest.mark.parametrize(
        "page", found, ids=lambda page: page.relative_to(ROOT).as_posix()
    )


@pytest.fixture
def a_checkout(tmp_path, monkeypatch, start_policy):
    """A folder in which a page may leave what it likes, with a tiny start policy."""
    (tmp_path / "experiments").mkdir()
    for path in (ROOT / "experiments").iterdir():
        own = start_policy if path.name == "start_policy" else path
        (tmp_path / "experiments" / path.name).symlink_to(own)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def quickly_compiled():
    """Compiles quickly, and forgets what a page sets and registers."""
    before = {name: jax.config.read(name) for name in SETTINGS}
    tables = [(own, dict(own)) for own in (algorithms.TABLE, data.FORMATS)]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    for own, kept in tables:
        own.clear()
        own.update(kept)


def run_block(kind, text, name, namespace):
    """Runs Python, or a session, of which the page shows what comes of it."""
    for long, short in SMALLER.items():
        text = text.replace(long, short)
    if kind == "python":
        exec(compile(text, name, "exec"), namespace)
        return
    session = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    session.globs = namespace
    runner, shown = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    runner.run(session, out=shown.append, clear_globs=False)
    assert not runner.failures, "".join(shown)


@pytest.mark.slow
@pytest.mark.usefixtures("a_checkout", "quickly_compiled")
@pages_with("python", "pycon")
def test_what_a_page_says_in_python_runs_from_top_to_bottom(page):
    namespace = {"__name__": "__page__"}
    for number, (kind, text) in enumerate(blocks(page, "python", "pycon"), 1):
        run_block(kind, text, f"{page.name}, block {number}", namespace)


class Parsed(Exception):
    """A command line has been read."""


def commands(page):
    """The command lines of a page, as lists of words."""
    for _, text in blocks(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&", line):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    yield words


def entrance(words):
    """What a command line calls, and with which arguments."""
    if words[0] == "nashalign":
        return importlib.import_module("nashalign.__main__").main, words[1:]
    assert words[:2] == ["python", "-m"], words
    name = words[2]
    if (ROOT / name.replace(".", "/")).is_dir():
        name += ".__main__"
    return importlib.import_module(name).command, words[3:]


# Commands of other programs, and what of them could be wrong.
OTHERS = {
    "pip": lambda words: all(
        f'"{extra}": [' in (ROOT / "setup.py").read_text("utf-8")
        for extra in re.findall(r"\[(\w+)\]", " ".join(words))
    ),
    "python -m pytest": lambda words: True,
    "python -m tests.faults": lambda words: True,
    "python -m sphinx": lambda words: (ROOT / words[-2] / "conf.py").is_file(),
}


@pytest.mark.usefixtures("a_checkout")
@pages_with("sh")
def test_every_command_of_a_page_can_be_read(page, monkeypatch):
    parse = command_line.parse

    def parse_only(*arguments):
        raise Parsed(parse(*arguments))

    monkeypatch.setattr(command_line, "parse", parse_only)
    for words in commands(page):
        line = " ".join(words)
        [known] = [own for own in OTHERS if line.startswith(f"{own} ")] or [None]
        if known is not None:
            assert OTHERS[known](words), line
            continue
        call, arguments = entrance(words)
        with contextlib.suppress(Parsed):
            assert not call(arguments), line


def links(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)|<a href=\"([^\"]+)\"", text)
    return [one or other for one, other in found]


def slugs(page):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_what_a_page_links_to_is_there(page):
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in slugs(target), link


def test_every_page_is_reached_from_the_first_one():
    reached, left = set(), [DOCS / "index.md"]
    while left:
        page = left.pop()
        reached.add(page)
        for _, tree in blocks(page, "toctree"):
            names = [line for line in tree.split() if not line.startswith(":")]
            left += [
                page.parent / f"{name}.md" for name in names if name.strip("0123456789")
            ]
    assert reached == set(DOCS.glob("**/*.md"))


def test_the_catalogue_has_every_row_with_its_settings_and_departures():
    shown = python_file.load(f"{DOCS / 'catalogue.py'}:page")("{rows}")
    entries = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", shown, re.M | re.S))
    assert [*entries] == list(algorithms.TABLE)
    for name, row in algorithms.TABLE.items():
        found = re.findall(r"^\| `(\w+)` \|", entries[name], re.M)
        assert found == [setting.name for setting in row.settings]
        plain = re.sub(r"\\(.)", r"\1", entries[name])
        assert all(f"\n- {departure}\n" in plain for departure in row.departures)
        assert f"Expected update: {row.exactness}." in entries[name]


def test_the_catalogue_says_what_the_loss_is_and_where_rows_rest():
    shown = python_file.load(f"{DOCS / 'catalogue.py'}:page")("{rows}{recipes}")
    entries = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", shown, re.M | re.S))
    assert r"\left(h - \frac{p - 1/2}{\tau}\right)^2" in entries["ipo_md"]
    # A sum has what each of its terms says.
    assert r"\max(0, \delta - h)" in entries["slic_hf"]
    assert "log-likelihood of a pair's winner" in entries["slic_hf"]
    predicted = {entry.row for entry in fixed_points.ENTRIES}
    assert {name for name, own in entries.items() if "Rests at:" in own} == predicted
    assert "- reference exp(r / tau), at tau 0.8\n" in entries["rl"]


def test_the_families_of_the_catalogue_are_the_table():
    text = (DOCS / "catalogue.md").read_text("utf-8")
    lines = re.findall(
        r"^\| (?:rewards|data sets|online pairs|Nash .*?) \| (.*) \|$", text, re.M
    )
    named = re.findall(r"`(\w+)`", " ".join(lines))
    assert sorted(named) == sorted(algorithms.TABLE)
    for page in (DOCS / "catalogue.md", ROOT / "README.md"):
        assert re.findall(r"(\d+) rows", page.read_text("utf-8")) == [str(len(named))]


def test_every_family_is_listed_with_its_options_and_what_is_refused():
    page = python_file.load(f"{DOCS / 'families.py'}:page")
    shown = page("{families}")
    found = re.findall(r"^### [^\n]*: `(\w+)`\n(.*?)(?=^### |\Z)", shown, re.M | re.S)
    entries = dict(found)
    assert [*entries] == [own.model_type for own in policies.known_families()]
    for family in policies.known_families():
        entry = entries[family.model_type]
        assert f"`{family.architecture}`" in entry
        assert (family.scorer or "reward models") in entry or not family.scorer
        fields = families.option_names(family.config)
        options = [*family.required, *fields.values(), *family.known, *family.only]
        assert all(f"`{name}`" in entry for name in options)
    assert "`attention_bias` (`false`)" in entries["llama"]
    assert "attention's four projections have biases" in entries["llama"]
    [refused] = re.findall(
        "^Refused with any other value: (.*)", entries["llama"], re.M
    )
    assert '`hidden_act` `"silu"` or `"swish"`' in refused
    assert "`quantization_config` `null`" in refused
    assert "`mixtral`" in shown and "whose routed MLPs are not implemented" in shown
    assert "`llama3`, `yarn`" in shown and "`use_cache`" in shown
    assert "{families}" in (DOCS / "how_to/checkpoint.md").read_text("utf-8")


def test_every_format_is_listed_with_its_fields():
    shown = python_file.load(f"{DOCS / 'formats.py'}:page")("{formats}")
    rows = [re.findall(r"`(\w+)`", line) for line in shown.splitlines()[2:]]
    for row, own in zip(rows, data.FORMATS.values(), strict=True):
        assert row[: 1 + len(own.fields)] == [own.name, *own.fields]
    assert "{formats}" in (DOCS / "how_to/data.md").read_text("utf-8")


@pytest.mark.full
def test_the_pages_are_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    built = subprocess.run(
        [*command, str(DOCS), str(tmp_path)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "catalogue.html").is_file()
