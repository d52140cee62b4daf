"""Reads the data set: looks for what its files name, and counts what is missing."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence

from experiments.docstrings import harvest, sources

FOLDER = pathlib.Path(__file__).parent
TEST = STANDARD_FUNCTIONS, OWN_FUNCTIONS = "standard_library.txt", "own_functions.jsonl"
MANIFESTS = {"train": "train.txt", "validation": "validation.txt"}

FROZEN = "frozen"
PACKAGES = (FROZEN, "dependencies", "installed", "standard_library")
"""Where training and validation prompts come from: the manifest, or a free harvest."""

STANDARD_LIBRARY, THIS_PROJECT = "standard library", "this project"
OTHERS = "other packages"
HALVES = (STANDARD_LIBRARY, THIS_PROJECT)
"""Whose code a test prompt is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function:
    """A prompt's function.

    Attributes:
      pair: its code and summary.
      cluster: name shared by functions that have more in common than two drawn at
        random: of a test function its module, or its class where the module alone
        would be more than a twentieth of the test prompts; of others their package.
    """

    pair: harvest.Pair
    cluster: str

    @property
    def half(self) -> str:
        """Whose code it is: one of `HALVES`, or `OTHERS`."""
        if self.pair.package in harvest.OWN_PACKAGES:
            return THIS_PROJECT
        known = self.pair.package in sys.stdlib_module_names
        return STANDARD_LIBRARY if known else OTHERS


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptSet:
    """The functions of every split.

    Attributes:
      functions: split name -> functions; test is first, so that the places of its
        functions do not depend on the others.
      named: split name -> number of functions that the data set names; as many as there
        are where they were harvested freely.
      fingerprint: hash of what the data set names, the same wherever it is read; of a
        free harvest, of what was found.
    """

    functions: Mapping[str, Sequence[Function]]
    named: Mapping[str, int]
    fingerprint: str

    def missing(self, split: str) -> int:
        """Number of the split's functions that were not found here."""
        return self.named[split] - len(self.functions[split])

    def described(self) -> str:
        """The fingerprint, and how much of every split is missing, in one line."""
        counts = ", ".join(
            f"{self.missing(split):,} of {number:,} {split}"
            for split, number in self.named.items()
        )
        return f"data {self.fingerprint} (prompts missing here: {counts})"


def content_hash(pair: harvest.Pair) -> str:
    """Returns 16 hexadecimal digits that stand for a function, its docstring included.

    Any change of its package, name, code or summary is another hash.
    """
    text = "\0".join((pair.package, pair.name, pair.code, pair.summary))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def load(
    folder: pathlib.Path, packages: str = FROZEN, *, names: pathlib.Path = FOLDER
) -> PromptSet:
    """Returns the data set; installed packages are harvested at the first call only.

    Args:
      folder: where the harvest is kept.
      packages: one of `PACKAGES`. Test prompts are the same for all.
      names: the folder of the files that name the functions.

    Returns:
      The functions found, in the order in which the data set names them.

    Raises:
      ValueError: if `packages` is something else, or nothing was found.
    """
    if packages not in PACKAGES:
        known = ", ".join(PACKAGES)
        raise ValueError(f"packages is {packages!r}, and must be one of {known}.")
    # TensorFlow Datasets takes seconds to import, which only a harvest is worth.
    from experiments.docstrings import builder

    source = "dependencies" if packages == FROZEN else packages
    corpus = builder.docstrings(folder, source)
    test = test_functions(names)
    found = {
        split: corpus.pairs(split) for split in MANIFESTS if split in corpus.splits
    }
    found = without_test_texts(found, [function.pair for function in test])
    named = {"test": len(_standard_clusters(names)) + len(_own_functions(names))}
    parts = [(names / name).read_bytes() for name in TEST]
    for split, name in MANIFESTS.items():
        hashes = [content_hash(pair) for pair in found.get(split, ())]
        if packages == FROZEN:
            by_hash = dict(zip(hashes, found.get(split, ()), strict=True))
            hashes = (names / name).read_text("ascii").split()
            found[split] = [by_hash[digest] for digest in hashes if digest in by_hash]
        named[split] = len(hashes)
        parts.append("\n".join(hashes).encode())
    functions = {
        split: [Function(pair=pair, cluster=pair.package) for pair in pairs]
        for split, pairs in found.items()
    }
    return PromptSet(
        functions={"test": test} | functions,
        named={split: named[split] for split in ("test", *functions)},
        fingerprint=_digest(parts),
    )


def test_functions(names: pathlib.Path = FOLDER) -> list[Function]:
    """Returns the test functions that are here: all, or all but some of the standard
    library's, where the interpreter is of another version than those it was made for.
    """
    library = sources.standard_library()
    return standard_functions(library, names) + list(_own_functions(names))


def standard_functions(
    library: Iterable[sources.Source], names: pathlib.Path = FOLDER
) -> list[Function]:
    """Returns the test functions among the source files of a standard library."""
    clusters = _standard_clusters(names)
    packages = {name.split(".")[0] for name in clusters.values()}
    found = {}
    for source in library:
        if source.package in packages:
            text = harvest.decoded(source.path.read_bytes())
            for pair in harvest.pairs_of(text, source.package):
                found[content_hash(pair)] = pair
    return [
        Function(pair=found[digest], cluster=cluster)
        for digest, cluster in clusters.items()
        if digest in found
    ]


def without_test_texts(
    pairs: Mapping[str, Sequence[harvest.Pair]], test: Sequence[harvest.Pair]
) -> dict[str, list[harvest.Pair]]:
    """Returns pairs without those that are copies of a test function.

    A copy has its code, or its name and summary (`harvest.deduplicate`).

    Args:
      pairs: split name -> pairs to learn from, unique.
      test: the test functions.

    Returns:
      The same without copies.
    """
    splits: dict[str, Sequence[harvest.Pair]] = {s: () for s in harvest.SPLITS}
    splits |= {**pairs, "test": test}
    unique = harvest.deduplicate(splits)
    return {split: unique[split] for split in pairs}


@functools.cache
def _standard_clusters(names: pathlib.Path) -> Mapping[str, str]:
    """Returns the clusters of the standard library's functions, by their hashes."""
    lines = (names / STANDARD_FUNCTIONS).read_text("ascii").splitlines()
    return dict(line.split() for line in lines)


@functools.cache
def _own_functions(names: pathlib.Path) -> tuple[Function, ...]:
    """Returns this project's own functions."""
    found = []
    for line in (names / OWN_FUNCTIONS).read_text("utf-8").splitlines():
        record = json.loads(line)
        module = record.pop("module")
        found.append(Function(pair=harvest.Pair(**record), cluster=module))
    return tuple(found)


def _digest(parts: Iterable[bytes]) -> str:
    """Returns 12 hexadecimal digits that stand for some bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:12]
