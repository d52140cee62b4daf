"""Theorems as data: a statement, what it predicts, and what is measured."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import numpy as np

from nashalign import games
from nashalign.types import Array


@dataclasses.dataclass(frozen=True)
class Theorem:
    """A statement that a number can contradict.

    Attributes:
      statement: in a line; where a paper prints something else, with that.
      source: the paper, with the place where it is known.
      relation: what holds between what is measured and what is predicted.
      measure: returns both, `(predicted, measured)`, in float64; its docstring says on
        which games and, where it takes one, gives the derivation.
      tolerance: by how much it may be missed, in units of the prediction; below
        `floor`, in absolute terms.
      floor: the scale of predictions that are zero.
    """

    statement: str
    source: str
    relation: Literal["=", "<=", ">="]
    measure: Callable[[], tuple[float, float]]
    tolerance: float = 1e-6
    floor: float = 1e-6

    @property
    def name(self) -> str:
        """The name of the function that measures it."""
        return self.measure.__name__


@dataclasses.dataclass(frozen=True)
class Finding:
    """What came of a theorem.

    Attributes:
      theorem: the statement.
      predicted: by it.
      measured: on games.
      excess: by how much the measurement misses the prediction, in tolerances: at most
        1 where the theorem holds.
    """

    theorem: Theorem
    predicted: float
    measured: float
    excess: float

    @property
    def holds(self) -> bool:
        """Whether the measurement bears the prediction out; false if it is NaN."""
        return self.excess <= 1


def examine(theorem: Theorem) -> Finding:
    """Measures a theorem, in float64."""
    with jax.enable_x64(True):
        predicted, measured = map(float, theorem.measure())
    miss = {
        "=": abs(measured - predicted),
        "<=": max(measured - predicted, 0.0) if measured == measured else np.nan,
        ">=": max(predicted - measured, 0.0) if measured == measured else np.nan,
    }[theorem.relation]
    allowed = theorem.tolerance * max(abs(predicted), theorem.floor)
    return Finding(theorem, predicted, measured, miss / allowed)


def path(
    solver: games.Solver,
    preference: np.ndarray,
    reference: np.ndarray,
    num_steps: int,
    every: int = 1,
) -> np.ndarray:
    """Returns log-policies `[1 + num_steps // every, *B, Y]`, the reference first."""
    start = solver.init(reference)
    run = jax.jit(
        lambda start: games.run(
            solver, start, preference, num_steps=num_steps, every=every
        )
    )
    return np.concatenate([np.log(reference)[None], np.asarray(run(start)[1])])


def limit(
    solver: games.Solver,
    preference: np.ndarray,
    reference: np.ndarray,
    num_steps: int,
) -> np.ndarray:
    """Returns the policy after many steps, `[*B, Y]`."""
    return np.exp(path(solver, preference, reference, num_steps, num_steps)[-1])


def kl(policy: Array, log_other: Array) -> np.ndarray:
    """Returns KL(policy || other) `[*B]`, nats, from the logarithm of the other."""
    policy = np.asarray(policy)
    return np.sum(policy * (np.log(policy) - np.asarray(log_other)), axis=-1)


def total_variation(policy: Array, other: Array) -> np.ndarray:
    """Returns the total variation distance `[*B]`."""
    return np.abs(np.asarray(policy) - np.asarray(other)).sum(axis=-1) / 2


def mixture(policy: Array, reference: Array, mix: float) -> np.ndarray:
    """Returns the geometric mixture `[*B, Y]` with a weight on the reference."""
    unnormalised = np.asarray(policy) ** (1 - mix) * np.asarray(reference) ** mix
    return unnormalised / unnormalised.sum(axis=-1, keepdims=True)


def random_games(
    seed: int, num_games: int = 20, size: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Returns random preferences `[N, Y, Y]` and references `[N, Y]`."""
    draws = np.random.default_rng(seed).dirichlet(np.ones(size), size=num_games)
    reference = 0.9 * draws + 0.1 / size
    return games.random_preference(seed, (num_games, size)), reference
