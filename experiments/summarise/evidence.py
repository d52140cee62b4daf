"""What a comparison stands on, and what it leaves for others to count again."""

import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments import docstrings
from experiments.summarise import judges as judging
from experiments.summarise import task as tasks
from nashalign import training


def fingerprint(
    task: tasks.Task, learned: Mapping[str, Any], folder: pathlib.Path
) -> str:
    """Returns hashes of data, votes and judges, to be printed with every number.

    Two tables with the same line were measured on the same prompts, with judges that
    agree to the bit. The data's hash is the same everywhere; those of votes and judges
    on one kind of machine, with the same versions.

    Args:
      task: the prompts.
      learned: the judges, by what methods read.
      folder: where the judges' votes are.
    """
    votes = [_arrays(folder / name) for name in (judging.VOTES, judging.HELD_OUT_VOTES)]
    fits = ", ".join(
        f"{kind} model {_hash(jax.tree.leaves(learned[kind]))}"
        for kind in sorted(learned)
    )
    return (
        f"{task.data_set.described()}; votes {_hash(sum(votes, []))}; "
        f"judges: {fits or 'none'}"
    )


def save_preferences(
    path: pathlib.Path,
    task: tasks.Task,
    rows: np.ndarray,
    policies: Sequence[str],
    preferences: Mapping[str, np.ndarray],
) -> None:
    """Writes every preference on every test prompt, as arrays.

    `policies` names rows and columns; `prompts` are content hashes of the functions
    (`docstrings.content_hash`), with the cluster and the half of each; each judge's
    preferences are `[num_prompts, M, M]`, row over column, NaN where it was not asked.

    Args:
      path: file to write.
      task: the prompts.
      rows: of the test prompts.
      policies: names, in the order of the preferences.
      preferences: by judge.
    """
    functions = task.at("test", rows)
    hashes = [docstrings.content_hash(function.pair) for function in functions]
    with training.replacing(path) as temporary:
        np.savez_compressed(
            temporary,
            policies=np.array(policies),
            prompts=np.array(hashes),
            clusters=task.clusters("test", rows),
            halves=task.halves("test", rows),
            **{judge: table.astype(np.float32) for judge, table in preferences.items()},
        )


def table(answers: Mapping[tuple[int, int], np.ndarray], number: int) -> np.ndarray:
    """Returns a judge's answers as a table.

    Args:
      answers: preference `[num_prompts]` of policy i over policy j, by (i, j).
      number: M, of the policies.

    Returns:
      `[num_prompts, M, M]`, 1/2 on the diagonal, NaN where there is no answer.
    """
    num_prompts = len(next(iter(answers.values())))
    found = np.full((num_prompts, number, number), np.nan)
    found[:, range(number), range(number)] = 0.5
    for (i, j), preferred in answers.items():
        found[:, i, j], found[:, j, i] = preferred, 1 - preferred
    return found


def _arrays(path: pathlib.Path) -> list[np.ndarray]:
    """Returns the arrays of a file, by their names."""
    found = judging.read_votes(path)
    return [found[name] for name in sorted(found)]


def _hash(arrays: Iterable[Any]) -> str:
    """Returns 12 hexadecimal digits that stand for arrays: types, shapes and bits."""
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()[:12]
