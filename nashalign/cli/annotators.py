"""Which annotator a command line names: a function, a learned judge, or an LLM.

Every command that asks an annotator has the options `--annotator` and `--judge`, and
finds here what they stand for.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, Protocol

import jax

from nashalign import alignment, checks, data, options, preferences, python_file
from nashalign.cli.judges import Judge

_ANSWERS, _REPLIES, _COUNTS = "answers.sqlite", "judge.sqlite", "judge.jsonl"


class Config(Protocol):
    """What a command's settings say of the annotator."""

    @property
    def annotator(self) -> str | None:
        """`FILE.py:NAME` of a function of text, or the folder of a learned judge."""
        ...

    @property
    def judge(self) -> Judge:
        """The language model that is asked instead."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """The annotator of a command line.

    Attributes:
      annotator: a function of text, an annotator of tokens, or None for nobody.
      answers: where a function's answers are kept.
      counts: what became of an LLM's questions; None of any other.
    """

    annotator: Any = None
    answers: preferences.Store | None = None
    counts: preferences.llm.Counts | None = None


def check(config: Config, *, needed: bool = False) -> None:
    """Requires at most one annotator, with what it cannot do without.

    Args:
      config: the command's settings.
      needed: whether there must be one.

    Raises:
      ValueError: naming the option, and what to do.
    """
    own = config.judge
    if needed and config.annotator is None and own == Judge():
        raise ValueError(
            "nobody is asked: give --annotator FILE.py:NAME or FOLDER, or the options "
            "--judge of a language model."
        )
    if config.annotator is not None and not python_file.is_reference(config.annotator):
        _require_folder(config.annotator)
    options.require_all(own, "judge")
    asked = own.folder is not None or own.url is not None
    if config.annotator is not None and (own.template is not None or asked):
        raise ValueError(
            "--annotator and --judge both name an annotator; give one of them."
        )
    if own.template is None and asked:
        raise ValueError(
            "--judge.template says how the judge is asked: one of "
            f"{', '.join(preferences.llm.templates())}, or a file that ends in .txt."
        )
    if own.template is None:
        return
    preferences.llm.load_template(own.template)
    if (own.folder is None) == (own.url is None):
        raise ValueError(
            "--judge.template needs one model that is asked: a local one "
            "(--judge.folder) or a server's (--judge.url and --judge.model)."
        )
    if own.url is not None:
        preferences.llm.require_url(own.url)
        preferences.llm.require_client()
        if own.model is None:
            raise ValueError("--judge.url needs the name of a model, --judge.model.")


def record(config: Config) -> Any:
    """Returns what results depend on: who answers, known by content, and how."""
    own, named = config.judge, config.annotator
    if named is not None and python_file.is_reference(named):
        return reference(named)
    if named is not None:
        return alignment.folder_fingerprint(pathlib.Path(named))
    if own.template is None:
        return None
    template = preferences.llm.load_template(own.template)
    text = json.dumps([template.text, template.answers])
    model = own.model
    if own.folder is not None:
        model = alignment.folder_fingerprint(own.folder)
    digest = f"{template.name} {_digest(text.encode())}"
    top = None if own.url is None else own.top
    return {"template": digest, "model": model, "draws": own.draws, "top": top}


def named(
    config: Config, known: Any, folder: pathlib.Path, policy: pathlib.Path
) -> Named:
    """Returns the annotator that a command line names.

    Args:
      config: the command's settings, checked.
      known: what `record` has returned of them; reading a model's weights for its hash
        takes a while.
      folder: where answers are kept, made if need be.
      policy: folder of the policy that is judged, whose tokens a learned judge reads.

    Raises:
      ValueError: there is none of that name, or it does not fit.
      OSError: a file cannot be read or written.
    """
    own = config.annotator
    if own is not None and not python_file.is_reference(own):
        judge = preferences.load_judge(pathlib.Path(own), policy)
        return Named(annotator=judge)
    if own is not None:
        answers = preferences.Answers(folder / _ANSWERS, known)
        return Named(annotator=python_file.load(own), answers=answers)
    if config.judge.template is None:
        return Named()
    return _llm(config, known, folder)


def of_texts(
    config: Config,
    known: Any,
    folder: pathlib.Path,
    records: Sequence[data.Record],
    text: alignment.Text,
    *,
    size: int,
    one_order: bool = False,
) -> preferences.TextPreference | preferences.TextReward:
    """Returns the annotator that a command line names, to be asked about texts.

    Whoever has written them: a learned judge reads with its own tokenizer.

    Args:
      config: the command's settings, checked; they name one.
      known: see `named`.
      folder: where answers are kept, made if need be.
      records: the prompts that it will be asked about.
      text: how a prompt is written for a learned judge.
      size: questions in one call of a learned judge.
      one_order: whether a language model answers in the order in which it is asked,
        instead of in both.

    Raises:
      ValueError: there is none of that name, or it does not fit.
      OSError: a file cannot be read or written.
    """
    own = config.annotator
    if own is not None and not python_file.is_reference(own):
        judge = alignment.LearnedJudge(pathlib.Path(own), records, text, size=size)
        answers = preferences.Answers(folder / _ANSWERS, json.dumps(known))
        return preferences.text_annotator(judge, None, (), answers)
    found = named(config, known, folder, pathlib.Path())
    if one_order and isinstance(found.annotator, preferences.llm.LlmPreference):
        # Replies are kept by themselves: answers of both orders are others.
        judge = preferences.llm.LlmOneOrder(**vars(found.annotator))
        return preferences.text_annotator(judge, None, ())
    return preferences.text_annotator(found.annotator, None, (), found.answers)


def title(config: Config) -> str:
    """Returns what tables call the annotator."""
    own = config.judge
    if config.annotator is not None:
        return pathlib.Path(config.annotator).name
    model = own.model if own.folder is None else own.folder.name
    return f"{model}, {preferences.llm.load_template(str(own.template)).name}"


def reference(text: str) -> str:
    """Returns a name in a Python file, known by what is in the file."""
    path, own = python_file.split(text)
    return f"{data.fingerprint(path)}:{own}"


def _require_folder(annotator: str) -> None:
    """Requires the folder of a judge in the place of a function."""
    folder = pathlib.Path(annotator)
    if folder.is_dir() and preferences.is_judge(folder):
        return
    meant = ""
    if preferences.is_judge(folder / "judge"):
        meant = f" You may mean {folder / 'judge'}, which train-judge has left there."
    elif folder.is_dir():
        meant = (
            f" {folder} holds no judge: there is no config.json in it that names a "
            "class ...ForSequenceClassification of a known family. A language model is "
            "asked by --judge.folder and --judge.template."
        )
    raise ValueError(
        f"--annotator is {annotator!r}; it must be FILE.py:NAME of a function of text, "
        f"or the folder of a learned judge.{meant}"
    )


def _digest(content: bytes) -> str:
    """A hash, as records show it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def _llm(config: Config, known: Any, folder: pathlib.Path) -> Named:
    """A language model, with what is kept of it."""
    own = config.judge
    llm, template = preferences.llm, preferences.llm.load_template(str(own.template))
    account = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    # The text of a request has the template in it. A local model is read for certain
    # answers alone, a server for the most probable ones.
    read = template.answers if own.url is None else own.top
    who = [known["model"], read]
    path = folder / _REPLIES if own.cache is None else own.cache
    replies = llm.Replies(path, json.dumps(who), account)
    if own.url is None:
        backend = llm.load_local(
            checks.present(own.folder, "--judge.folder"),
            template,
            replies,
            batch_size=own.batch_size,
            dtype=_dtype(),
        )
    else:
        backend = llm.Server(
            url=own.url,
            model=str(own.model),
            replies=replies,
            key_variable=own.key_variable,
            top=own.top,
            workers=own.workers,
            patience=llm.Patience(attempts=own.attempts, timeout=own.timeout),
            budget=llm.Budget(calls=own.max_calls, tokens=own.max_tokens),
            needs_log_probs=own.draws is None,
        )
    report = functools.partial(_report, folder / _COUNTS)
    judge = llm.llm_judge(template, backend, draws=own.draws, report=report)
    answers = preferences.Answers(folder / _ANSWERS, json.dumps(known))
    return Named(annotator=judge, answers=answers, counts=backend.counts)


def _dtype() -> str:
    """In what a local model is kept: as frozen policies are."""
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def _report(path: pathlib.Path, counts: preferences.llm.Counts) -> None:
    """Adds what this process has asked so far to a log."""
    line = {"time": time.time(), **dataclasses.asdict(counts)}
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
