"""Programs that are compiled as nashalign compiles its own."""

import importlib.machinery
from collections.abc import Callable
from typing import Any

import jax

import nashalign

# Another checkout may be of before there were options; where it lacks them, an import
# would find those of the one that is installed.
if importlib.machinery.PathFinder.find_spec("compiling", nashalign.__path__):
    from nashalign import compiling
else:
    compiling = None


def jit(function: Callable[..., Any]) -> Any:
    """A function that is compiled with the options of `nashalign.compiling`, if any.

    Args:
      function: of arrays.
    """
    options = compiling.compiler_options() if compiling else None
    return jax.jit(function, compiler_options=options)
