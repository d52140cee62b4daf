"""Options of the compiler, for programs that are compiled to be run for long.

On a CPU nearly all of the time and memory of compiling goes into one emitter of fused
loops, which makes a step no faster: without it a program of an update compiles in half
the time, and its compiler takes 30 MB where it took 450.
"""

import functools
from typing import Any

import jax

_ON_CPU = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}


def compiler_options(platform: str | None = None) -> dict[str, Any] | None:
    """Returns what to give `jax.jit` as its `compiler_options`.

    Args:
      platform: what the program is for, such as `"cpu"`; JAX's default one by default.

    Returns:
      The options; None where there are none, or the compiler does not know them.
    """
    platform = jax.default_backend() if platform is None else platform
    if platform != "cpu" or not _are_known():
        return None
    if jax.config.read("jax_disable_most_optimizations"):
        # Whoever has asked for none of them is not given some.
        return {"xla_cpu_use_fusion_emitters": False}
    return dict(_ON_CPU)


@functools.cache
def _are_known() -> bool:
    """Whether this version of the compiler has the options."""
    program = jax.jit(lambda: 0).lower()
    try:
        program.compile(compiler_options=_ON_CPU)
    except Exception:  # Which one it is differs between versions.
        return False
    return True
