"""What a step on one large game costs.

Nash-MD by the number of responses: the time of a step, that over the number of entries
of the preference, and the bandwidth at which it reads them, beside that of a sum.

Run: python -m experiments.benchmarks.large_games
"""

import dataclasses
import resource
import sys
import time

import jax
import jax.numpy as jnp
import rich.table

from nashalign import command_line, games, options, terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes."""

    sizes: tuple[int, ...] = (1250, 2500, 5000, 10_000)
    """Responses of the games."""
    num_steps: int = 1000
    """Steps of Nash-MD on each."""


def main(config: Config) -> None:
    """Times Nash-MD on one large game after another, and prints a table."""
    options.require_all(config)
    console = terminal.console()
    table = rich.table.Table(title=f"Nash-MD on one game, {config.num_steps:,} steps")
    columns = ("responses", "a step", "step / responses^2", "reads", "a sum reads")
    for column in columns:
        table.add_column(column, justify="right")
    for size in config.sizes:
        step, reading = measure(size, config.num_steps)
        gigabytes = 4 * size**2 / 1e9
        table.add_row(
            f"{size:,}",
            f"{1e3 * step:.2f} ms",
            f"{1e12 * step / size**2:.0f} ps",
            f"{gigabytes / step:.1f} GB/s",
            f"{gigabytes / reading:.1f} GB/s",
        )
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(f"largest memory of this process: {peak:.1f} GiB")


def measure(size: int, num_steps: int) -> tuple[float, float]:
    """Returns the seconds of a step, and of adding all entries of the preference."""
    preference = draw(jax.random.key(0), size)
    solver = games.nash_md(tau=0.1, eta=0.5)
    start = solver.init(jnp.full(size, 1 / size))

    @jax.jit
    def run(preference, start):
        return games.run(
            solver,
            start,
            preference,
            num_steps=num_steps,
            every=num_steps,
            measure=lambda state: state.step,
        )

    step = seconds(run.lower(preference, start).compile(), preference, start)
    total = jax.jit(jnp.sum).lower(preference).compile()
    reading = min(seconds(total, preference) for _ in range(20))
    return step / num_steps, reading


@jax.jit(static_argnums=1)
def draw(key: jax.Array, size: int) -> jax.Array:
    """Returns a random preference `[size, size]` without a copy on the host."""
    upper = jnp.triu(jax.random.uniform(key, (size, size)), 1)
    return upper + jnp.tril(1 - upper.T, -1) + jnp.eye(size) / 2


def seconds(function, *arguments) -> float:
    """Returns how long a call takes, all its arguments ready."""
    jax.block_until_ready(arguments)
    begun = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - begun


command = command_line.command(
    main, Config, name="python -m experiments.benchmarks.large_games", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
