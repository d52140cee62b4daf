"""The papers' protocol, on a tiny model and files of the published forms."""

import json
import pathlib

import pytest

from experiments.tldr import __main__ as tldr
from experiments.tldr import config as configs
from experiments.tldr import job
from nashalign import alignment
from tests.tiny_task import write_policy

WORDS = "the a post about some bread and one river that ran over an old bridge".split()


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """A tiny model, and files in the published forms."""
    folder = tmp_path_factory.mktemp("tldr")
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))] * 3
    policy = write_policy(folder, texts, vocabulary=290, context=128)
    posts = [
        {"subreddit": "r", "title": f"t{n}", "post": text, "summary": f" {text[:12]}"}
        for n, text in enumerate(texts)
    ]
    comparisons = [
        {
            "info": {name: own[name] for name in ("subreddit", "title", "post")},
            "summaries": [{"text": " bread", "policy": "a"}, {"text": " river over"}],
            "choice": n % 2,
        }
        for n, own in enumerate(posts)
    ]
    for line in comparisons:
        line["summaries"][1]["policy"] = "b"
    articles = [
        {"document": f"{text} {n}", "summary": text[:9]} for n, text in enumerate(texts)
    ]
    files = {"posts": posts, "comparisons": comparisons, "articles": articles}
    found = ["--policy", str(policy)]
    for name, lines in files.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found += [f"--{name}", str(path)]
    return found


@pytest.mark.full
@pytest.mark.slow
def test_everything_is_gone_through_and_each_choice_is_kept(arguments, tmp_path):
    output = tmp_path / "run"
    assert tldr.command([*arguments, "--smoke", "--output", str(output)]) == 0
    chosen = json.loads((output / "chosen.json").read_text())
    assert list(chosen) == ["rl", "ipo_md"]
    assert chosen["ipo_md"]["mix"] == 0.125 and 0 <= chosen["rl"]["win_rate"] <= 1
    text = (output / "results" / "win_rates.md").read_text()
    assert "IPO-MD" in text and "*.778±.004*" in text
    assert tldr.command([*arguments, "--smoke", "--output", str(output)]) == 0


def test_the_grid_is_the_papers(tmp_path):
    paths = dict.fromkeys(("policy", "posts", "comparisons", "articles"), tmp_path)
    config = configs.Config(**paths)
    trials = {name: config.trials(name) for name in ("rl", *configs.METHODS)}
    assert sum(map(len, trials.values())) == 39
    assert {own.learning_rate for own in trials["nash_md_pg"]} == {3e-5}
    assert {own.learning_rate for own in trials["ipo_md"]} == {1e-4}
    assert {(own.tau, own.mix) for own in trials["ipo_md"]} == {
        (tau, mix) for tau in (0.1, 0.5, 1, 5, 10) for mix in (0.125, 0.25)
    }
    assert all(isinstance(own, alignment.Settings) for own in trials["rl"])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--methods", "rloo"), "--methods has rloo"),
        (("--seeds", "0"), "--seeds is 0"),
        (("--training.num-steps", "0"), "--training.num-steps is 0"),
    ],
)
def test_settings_without_sense_are_refused(arguments, tmp_path, more, why):
    assert why in tldr.command([*arguments, "--output", str(tmp_path / "run"), *more])


@pytest.mark.parametrize("name", ["posts", "comparisons", "articles"])
def test_a_file_that_has_changed_is_another_run(arguments, tmp_path, monkeypatch, name):
    given = pathlib.Path(arguments[arguments.index(f"--{name}") + 1])
    own = tmp_path / given.name
    own.write_bytes(given.read_bytes())

    def breaks(config, run):
        (run.folder / "begun").touch()
        raise ValueError("broken off")

    monkeypatch.setattr(job, "run_all", breaks)
    command = [*arguments, f"--{name}", str(own), "--output", str(tmp_path / "run")]
    for _ in range(2):
        assert "broken off" in tldr.command(command)
    own.write_bytes(given.read_bytes().replace(b"bread", b"bride"))
    said = tldr.command(command)
    assert f"{name}: {own.name} sha256:" in said and "broken off" not in said
