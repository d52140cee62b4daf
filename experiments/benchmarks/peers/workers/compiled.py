"""Programs that are compiled as nashalign compiles its own."""

import importlib.util
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any

import jax

# Another checkout may be of before there were options; where it lacks them, an import
# would find those of the one that is installed.
_checkout = importlib.util.find_spec("nashalign")
assert _checkout
if PathFinder.find_spec("compiling", _checkout.submodule_search_locations):
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
