"""Rounds: stretches of a run, and what is made anew before each of them.

A row whose paper regenerates, searches or settles a setting between stretches says so
by its column `rounds`; whoever runs it hands every round its `Context`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex

from nashalign.algorithms.method import Method
from nashalign.algorithms.state import Setup, State
from nashalign.types import Examples, Prompts


@dataclasses.dataclass(frozen=True)
class Context:
    """What a round may look at before it begins.

    Attributes:
      setup: model family, optimizer and decoding.
      state: where the run stands.
      annotator: whom the row asks.
      data: the data set's examples; None where the run has none.
      number: of the round, from 0.
      key: of the round; no step draws with it.
      draw_prompts: `(number) -> prompts`, so many of the task's, the same every time.
    """

    setup: Setup
    state: State
    annotator: Any
    data: Examples | None
    number: int
    key: chex.PRNGKey
    draw_prompts: Callable[[int], Prompts]


@dataclasses.dataclass(frozen=True)
class Round:
    """A stretch of a run.

    Attributes:
      method: what is run.
      num_steps: updates in it, at least 1.
      make: `(context, examples) -> examples`, what the stretch learns from, of what the
        one before has learnt from; None where that stays.
      settle: `(context) -> method`, the method with what has to be found first; None
        where it is known.
    """

    method: Method
    num_steps: int
    make: Callable[[Context, Examples | None], Examples] | None = None
    settle: Callable[[Context], Method] | None = None
