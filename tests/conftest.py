"""Settings of every test: eight virtual devices, and JAX's strict modes."""

import os
import pathlib

import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
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

# Each compiled program holds memory maps, of which Linux allows a process 65,530; then
# loading the next one is a segmentation fault.
_MOST_MAPS = 30_000


@pytest.fixture(autouse=True)
def _programs_are_dropped_before_there_are_too_many():
    """Forgets compiled programs after a test, where the process has too many."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()
