"""The text: code and summaries of packages, and whose they are."""

import collections
import dataclasses
import importlib.metadata
import json
import pathlib
from collections.abc import Set
from typing import Any

import numpy as np
import rich.console

from experiments import docstrings
from experiments.docstrings import harvest, sources
from experiments.docstrings.pretrain.config import Config
from nashalign import data, json_file, training

LEARNED = ("train", "validation")
_COUNTS = {
    "files": int,
    "unparsable": int,
    "duplicates": int,
    "pairs": dict,
    "packages": dict,
    "trained_on": list,
}


def corpus(
    config: Config, console: rich.console.Console
) -> dict[str, list[harvest.Pair]]:
    """Returns the training and validation pairs, harvested at the first call only.

    The test functions of `experiments.docstrings`, and copies of them, are left out.
    """
    paths = {split: config.output / f"{split}.jsonl" for split in LEARNED}
    if not _counts_file(config).exists():
        config.output.mkdir(parents=True, exist_ok=True)
        found = _harvested(config, console)
        for split, path in paths.items():
            lines = (json.dumps(dataclasses.asdict(p)) for p in found.pairs[split])
            training.write_text(path, "".join(f"{line}\n" for line in lines))
        training.write_text(_counts_file(config), json.dumps(_counted(found)))
    numbers = counts(config)["pairs"]
    return {
        split: _read(path, numbers[split], _again(config))
        for split, path in paths.items()
    }


def counts(config: Config) -> dict:
    """Returns what the model card says about the harvest, from its file.

    Raises:
      ValueError: if the file is damaged, naming it.
      OSError: if it cannot be read.
    """
    path = _counts_file(config)
    found = training.read_json(path, _again(config), *_COUNTS)
    for name, kind in _COUNTS.items():
        own = found[name]
        by_split = isinstance(own, dict) and all(
            isinstance(own.get(split), int) for split in LEARNED
        )
        if not (by_split if kind is dict else isinstance(own, kind)):
            raise training.damaged(path, f"its {name} are {own!r:.60}", _again(config))
    return found


def _counts_file(config: Config) -> pathlib.Path:
    """Where the counts of a harvest are kept; it is written last."""
    return config.output / "counts.json"


def _again(config: Config) -> str:
    """What is to be done about a damaged harvest."""
    return f"Delete {_counts_file(config)} to harvest again"


def _read(path: pathlib.Path, number: int, remedy: str) -> list[harvest.Pair]:
    """The pairs of a split, which are as many as were counted."""
    lines = path.read_bytes().splitlines()
    if len(lines) != number:
        reason = f"it has {len(lines):,} lines, not {number:,}"
        raise training.damaged(path, reason, remedy)
    names = {field.name for field in dataclasses.fields(harvest.Pair)}
    found = []
    for place, line in enumerate(lines, 1):
        try:
            pair = json_file.parse(line)
        except ValueError as error:
            reason = f"line {place} is {error}"
            raise training.damaged(path, reason, remedy) from error
        if pair.keys() != names or not all(isinstance(x, str) for x in pair.values()):
            raise training.damaged(path, f"line {place} is no pair", remedy)
        found.append(harvest.Pair(**pair))
    return found


def _harvested(config: Config, console: rich.console.Console) -> harvest.Harvest:
    """Returns what is found in the packages, copies of test functions left out."""
    files = sources.standard_library() + sources.dependencies()
    for folder in config.site_packages:
        files += sources.folder(folder)
    wanted = [file for file in files if file.package not in config.excluded]
    found = harvest.harvest(wanted, console)
    test = [function.pair for function in docstrings.test_functions()]
    learned = {split: found.pairs[split] for split in LEARNED}
    kept = docstrings.without_test_texts(learned, test)
    copies = sum(len(learned[split]) - len(kept[split]) for split in kept)
    kept["train"] = _capped(kept["train"], config.most_per_package, config.seed)
    return dataclasses.replace(
        found, pairs=found.pairs | kept, duplicates=found.duplicates + copies
    )


def _counted(found: harvest.Harvest) -> dict:
    """Returns what the model card says about a harvest."""
    packages = {
        split: len({pair.package for pair in pairs})
        for split, pairs in found.pairs.items()
    }
    return {
        "files": found.files,
        "unparsable": found.unparsable,
        "duplicates": found.duplicates,
        "pairs": {split: len(pairs) for split, pairs in found.pairs.items()},
        "packages": packages,
        "trained_on": sorted({pair.package for pair in found.pairs["train"]}),
    }


def _capped(pairs: list[harvest.Pair], most: int, seed: int) -> list[harvest.Pair]:
    """Returns at most `most` pairs of every package, drawn at random."""
    taken = collections.Counter()
    kept = []
    for index in np.random.default_rng(seed).permutation(len(pairs)):
        taken[pairs[index].package] += 1
        if taken[pairs[index].package] <= most:
            kept.append(pairs[index])
    return kept


def tokenizer_of(config: Config, pairs: list[harvest.Pair]) -> data.Tokenizer:
    """Returns the tokenizer, trained on the texts as the model will see them."""
    folder = config.output / "tokenizer"
    if config.start is not None:
        return data.load_tokenizer(config.start)
    if not (folder / "tokenizer_config.json").exists():
        texts = (f"{p.code[:200]}{harvest.SUFFIX}{p.summary}" for p in pairs[:60_000])
        return data.train_tokenizer(texts, folder, vocabulary=config.vocabulary)
    return data.load_tokenizer(folder)


def licences(config: Config, packages: Set[str]) -> str:
    """Returns a table row for each distribution read: name, version and licence.

    Args:
      config: where else packages are installed than here.
      packages: top-level packages that were trained on.
    """
    paths = [str(path) for path in config.site_packages]
    here = list(importlib.metadata.distributions())
    there = list(importlib.metadata.distributions(path=paths)) if paths else []
    rows = {}
    for distribution in here + there:
        files = distribution.files or ()
        if not packages.isdisjoint(f.parts[0].removesuffix(".py") for f in files):
            name, licence = distribution.metadata["Name"], _licence(distribution)
            rows[name.lower()] = f"| {name} | {distribution.version} | {licence} |"
    return "\n".join(rows[name] for name in sorted(rows))


def _licence(distribution: importlib.metadata.Distribution) -> str:
    """Returns the licence that a distribution declares, in its shortest form."""
    metadata: Any = distribution.metadata  # a message, which its protocol leaves out
    classified = [
        entry.split(" :: ")[-1]
        for entry in metadata.get_all("Classifier", ())
        if entry.startswith("License ::")
    ]
    text = metadata.get("License-Expression") or ", ".join(classified)
    return text or (metadata.get("License") or "see the package").split("\n")[0][:60]
