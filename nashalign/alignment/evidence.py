"""What a comparison stands on, and what it leaves for others to count again."""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from nashalign import writing
from nashalign.alignment import results, votes
from nashalign.alignment import task as tasks
from nashalign.alignment.contest import Pages


def fingerprint(
    described: str, learned: Mapping[str, Any], folder: pathlib.Path
) -> str:
    """Returns hashes of data, votes and judges, to be printed with every number.

    Two tables with the same line were measured on the same prompts, with judges that
    agree to the bit. The data's hash is the same everywhere; those of votes and judges
    on one kind of machine, with the same versions.

    Args:
      described: the data.
      learned: the judges, by what methods read.
      folder: where the judges' votes are.
    """
    arrays = []
    for name in (votes.FILE, votes.HELD_OUT_FILE):
        found = votes.read(folder / name)
        arrays += [found[key] for key in sorted(found)]
    fits = ", ".join(
        f"{kind} model {digest(jax.tree.leaves(learned[kind]))}"
        for kind in sorted(learned)
    )
    return f"{described}; votes {digest(arrays)}; judges: {fits or 'none'}"


def save_preferences(
    path: pathlib.Path,
    task: tasks.Task,
    rows: np.ndarray,
    runs: results.Runs,
    tables: Mapping[str, np.ndarray],
    pages: Pages,
) -> None:
    """Writes every preference on every test prompt, as arrays.

    `policies` names rows and columns; `prompts` tell the prompts, with the cluster of
    each, and the part where there are parts; each judge's preferences are
    `[num_prompts, R, R]`, row over column, NaN where it was not asked. The first
    judge's are `exact`, a learned one's `learned`.

    Args:
      path: file to write.
      task: the prompts.
      rows: of the test prompts.
      runs: whose responses were compared.
      tables: preferences by judge.
      pages: how prompts are told apart.
    """
    own = task.prompts["test"]
    identify = pages.identify or (lambda index: content_hash(task, index))
    judges = ("learned" if name == results.LEARNED else "exact" for name in tables)
    save_arrays(
        path,
        runs.labels(),
        [identify(int(index)) for index in own.ids[rows]],
        np.asarray(own.clusters)[rows],
        dict(zip(judges, tables.values(), strict=True)),
        parts=runs.parts,
    )


def save_arrays(
    path: pathlib.Path,
    policies: Sequence[str],
    prompts: Sequence[str],
    clusters: Sequence[str] | np.ndarray,
    tables: Mapping[str, np.ndarray],
    *,
    parts: np.ndarray | None = None,
) -> None:
    """Writes preferences as arrays, in the form of `save_preferences`.

    Args:
      path: file to write.
      policies: names of rows and columns.
      prompts: what tells the prompts apart.
      clusters: of the prompts.
      tables: preferences `[num_prompts, R, R]` by name.
      parts: name of the part that each prompt is of; None without parts.
    """
    with writing.replacing(path) as temporary:
        arrays: dict[str, Any] = {
            "policies": np.array(policies),
            "prompts": np.array(prompts),
            "clusters": np.asarray(clusters),
            **({} if parts is None else {"parts": parts}),
            **{name: table.astype(np.float32) for name, table in tables.items()},
        }
        np.savez_compressed(temporary, **arrays)


def save_responses(
    path: pathlib.Path, task: tasks.Task, runs: results.Runs, pages: Pages
) -> None:
    """Writes what every run has written to every test prompt, as JSON lines.

    A line is a prompt: its `id`, as `save_preferences` has it, its `prompt` where pages
    show it, and the `responses` by the name of their run.

    Args:
      path: file to write.
      task: the prompts, and how responses become text.
      runs: what was written.
      pages: which prompts are shown, and how they are told apart.
    """
    identify = pages.identify or (lambda index: content_hash(task, index))
    show = pages.sample or task.show
    texts = [[one for one, *_ in task.texts(own.responses)] for own in runs.written]
    with writing.replacing(path) as temporary, temporary.open("w") as file:
        for place, index in enumerate(map(int, runs.written[0].prompts.ids)):
            line: dict[str, Any] = {"id": identify(index)}
            if (fields := show(index)) is not None:
                line["prompt"] = next(iter(fields.values()))
            written = [own[place] for own in texts]
            line["responses"] = dict(zip(runs.labels(), written, strict=True))
            file.write(json.dumps(line) + "\n")


def content_hash(task: tasks.Task, index: int) -> str:
    """Returns 16 hexadecimal digits that stand for what is shown of an example."""
    shown = "\0".join(task.show(index).values())
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def digest(arrays: Iterable[Any]) -> str:
    """Returns 12 hexadecimal digits that stand for arrays: types, shapes and bits."""
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()[:12]
