"""Runs a row's expected updates, for a transformer or a tabular policy."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.fixed_points import game as token_game
from nashalign import algorithms
from nashalign.types import Examples


def train(
    stages: Sequence[tuple[algorithms.Method, Examples | None]],
    games: Sequence[token_game.Game],
    family: str,
    *,
    num_steps: int,
    learning_rate: float,
    num_periods: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a row's policies before and after its run, `[1 + L, Y]` each.

    At a constant rate Adam does not settle: the rate follows half a cosine down to
    zero. In each period and stage the optimizer starts again.

    Args:
      stages: a row and what it is shown, as in `game.expected_update`; one after
        another, each from the policy and held to the policy that the last one made.
      games: what it plays in each period, the last of them in all that follow.
      family: `"transformer"` or `"tabular"`.
      num_steps: expected updates of a stage.
      learning_rate: Adam's, at the beginning of each period.
      num_periods: how often an anchor is to move, at the end of each.
    """
    with jax.enable_x64(True):
        params, policies = token_game.parameters(family), []
        for method, seen in stages:
            params, *found = _run(
                method,
                jax.tree.map(lambda *own: jnp.stack(own), *games),
                jax.tree.map(jnp.asarray, seen),
                params,
                jnp.asarray(learning_rate, float),
                jnp.asarray(num_steps // num_periods),
                family=family,
                num_steps=num_steps,
            )
            policies += found
        # A hundred such programs are more than a process has memory maps for.
        cached: Any = _run  # jax says nothing of this method in its annotations
        cached.clear_cache()
        return np.exp(policies[0]), np.exp(policies[-1])


# Each program runs for a second: compiling it is what it costs.
@functools.partial(
    jax.jit,
    static_argnames=("family", "num_steps"),
    compiler_options={"xla_backend_optimization_level": 0},
)
def _run(method, games, seen, reference, rate, length, *, family, num_steps):
    """One stage of `train`: its parameters, and log-policies before and after it."""
    policy = token_game.FAMILIES[family]

    # The optimizer counts its own steps, of which an update may make several.
    whole = length * method.settings.get("num_epochs", 1)

    def schedule(step):
        return rate * (1 + jnp.cos(jnp.pi * step / whole)) / 2

    setup = algorithms.Setup(
        policy=policy,
        optimizer=optax.adam(schedule),
        decoding=token_game.DECODING,
        levels=token_game.LEVELS,
    )
    first = state = algorithms.init(method, setup, reference, jax.random.key(0))

    def step(state, _):
        # Moments of the last period would make the first steps of this one too long.
        new = state.step % length == 0
        opt_state = jax.tree.map(
            lambda fresh, old: jnp.where(new, fresh, old),
            first.opt_state,
            state.opt_state,
        )
        state = dataclasses.replace(state, opt_state=opt_state)
        period = jnp.minimum(state.step // length, len(games.data) - 1)
        game = jax.tree.map(lambda own: own[period], games)
        return token_game.expected_update(method, setup, state, game, seen), None

    state, _ = jax.lax.scan(step, state, None, num_steps)
    return (
        state.params,
        token_game.log_policies(policy, reference),
        token_game.log_policies(policy, state.params),
    )
