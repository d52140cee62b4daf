"""Settings of every test: eight virtual devices, and JAX's strict modes."""

import os
import pathlib

import jax

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
