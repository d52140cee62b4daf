"""The text: code and summaries of packages, and whose they are."""

import collections
import dataclasses
import importlib.metadata
import json
from collections.abc import Set

import numpy as np
import rich.console

from experiments import docstrings
from experiments.pretrain_docstrings.config import Config
from nashalign import data, training


def corpus(config: Config, console: rich.console.Console) -> dict[str, list[data.Pair]]:
    """Returns the training and validation pairs, harvested at the first call only.

    The test functions of `experiments.docstrings`, and copies of them, are left out.
    """
    paths = {
        split: config.output / f"{split}.jsonl" for split in ("train", "validation")
    }
    counts = config.output / "counts.json"
    if not counts.exists():
        config.output.mkdir(parents=True, exist_ok=True)
        found = _harvested(config, console)
        for split, path in paths.items():
            lines = (json.dumps(dataclasses.asdict(p)) for p in found.pairs[split])
            training.write_text(path, "\n".join(lines) + "\n")
        training.write_text(counts, json.dumps(_counts(found)))
    return {
        split: [
            data.Pair(**json.loads(line))
            for line in path.read_text("utf-8").splitlines()
        ]
        for split, path in paths.items()
    }


def _harvested(config: Config, console: rich.console.Console) -> data.Harvest:
    """Returns what is found in the packages, copies of test functions left out."""
    files = data.standard_library() + data.dependencies()
    for folder in config.site_packages:
        files += data.sources.folder(folder)
    wanted = [file for file in files if file.package not in config.excluded]
    found = data.harvest.harvest(wanted, console)
    test = [function.pair for function in docstrings.test_functions()]
    learned = {split: found.pairs[split] for split in ("train", "validation")}
    kept = docstrings.without_test_texts(learned, test)
    copies = sum(len(learned[split]) - len(kept[split]) for split in kept)
    kept["train"] = _capped(kept["train"], config.most_per_package, config.seed)
    return dataclasses.replace(
        found, pairs=found.pairs | kept, duplicates=found.duplicates + copies
    )


def _counts(found: data.Harvest) -> dict:
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


def _capped(pairs: list[data.Pair], most: int, seed: int) -> list[data.Pair]:
    """Returns at most `most` pairs of every package, drawn at random."""
    taken = collections.Counter()
    kept = []
    for index in np.random.default_rng(seed).permutation(len(pairs)):
        taken[pairs[index].package] += 1
        if taken[pairs[index].package] <= most:
            kept.append(pairs[index])
    return kept


def tokenizer_of(config: Config, pairs: list[data.Pair]) -> data.Tokenizer:
    """Returns the tokenizer, trained on the texts as the model will see them."""
    folder = config.output / "tokenizer"
    if config.start is not None:
        return data.load_tokenizer(config.start)
    if not (folder / "tokenizer_config.json").exists():
        texts = (f'{p.code[:200]}\n"""{p.summary}' for p in pairs[:60_000])
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
    metadata = distribution.metadata
    classified = [
        entry.split(" :: ")[-1]
        for entry in metadata.get_all("Classifier", ())
        if entry.startswith("License ::")
    ]
    text = metadata.get("License-Expression") or ", ".join(classified)
    return text or (metadata.get("License") or "see the package").split("\n")[0][:60]
