"""Settings of every test: eight virtual devices, JAX's strict modes, and the lanes.

Of three lanes, `python -m pytest` is the default. `-m fast` is about a minute, of what
compiles little; `--full` adds the tests marked `full`: the largest sizes, all rows of
the table (`tests/lanes.py`), and the longest runs of commands.
"""

import importlib.metadata
import itertools
import os
import pathlib

import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
# Compiling is most of what the tests cost, and programs that are left as they are run
# for milliseconds. A flag that is not known ends the process: it is given to the
# compiler that it was tried with alone. Commands that tests start inherit it.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = " ".join(
        (
            os.environ.get("XLA_FLAGS", ""),
            "--xla_cpu_use_fusion_emitters=false",
            "--xla_cpu_parallel_codegen_split_count=1",
        )
    )
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_nans", True)
jax.config.update(
    "jax_compilation_cache_dir",
    str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax"),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

pytest_plugins = ["tests.tiny_task"]

_TESTS = pathlib.Path(__file__).parent
# Folders and files whose tests are fast, but for those that are marked slow or full.
_FAST = [
    _TESTS / name
    for name in (
        "architecture_test.py",
        "checks_test.py",
        "faults_test.py",
        "lanes_test.py",
        "types_test.py",
        "games/convergence_test.py",
        "games/arguments_test.py",
        "games/equilibria_test.py",
        "games/families_test.py",
        "games/measures_test.py",
        "games/other_libraries_test.py",
        "games/preferences_test.py",
        "games/structure_test.py",
        "games/token_games_test.py",
        "losses",
        "policies/extrapolation_test.py",
        "policies/logits_test.py",
        "preferences/llm/reading_test.py",
        "preferences/llm/template_test.py",
    )
]
# A worker takes one file after another: those that take longest come first, so that no
# other worker waits for the last one. The first of all takes most memory, too: in the
# full lane it solves a game of 10,000 responses.
_LONGEST = [
    _TESTS / name
    for name in (
        "games/equilibria_test.py",
        "experiments/summarise_test.py",
        "algorithms/gradients_test.py",
        "experiments/fixed_points_test.py",
        "algorithms/fixed_points_test.py",
        "algorithms/golden_test.py",
        "notebooks_test.py",
        "cli/align_test.py",
        "fuzz_test.py",
    )
]


def pytest_addoption(parser):
    """Adds the option of the full lane."""
    parser.addoption(
        "--full", action="store_true", help="run the tests that are marked full, too"
    )


def pytest_collection_modifyitems(config, items):
    """Marks the fast tests, and leaves out those of the full lane unless asked.

    The longest files come first.
    """
    last = len(_LONGEST)
    places = {path: place for place, path in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, last))
    kept, left_out = [], []
    for item in items:
        full = item.get_closest_marker("full") is not None
        if not full and item.get_closest_marker("slow") is None:
            if any(item.path.is_relative_to(path) for path in _FAST):
                item.add_marker("fast")
        (left_out if full and not config.getoption("full") else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


# Each compiled program holds memory maps, of which Linux allows a process 65,530; then
# loading the next one is a segmentation fault. To count them takes as long as a test.
_MOST_MAPS, _TESTS_BETWEEN_COUNTS = 30_000, 20
_finished = itertools.count(1)


@pytest.fixture(autouse=True)
def _programs_are_dropped_before_there_are_too_many():
    """Forgets compiled programs after a test, where the process has too many."""
    yield
    if next(_finished) % _TESTS_BETWEEN_COUNTS:
        return
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()
