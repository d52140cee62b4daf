"""Sweeps: one dynamics over games, hyperparameters and seeds at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nashalign.games import arguments, dynamics, measures
from nashalign.games.dynamics import Solver, State
from nashalign.types import Array

# `measure(state, preference [*B, Y, Y]) -> pytree of [*B, ...]`.
Measure = Callable[[State, Array], Any]


def last_gap(state: State, preference: Array) -> jax.Array:
    """Returns the duality gap of the current policy without regularisation, `[*B]`."""
    return measures.duality_gap(jnp.exp(state.log_policy), preference)


def average_gap(state: State, preference: Array) -> jax.Array:
    """Returns the duality gap of the average policy without regularisation, `[*B]`."""
    return measures.duality_gap(state.average, preference)


def sweep(
    make: Callable[..., Solver],
    settings: Mapping[str, Array],
    preference: Array,
    reference: Array,
    *,
    num_steps: int,
    every: int,
    measure: Measure = last_gap,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[State, Any]:
    """Runs a dynamics on every game with every setting, in one compiled program::

        settings = {"tau": taus.ravel(), "eta": etas.ravel()}
        state, gaps = games.sweep(games.nash_md, settings, preference, reference,
                                  num_steps=5_000, every=100)

    Seeds are settings too: of `lambda key, tau, eta: games.voting(..., key, ...)`, the
    keys. Only measurements are kept on the way. To share the games among devices, put
    them there: the sweep goes where preference and reference are.

    Args:
      make: returns the solver of one setting; it is given tracers.
      settings: arrays `[S, ...]` by argument of `make`, one entry a setting; empty for
        the one setting of a `make` without arguments (S is 1).
      preference: `[N, Y, Y]` preference of each game.
      reference: `[N, Y]` policy that each starts from.
      num_steps: steps of each run, a multiple of `every`.
      every: steps from one measurement to the next, the last of them measured.
      measure: what is kept of a state.
      progress: wraps the sequence of measurements, such as `rich.progress.track`.

    Returns:
      The last states, with axes `[S, N, ...]` (`step` is `[S]`), and the measurements,
      `[num_steps // every, S, N, ...]`.

    Raises:
      ValueError: if an argument breaks its law, the settings are not of one length, or
        the steps do not divide into measurements.
    """
    dynamics.require_multiple(num_steps, every)
    arguments.game(preference=preference, reference=reference)
    arguments.policy(reference, "reference", positive=True)
    settings = dict(settings) or {"_": jnp.zeros(1)}
    lengths = {name: jnp.shape(values)[:1] for name, values in settings.items()}
    if len(set(lengths.values())) > 1 or () in lengths.values():
        raise ValueError(f"settings must have one length S, not {lengths}")
    of = make if "_" not in settings else lambda _: make()

    def begin(setting, reference):
        return of(**setting).init(reference)

    def leap(setting, state, preference):
        state, kept = dynamics.run(
            of(**setting),
            state,
            preference,
            num_steps=every,
            every=every,
            measure=lambda state: measure(state, preference),
        )
        return state, jax.tree.map(lambda leaf: leaf[0], kept)

    leap = jax.jit(jax.vmap(leap, in_axes=(0, 0, None)), donate_argnums=1)
    begin = jax.jit(jax.vmap(begin, in_axes=(0, None)))
    state, kept = begin(settings, reference), []
    for _ in progress(range(num_steps // every)):
        state, measured = leap(settings, state, preference)
        kept.append(measured)
    return state, jax.tree.map(lambda *leaves: jnp.stack(leaves), *kept)
