"""Every entry point of the library, with inputs that are wrong in a thousand ways.

It is what a user or a disk can hand something to. Given what nobody can have meant,
it must say so in a sentence that names the file, the field or the argument; it must not
hang, crash with an error that only its authors can read, or take it silently.
"""

import itertools
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from tests.fuzzing import commands, folders, functions, kept
from tests.fuzzing.trial import Trial, fault, faults

# Mutated inputs an entry point, and all of them.
NUM_TRIALS, LEAST_OF_ALL = 100, 1_500

ENTRIES = {
    "games": functions.trials(functions.exact_games),
    "families": functions.trials(functions.families_of_games),
    "losses": functions.trials(functions.loss_functions),
    "tokens": functions.trials(functions.token_functions),
    "preferences": functions.trials(functions.preference_functions),
    "evaluation": functions.trials(functions.evaluation_functions),
    "settings": functions.configurations,
}
FOLDERS = {
    "config.json": folders.configs,
    "tokenizers": folders.tokenizers,
    "weights": folders.weights,
    "checkpoints": folders.checkpoints,
    "runs": folders.runs,
    "logs": folders.logs,
    "tables": folders.tables,
    "sources": folders.sources,
    "arrays": kept.arrays,
    "data sets": kept.corpora,
    "commands": commands.commands,
}


@pytest.fixture(autouse=True)
def _as_users_run_it():
    """Without the strict mode of the other tests, in which JAX itself raises."""
    jax.config.update("jax_debug_nans", False)
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_debug_nans", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")


def _trials(entry: str, folder: pathlib.Path) -> Iterator[Trial]:
    """The mutated inputs of an entry point, the same ones in every run."""
    random = np.random.default_rng(sum(entry.encode()))
    if entry in FOLDERS:
        return FOLDERS[entry](random, folder)
    return ENTRIES[entry](random)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", [*ENTRIES, *FOLDERS])
def test_no_mutated_input_is_taken_silently_or_refused_without_a_sentence(
    entry, tmp_path
):
    number, found = faults(itertools.islice(_trials(entry, tmp_path), NUM_TRIALS))
    shown = "\n".join(f"  {name}\n    {wrong}" for name, wrong in found.items())
    assert not found, f"{len(found)} faults in {number} inputs:\n{shown}"
    assert number == NUM_TRIALS


def test_there_are_enough_entry_points():
    assert NUM_TRIALS * len(ENTRIES | FOLDERS) >= LEAST_OF_ALL


@pytest.mark.parametrize("answer", ["silent", "unreadable", "nameless", "sentence"])
def test_the_verdict_tells_a_sentence_from_everything_else(answer):
    def call():
        if answer == "unreadable":
            raise KeyError("tau")
        if answer == "nameless":
            raise ValueError("Expecting value: line 1")
        if answer == "sentence":
            raise ValueError("tau must be positive, not -1")
        return 0.3

    wrong = fault(Trial(name=answer, call=call, says=("tau",)))
    assert (wrong is None) == (answer == "sentence")
