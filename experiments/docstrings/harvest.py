"""Pairs of code and its one-line summary, harvested from Python source files.

A pair is a function: its signature and the beginning of its body without the docstring
(`code`), and the first sentence of that docstring (`summary`), both with white space
collapsed. Every pair belongs to a top-level package, and packages, never single pairs,
are assigned to splits, by a fixed hash: whoever harvests whatever environment, a
package that is in the test split here is in the test split everywhere.
"""

import ast
import contextlib
import dataclasses
import gc
import hashlib
import importlib.util
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

import rich.console
import rich.progress

from experiments.docstrings import sentences
from experiments.docstrings.sources import Source

_Function = ast.FunctionDef | ast.AsyncFunctionDef

SPLITS = ("train", "validation", "test")

SUFFIX = '\n"""'
"""What follows a function's code in a prompt: the marks that open its docstring."""

MAX_LINES = 12
MAX_CHARACTERS = 600

# With this salt the giants of a fresh environment (jax, numpy, scipy, matplotlib,
# orbax, flax, TensorFlow Datasets) are training packages; validation and test hold two
# dozen middle-sized and small ones each, none with more than a quarter of its split.
_SALT = "nashalign-docstrings-8880"


OWN_PACKAGES = frozenset({"nashalign", "experiments"})
"""This project's own packages: its functions are test prompts and never trained on."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """A function's code, its summary, its name and its top-level package."""

    name: str
    package: str
    code: str
    summary: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Harvest:
    """The unique pairs of every split, and what was met on the way.

    Attributes:
      pairs: split name -> list of pairs.
      files: number of files read.
      unparsable: number of files that are not valid Python and were skipped.
      duplicates: number of pairs dropped because their code, or their name and summary,
        occur elsewhere.
    """

    pairs: dict[str, list[Pair]]
    files: int
    unparsable: int
    duplicates: int


def split_of(package: str) -> str:
    """Returns the split of a top-level package: 80/10/10 by a fixed, salted hash.

    This project's own packages are in the test split.
    """
    if package.casefold() in OWN_PACKAGES:
        return "test"
    digest = hashlib.sha256(f"{_SALT}:{package.casefold()}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    if share < 0.8:
        return "train"
    return "validation" if share < 0.9 else "test"


def pairs_of(text: str, package: str) -> Iterator[Pair]:
    """Yields the pairs of one source text.

    Functions and methods count, also under `if` and `try`; functions inside functions
    do not.

    Args:
      text: Python source with `\\n` line ends.
      package: the top-level package that the pairs are said to belong to.

    Yields:
      One `Pair` for each function whose docstring begins with a plain sentence.

    Raises:
      SyntaxError: if the text is not Python.
    """
    lines = text.split("\n")
    for node in _functions(_parsed(text).body):
        summary = sentences.summary(ast.get_docstring(node, clean=False) or "")
        if summary is not None and (code := _code(node, lines)):
            yield Pair(node.name, package, code, summary)


def functions_of(text: str) -> list[tuple[str, str]]:
    """Returns name and code of every function of one source text, as pairs have it.

    Docstrings are left out of the code and need not be there.

    Args:
      text: Python source with `\\n` line ends.

    Returns:
      `(name, code)` of each function with a body on lines of its own.

    Raises:
      SyntaxError: if the text is not Python.
    """
    lines = text.split("\n")
    functions = _functions(_parsed(text).body)
    return [(node.name, code) for node in functions if (code := _code(node, lines))]


def _parsed(text: str) -> ast.Module:
    """Returns the syntax tree; warnings about other people's code are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (ValueError, RecursionError, MemoryError) as error:
            # What the parser makes of null bytes, and of what is nested too deeply.
            raise SyntaxError(str(error) or "too deeply nested") from error


def decoded(content: bytes) -> str:
    """Returns the text of a source file, in the encoding that it declares.

    Args:
      content: of the file.

    Raises:
      SyntaxError: if it declares no encoding of text, or is not in it.
    """
    try:
        return importlib.util.decode_source(content)
    except (ValueError, LookupError) as error:
        raise SyntaxError(str(error)) from error


def harvest(sources: Iterable[Source], console: rich.console.Console) -> Harvest:
    """Reads all source files and returns their pairs, unique over all splits.

    A text that occurs in packages of different splits is kept in test before validation
    before train, so that no training pair is a vendored copy of a test pair.

    Args:
      sources: the files; the order does not matter, and a file named twice counts once.
      console: where the progress bar goes.

    Returns:
      The pairs by split, sorted by package, and the counts.
    """
    files = sorted(set(sources), key=lambda source: (source.package, str(source.path)))
    found: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    unparsable = 0
    with _without_garbage_collection():
        for source in _tracked(files, console):
            try:
                text = decoded(source.path.read_bytes())
                found[split_of(source.package)] += pairs_of(text, source.package)
            except (SyntaxError, OSError, UnicodeError):
                unparsable += 1
    unique = deduplicate(found)
    kept = sum(map(len, unique.values()))
    return Harvest(
        pairs=unique,
        files=len(files),
        unparsable=unparsable,
        duplicates=sum(map(len, found.values())) - kept,
    )


def deduplicate(pairs: Mapping[str, Sequence[Pair]]) -> dict[str, list[Pair]]:
    """Drops all but the first of equal pairs: of test, then validation, then train.

    Two pairs are equal if their code is, or if their names and their summaries are,
    whatever the case.

    Args:
      pairs: split name -> list of pairs.

    Returns:
      The same, with every pair unique over all splits, in the same order.
    """
    codes: set[str] = set()
    texts: set[tuple[str, str]] = set()
    unique: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for split in reversed(SPLITS):
        for pair in pairs[split]:
            text = (pair.name, pair.summary.casefold().rstrip("."))
            if pair.code not in codes and text not in texts:
                unique[split].append(pair)
            codes.add(pair.code)
            texts.add(text)
    return unique


def _functions(body: Sequence[ast.stmt]) -> Iterator[_Function]:
    """Yields the functions of a block, of its classes and of its conditionals."""
    # A stack of their own: every `elif` is an `if` within the `else` of the one before.
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef | ast.If | ast.Try | ast.With):
            waiting += reversed([*node.body, *getattr(node, "orelse", ())])


def _code(node: _Function, lines: list[str]) -> str:
    """Returns the signature on one line and the first lines of the body."""
    first = node.body[0]
    if first.lineno == node.lineno:
        return ""
    above = (line.strip() for line in lines[node.lineno - 1 : first.lineno - 1])
    signature = " ".join(line for line in above if not line.startswith("#"))
    # A parsed node has an end; one that was made by hand need not.
    begin = first.lineno - 1
    if ast.get_docstring(node, clean=False) is not None:
        begin = first.end_lineno or begin
    last = min(node.end_lineno or len(lines), begin + 2 * MAX_LINES)
    body = textwrap.dedent("\n".join(lines[begin:last])).split("\n")
    written = ["    " + line.rstrip() for line in body if line.strip()]
    code = "\n".join([_tight(signature), *written][:MAX_LINES])
    return code[:MAX_CHARACTERS].rstrip()


def _tight(signature: str) -> str:
    """Returns a signature joined from several lines as if written on one."""
    spaced = re.sub(r"\s+", " ", signature)
    return re.sub(r",? ?([)\]])", r"\1", re.sub(r"([(\[]) ", r"\1", spaced))


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Parses two fifths faster: syntax trees are many objects and have no cycles."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _tracked(sources: list[Source], console: rich.console.Console) -> Iterator[Source]:
    """Yields the sources under a progress bar with remaining time."""
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    with rich.progress.Progress(*columns, console=console) as progress:
        yield from progress.track(sources, description="harvesting docstrings")
