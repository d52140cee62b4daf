"""What a job keeps so as not to make it twice: arrays, and the data set on the disk."""

import dataclasses
import io
import pathlib
import shutil
from collections.abc import Iterator

import jax
import numpy as np
import rich.console

from experiments.docstrings import builder, sources
from nashalign import alignment
from nashalign.types import Examples, Prompts, Responses
from tests.fuzzing import bytes_of_files
from tests.fuzzing.trial import Trial

_QUIET = rich.console.Console(file=io.StringIO())


def arrays(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """`examples.npz`, damaged, or with arrays that do not belong together."""
    own = _examples()
    path = folder / "examples.npz"
    alignment.examples.keep(path, lambda: own)
    whole = {name: array for name, array in np.load(path).items()}
    content = path.read_bytes()
    while True:
        path.write_bytes(content)
        if random.random() < 0.5:
            what = bytes_of_files.damage(random, path)
            if what == "deleted":
                continue  # It is made again.
        else:
            what = _spoilt(random, path, whole)
        yield Trial(
            name=f"examples.npz: {what}",
            call=lambda: alignment.examples.keep(path, lambda: own),
            says=("examples.npz",),
            right=lambda found: _same(found, own),
        )


def _examples() -> Examples:
    """Two prompts with two responses each, and rewards."""
    tokens = np.arange(12, dtype=np.int32).reshape(2, 2, 3)
    return Examples(
        prompts=Prompts(
            tokens=tokens[0],
            mask=np.ones((2, 3), bool),
            ids=np.arange(2, dtype=np.int32),
        ),
        responses=Responses(
            tokens=tokens,
            mask=np.ones((2, 2, 3), bool),
            truncated=np.zeros((2, 2), bool),
        ),
        rewards=np.zeros((2, 2), np.float32),
    )


def _spoilt(random, path: pathlib.Path, whole: dict[str, np.ndarray]) -> str:
    """Writes the arrays with one of them gone, renamed, pickled or of another shape."""
    changed = dict(whole)
    name = sorted(whole)[random.integers(len(whole))]
    kind = str(random.choice(["gone", "pickled", "text", "another shape"]))
    if kind == "gone":
        del changed[name]
    elif kind == "pickled":
        changed[name] = np.array([{"a": 1}], dtype=object)
    elif kind == "text":
        changed[name] = np.array("text")
    else:
        changed[name] = whole[name][None]
    np.savez(path, **changed)
    return f"{name.split('.')[-1]} is {kind}" if name != "rewards" else f"it is {kind}"


def _same(found: Examples, own: Examples) -> bool:
    """Whether what was read is what was written, as far as it was asked for."""
    if found.rewards is None:
        found = dataclasses.replace(found, rewards=own.rewards)
    leaves = zip(jax.tree.leaves(found), jax.tree.leaves(own), strict=True)
    return all(np.array_equal(one, other) for one, other in leaves)


def corpora(random: np.random.Generator, folder: pathlib.Path) -> Iterator[Trial]:
    """The folder of a data set, with one file damaged."""
    source = folder / "module.py"
    functions = "".join(
        f'def f{n}(x):\n    """Return number {n} of them."""\n    return x + {n}\n'
        for n in range(8)
    )
    source.write_text(functions)
    files = [sources.Source("jax", source)]
    whole = folder / "whole"
    expected = builder.docstrings(whole, sources=files, console=_QUIET).pairs("train")
    while True:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        paths = sorted(p for p in copy.rglob("*") if p.is_file() and p.stat().st_size)
        path = paths[random.integers(len(paths))]
        what = bytes_of_files.damage(random, path)
        kind = path.name.split("-")[0]
        yield Trial(
            name=f"data set: {kind}: {what}",
            call=lambda copy=copy: builder.docstrings(copy, console=_QUIET).pairs(
                "train"
            ),
            says=(str(copy),),
            right=lambda found: found == expected,
        )
