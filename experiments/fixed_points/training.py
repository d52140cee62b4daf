"""Runs a row's expected updates, for a transformer or a tabular policy."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.fixed_points import game as token_game
from nashalign import algorithms


def train(
    method: algorithms.Method,
    game: token_game.Game,
    family: str,
    *,
    num_steps: int,
    learning_rate: float,
    num_periods: int = 1,
    from_examples: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a row's policies before and after its run, `[1 + L, Y]` each.

    At a constant rate Adam does not settle: the rate follows half a cosine down to
    zero. In each period the optimizer starts anew.

    Args:
      method: the row.
      game: what it plays.
      family: `"transformer"` or `"tabular"`.
      num_steps: expected updates.
      learning_rate: Adam's, at the beginning of each period.
      num_periods: how often an anchor is to move, at the end of each.
      from_examples: as in `game.expected_update`.
    """
    with jax.enable_x64(True):
        before, after = _run(
            method,
            jax.tree.map(jnp.asarray, game),
            token_game.parameters(family),
            jnp.asarray(learning_rate, float),
            jnp.asarray(num_steps // num_periods),
            family=family,
            num_steps=num_steps,
            from_examples=from_examples,
        )
        # A hundred such programs are more than a process has memory maps for.
        _run.clear_cache()
        return np.exp(before), np.exp(after)


# Each program runs for a second: compiling it is what it costs.
@functools.partial(
    jax.jit,
    static_argnames=("family", "num_steps", "from_examples"),
    compiler_options={"xla_backend_optimization_level": 0},
)
def _run(method, game, reference, rate, length, *, family, num_steps, from_examples):
    """See `train`."""
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
        updated = token_game.expected_update(method, setup, state, game, from_examples)
        return updated, None

    state, _ = jax.lax.scan(step, state, None, num_steps)
    return tuple(
        token_game.log_policies(policy, params) for params in (reference, state.params)
    )
