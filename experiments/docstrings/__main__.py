r"""Makes a new version of the data set, on which nothing measured before counts.

Run, with this project's dependencies installed and the folders of the standard
libraries of three interpreters:

    python -m experiments.docstrings --libraries LIB/python3.11 LIB/python3.12 \
        LIB/python3.13

Test functions of the standard library are all those of held-out packages
(`harvest.split_of`) that are the same in every library given. This project's own are
drawn evenly from its modules, by their hashes. Training and validation functions are
those that a harvest of the standard library and of the dependencies finds; of the
standard library's, those that are the same everywhere.
"""

import ast
import collections
import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterable

from experiments.docstrings import frozen, harvest, sources
from nashalign import command_line, terminal, training

NUM_TEST = 512
MOST_IN_A_CLUSTER = NUM_TEST // 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What the data set is made of, and where it goes."""

    libraries: tuple[pathlib.Path, ...]
    """Folders of the standard libraries of the interpreters it is to be the same on."""
    root: pathlib.Path = frozen.FOLDER.parents[1]
    """The repository whose functions are test prompts."""
    destination: pathlib.Path = frozen.FOLDER
    """Where the files are written."""


def main(config: Config) -> None:
    """Writes the four files."""
    check(config)
    libraries = [
        {frozen.content_hash(pair) for pair, _ in functions(folder)}
        for folder in config.libraries
    ]
    for folder, found in zip(config.libraries, libraries, strict=True):
        if not found:
            raise ValueError(f"--libraries {folder} has no function with a docstring.")
    common = set.intersection(*libraries)
    standard = standard_library(config.libraries[0], common)
    own = own_functions(config.root, NUM_TEST - len(standard))
    console = terminal.console()
    found = harvest.harvest(
        sources.standard_library() + sources.dependencies(), console
    )
    test = [pair for pair, _ in standard + own]
    pairs = frozen.without_test_texts(
        {split: found.pairs[split] for split in frozen.MANIFESTS}, test
    )
    lines = {
        frozen.STANDARD_FUNCTIONS: [
            f"{frozen.content_hash(pair)} {cluster}" for pair, cluster in standard
        ],
        frozen.OWN_FUNCTIONS: [
            json.dumps({"module": module} | dataclasses.asdict(pair))
            for pair, module in own
        ],
    }
    for split, name in frozen.MANIFESTS.items():
        lines[name] = sorted(
            frozen.content_hash(pair)
            for pair in pairs[split]
            if pair.package not in sys.stdlib_module_names
            or frozen.content_hash(pair) in common
        )
    for name, own_lines in lines.items():
        training.write_text(config.destination / name, "\n".join(own_lines) + "\n")
        console.print(f"{name}: {len(own_lines):,}")


def check(config: Config) -> None:
    """Requires folders to read, and one that can be written, before the harvest.

    Raises:
      ValueError: naming what is no folder.
      OSError: if the destination cannot be written.
    """
    if not config.libraries:
        raise ValueError("--libraries names no folder.")
    for folder in (*config.libraries, config.root):
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder.")
    training.require_writable(config.destination)


def functions(folder: pathlib.Path) -> list[tuple[harvest.Pair, str]]:
    """Returns the functions of a folder of packages, each with its module's name."""
    found = []
    for source in sources.folder(folder):
        module = source.path.relative_to(folder).with_suffix("")
        name = ".".join(module.parts).removesuffix(".__init__")
        try:
            text = harvest.decoded(source.path.read_bytes())
            pairs = list(harvest.pairs_of(text, source.package))
        except SyntaxError:
            continue
        found += [(pair, name) for pair in pairs]
    return found


def standard_library(
    folder: pathlib.Path, common: set[str]
) -> list[tuple[harvest.Pair, str]]:
    """Returns held-out functions of a library with their clusters, sorted by hash.

    Args:
      folder: of the library.
      common: hashes of the functions that may be taken.
    """
    modules = {
        pair: module
        for pair, module in functions(folder)
        if harvest.split_of(pair.package) == "test"
        and frozen.content_hash(pair) in common
    }
    sizes = collections.Counter(modules.values())
    for module, size in sizes.items():
        if size > MOST_IN_A_CLUSTER:
            modules |= _classes(folder, module, modules)
    largest, size = collections.Counter(modules.values()).most_common(1)[0]
    if size > MOST_IN_A_CLUSTER:
        raise ValueError(f"{largest} has {size} of {NUM_TEST} test functions.")
    return _by_hash(modules.items())


def _classes(
    folder: pathlib.Path, module: str, wanted: dict[harvest.Pair, str]
) -> dict[harvest.Pair, str]:
    """Returns the methods of a module that are wanted, with their classes' names."""
    text = (folder / f"{module.replace('.', '/')}.py").read_text("utf-8")
    package, lines = module.split(".")[0], text.split("\n")
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            own = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            for pair in harvest.pairs_of(own, package):
                found[pair] = f"{module}.{node.name}"
    return {pair: name for pair, name in found.items() if pair in wanted}


def own_functions(root: pathlib.Path, number: int) -> list[tuple[harvest.Pair, str]]:
    """Returns functions of this project, evenly from its modules, sorted by hash.

    Every module gives its first by hash, then every module its second, and so on.
    """
    modules = collections.defaultdict(list)
    codes = set()
    for pair, module in _by_hash(functions(root)):
        if pair.package in harvest.OWN_PACKAGES and pair.code not in codes:
            codes.add(pair.code)
            modules[module].append(pair)
    ranked = [
        (rank, frozen.content_hash(pair), pair, module)
        for module, pairs in modules.items()
        for rank, pair in enumerate(pairs)
    ]
    chosen = sorted(ranked, key=lambda entry: entry[:2])[:number]
    return _by_hash((pair, module) for _, _, pair, module in chosen)


def _by_hash(
    found: Iterable[tuple[harvest.Pair, str]],
) -> list[tuple[harvest.Pair, str]]:
    """Returns functions in the order of their hashes, which is no order at all."""
    return sorted(found, key=lambda entry: frozen.content_hash(entry[0]))


command = command_line.command(
    main, Config, name="python -m experiments.docstrings", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
