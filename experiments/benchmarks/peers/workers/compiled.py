"""Programs that are compiled as nashalign compiles its own."""

from collections.abc import Callable
from typing import Any

import jax

try:
    from nashalign import compiling
except ImportError:
    # Another checkout, of before there were options.
    compiling = None


def jit(function: Callable[..., Any]) -> Any:
    """A function that is compiled with the options of `nashalign.compiling`, if any.

    Args:
      function: of arrays.
    """
    options = compiling.compiler_options() if compiling else None
    return jax.jit(function, compiler_options=options)
