"""Every data format with every kind of judge: trained on, and the judge was asked."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable

import jax
import pytest

from nashalign import __main__ as commands
from nashalign import data, policies
from nashalign.preferences import llm
from tests import judging, lanes
from tests.cli import forms
from tests.cli.conftest import TEXTS
from tests.tiny_task import write_policy

JUDGE = """
import json
import pathlib
import zlib

ASKED = pathlib.Path(__file__).with_name("asked.jsonl")


def number(*texts):
    with ASKED.open("a") as file:
        file.write(json.dumps(texts[0]) + "\\n")
    return zlib.crc32(repr(texts).encode()) / 2**32


def prefer(prompt, y, z):
    return number(prompt, *sorted((y, z))) / 2 + (y > z) / 2


def score(prompt, y):
    return number(prompt, y)
"""
COMPARES = "answers: 1 2\n\n{context}\n##\n{first}|{second}\n1 or 2?\n"
RATES = "answers: 1 2\n\n{context}\n##\n{response}\n1 or 2?\n"
LENGTHS = ("--text.response-length", "5", "--text.prompt-length", "24")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """What judges are made of.

    Attributes:
      policy: folder of the start policy.
      prompts: pairs that learned judges are trained on.
      folder: where a module's judges are kept.
      own: folder of the cell.
    """

    policy: pathlib.Path
    prompts: pathlib.Path
    folder: pathlib.Path
    own: pathlib.Path


# Options of a judge, and what tells the prompts that it has been asked about: None
# where it is a part of a compiled program, whose rollouts alone tell.
Asked = Callable[[], set[str]] | None
Backend = Callable[[Files], contextlib.AbstractContextManager[tuple[list[str], Asked]]]


def function(name: str) -> Backend:
    """A function of text in a file."""

    @contextlib.contextmanager
    def asked(files: Files):
        path = files.own / "judge.py"
        path.write_text(JUDGE)
        log = files.own / "asked.jsonl"
        options = ["--annotator", f"{path}:{name}"]
        yield options, lambda: set(map(json.loads, log.read_text().splitlines()))

    return asked


def learned(*options: str) -> Backend:
    """What `train-judge` leaves, once a module."""

    @contextlib.contextmanager
    def asked(files: Files):
        output = files.folder / "-".join(options).strip("-")
        train = ["train-judge", "--policy", str(files.policy), *LENGTHS, *options]
        train += ["--prompts", str(files.prompts), "--output", str(output)]
        assert commands.main([*train, "--training.learning-rate", "1e-2"]) == 0
        yield ["--annotator", str(output / "judge")], None

    return asked


def local(name: str, kind: type) -> Backend:
    """A folder whose context has room for whole prompts, where it stands."""

    @contextlib.contextmanager
    def asked(files: Files):
        folder, seen = files.folder / "local", []
        if not folder.exists():
            own = write_policy(folder, TEXTS, vocabulary=280, context=1024)
            start = policies.load_pretrained(own)
            head = jax.random.normal(jax.random.key(1), (start.policy.width,))
            scored = {"policy": start.params, "head": head}
            policies.save_scorer(folder / "ranker", scored, start.config, own)
        original = kind.ask

        def ask(model, requests):
            seen.extend(own.text for own in requests)
            return original(model, requests)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "ask", ask)
            options = ["--judge.folder", str(folder / name)]
            yield [*options, *template(files, COMPARES)], lambda: contexts(seen)

    return asked


def served(text: str) -> Backend:
    """A model behind a server, asked by a template."""

    @contextlib.contextmanager
    def asked(files: Files):
        pytest.importorskip("openai")
        with judging.serving() as proxy:
            options = ["--judge.url", proxy.url, "--judge.model", "hashed"]
            options += ["--judge.timeout", "20", *template(files, text)]
            yield options, lambda: contexts(text for text, _, _ in proxy.seen)

    return asked


def template(files: Files, text: str) -> list[str]:
    path = files.own / "own.txt"
    path.write_text(text)
    return ["--judge.template", str(path)]


def contexts(texts) -> set[str]:
    """The prompts in questions that a template has made."""
    return {text.partition("\n##\n")[0] for text in texts}


# Each with a row that reads what it says.
BACKENDS: dict[str, tuple[str, Backend]] = {
    "function": ("online_ipo", function("prefer")),
    "scoring function": ("rloo", function("score")),
    "preference model": ("online_ipo", learned("--kind", "preference")),
    "reward model": ("rloo", learned("--kind", "reward")),
    "committee": ("rloo", learned("--kind", "reward", "--committee.size", "2")),
    "local LLM": ("online_ipo", local("policy", llm.LocalModel)),
    "pair ranker": ("online_ipo", local("ranker", llm.LocalRanker)),
    "server": ("online_ipo", served(COMPARES)),
    "rating server": ("rloo", served(RATES)),
}
CELLS = list(itertools.product(forms.FORMS, BACKENDS))
# Every format and every judge is in one of them.
DIAGONAL = lanes.covering({cell: set(cell) for cell in CELLS})


@pytest.mark.slow
@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "form, backend",
    [
        pytest.param(*cell, marks=lanes.marks(cell, DIAGONAL), id=", ".join(cell))
        for cell in CELLS
    ],
)
def test_a_policy_learns_from_every_judge_on_every_format(
    form, backend, chatting, prompts, judges, tmp_path
):
    path, output = tmp_path / "data.jsonl", tmp_path / "run"
    forms.many(form, path)
    method, judge = BACKENDS[backend]
    files = Files(policy=chatting, prompts=prompts, folder=judges, own=tmp_path)
    own = ["align", "--policy", str(chatting), "--prompts", str(path)]
    own += ["--format", form, "--method", method, "--output", str(output), *LENGTHS]
    own += ["--training.batch-size", "8", "--training.num-steps", "1"]
    own += ["--splits.test", "0.2", "--splits.validation", "0.2"]
    own += ["--evaluation.num-prompts", "4", "--evaluation.num-validation-prompts", "4"]
    with judge(files) as (options, asked):
        assert commands.main([*own, *options]) == 0
        heard = None if asked is None else asked()
    text = (output / "run/rollouts.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    trained = {line["prompt"] for line in lines if len(set(line["responses"])) > 1}
    known = {record.prompt for record in data.read_records(path, form)}
    assert trained and trained <= known
    # A function of text is never asked about equal responses, a learned judge always.
    assert heard is None or trained <= heard <= known
    said = [line["rewards" if method == "rloo" else "preference"] for line in lines]
    assert len({json.dumps(own) for own in said}) > 1


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    """Where the judges of all cells are."""
    return tmp_path_factory.mktemp("judges")
