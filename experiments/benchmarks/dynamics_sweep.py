"""What a sweep of dynamics costs, against the same updates in NumPy.

Ten dynamics on many small games: as `games.sweep` runs them, the games shared among as
many virtual devices as the machine has cores; in NumPy, one step of all games at once;
and in NumPy, one game after another. The NumPy versions are timed for as many steps as
fit into a few seconds. That all three do the same is checked on the policies.

Run: python -m experiments.benchmarks.dynamics_sweep
"""

import dataclasses
import os
import sys
import time

import jax
import numpy as np
import rich.console
import rich.progress
import rich.table

from nashalign import command_line, games, options, terminal

TAU, ETA = 0.1, 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes."""

    num_games: int = 1000
    """Games, drawn at random."""
    num_responses: int = 10
    """Responses of each."""
    num_steps: int = 5000
    """Steps of each dynamics."""
    every: int = 100
    """Steps from one measured duality gap to the next."""
    seconds: float = 1.0
    """For how long each version in NumPy is timed."""


def normalised(logits):
    """Returns normalised log-probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def wins(preference, log_policy):
    """Returns P(y > policy) of one game or of all."""
    return np.matmul(preference, np.exp(log_policy)[..., None])[..., 0]


class _Numpy:
    """The ten dynamics in NumPy: methods from log-policy and memory to the next."""

    def __init__(self, preference, log_reference):
        """Keeps what does not move."""
        self.preference, self.log_reference = preference, log_reference

    def _step(self, log_policy, log_opponent, reference=None, tau=TAU):
        reference = self.log_reference if reference is None else reference
        anchor = (1 - ETA * tau) * log_policy + ETA * tau * reference
        return normalised(anchor + ETA * wins(self.preference, log_opponent))

    def mirror_descent(self, policy, memory, step):
        return self._step(policy, policy), memory

    def multiplicative_weights(self, policy, memory, step):
        return self._step(policy, policy, tau=0.0), memory

    def nash_md(self, policy, memory, step):
        anchor = (1 - ETA * TAU) * policy + ETA * TAU * self.log_reference
        return self._step(policy, normalised(anchor)), memory

    def nash_ema(self, policy, memory, step):
        memory = self.log_reference if step == 0 else memory
        memory = normalised(0.9 * memory + 0.1 * policy)
        return self._step(policy, memory), memory

    def extragradient(self, policy, memory, step):
        return self._step(policy, self._step(policy, policy)), memory

    def omwu(self, policy, memory, step):
        now = wins(self.preference, policy)
        before = now if step == 0 else memory
        return normalised(policy + ETA * (2 * now - before)), now

    def onpo(self, policy, memory, step):
        slow = self.log_reference if step == 0 else memory
        slow = normalised(slow + ETA * wins(self.preference, policy))
        return normalised(slow + ETA * wins(self.preference, policy)), slow

    def comal(self, policy, memory, step):
        magnet = self.log_reference if step == 0 else memory
        policy = self._step(policy, policy, magnet)
        return policy, policy if (step + 1) % 50 == 0 else magnet

    def rspo(self, policy, memory, step):
        slope = TAU * (policy - self.log_reference)
        return normalised(policy + ETA * (wins(self.preference, policy) - slope)), None

    def self_play_pg(self, policy, memory, step):
        shares = np.exp(policy)
        gain = wins(self.preference, policy) - TAU * (policy - self.log_reference)
        gain = gain - np.sum(shares * gain, axis=-1, keepdims=True)
        return normalised(policy + ETA * shares * gain), memory


SOLVERS = {
    "mirror_descent": games.mirror_descent(tau=TAU, eta=ETA),
    "multiplicative_weights": games.mirror_descent(tau=0.0, eta=ETA),
    "nash_md": games.nash_md(tau=TAU, eta=ETA),
    "nash_ema": games.nash_ema(tau=TAU, eta=ETA, decay=0.9),
    "extragradient": games.extragradient(tau=TAU, eta=ETA),
    "omwu": games.omwu(eta=ETA),
    "onpo": games.onpo(eta=ETA),
    "comal": games.comal(tau=TAU, eta=ETA, num_inner=50),
    "rspo": games.rspo(tau=TAU, eta=ETA),
    "self_play_pg": games.self_play_pg(tau=TAU, learning_rate=ETA),
}


def main(config: Config) -> None:
    """Times them with each core as a device, and prints the table."""
    options.require_all(config)
    # Operations as small as these do not share cores otherwise.
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    compare(config, terminal.console())


def compare(config: Config, console: rich.console.Console) -> None:
    """Times ten dynamics on all games: a sweep, and NumPy batched and game by game."""
    shape = (config.num_games, config.num_responses)
    preference = games.random_preference(0, shape).astype(np.float32)
    reference = np.full(shape, 1 / config.num_responses, np.float32)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("games",))
    shared = jax.device_put(
        (preference, reference),
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("games")),
    )
    table = rich.table.Table(
        title=f"{config.num_steps:,} steps of {shape[0]:,} games of {shape[1]}"
    )
    table.add_column("dynamics")
    for column in ("compiling", "sweep", "NumPy", "NumPy, one by one", "difference"):
        table.add_column(column, justify="right")
    totals = np.zeros(4)
    for name, solver in SOLVERS.items():
        seconds = [
            *_sweep_seconds(name, solver, shared, config, console),
            *_numpy_seconds(name, preference, np.log(reference), config),
        ]
        difference = _difference(solver, name, preference, reference)
        totals += seconds
        table.add_row(name, *(f"{s:.2f} s" for s in seconds), f"{difference:.0e}")
    table.add_section()
    table.add_row("all", *(f"{s:.1f} s" for s in totals), "")
    console.print(table)
    for words, sweep in (
        ("once compiled", totals[1]),
        ("compilation included", totals[0] + totals[1]),
    ):
        batched, single = totals[2:] / sweep
        console.print(
            f"{words}, the sweep is {batched:.1f} times as fast as NumPy on all games "
            f"at once, {single:.0f} times as NumPy on one game after another"
        )


def _sweep_seconds(name, solver, shared, config, console):
    """Returns the seconds of compiling a sweep of one dynamics, and of running it."""
    start, marks = time.perf_counter(), []

    def progress(steps):
        for step in rich.progress.track(steps, name, console=console, transient=True):
            yield step
            # The first call has compiled by the time that the second is asked for.
            marks.append(time.perf_counter())

    found = games.sweep(
        lambda: solver,
        {},
        *shared,
        num_steps=config.num_steps,
        every=config.every,
        progress=progress,
    )
    jax.block_until_ready(found)
    return marks[0] - start, time.perf_counter() - marks[0]


def _numpy_seconds(name, preference, log_reference, config):
    """Returns the seconds of all games at once, and of one game after another."""
    batched = getattr(_Numpy(preference, log_reference), name)
    single = getattr(_Numpy(preference[0], log_reference[0]), name)
    return (
        _timed(batched, log_reference, config.seconds) * config.num_steps,
        _timed(single, log_reference[0], config.seconds)
        * config.num_steps
        * config.num_games,
    )


def _timed(method, log_policy, most):
    """Returns the seconds of a step in NumPy, repeated for so many seconds."""
    policy, memory = method(log_policy, None, 0)
    start, step = time.perf_counter(), 1
    while time.perf_counter() - start < most:
        policy, memory = method(policy, memory, step)
        step += 1
    return (time.perf_counter() - start) / (step - 1)


def _difference(solver, name, preference, reference, num_steps=60):
    """Returns the largest difference of policies after some steps of both."""
    preference, reference = preference[:20], reference[:20]
    state = solver.init(reference)
    method = getattr(_Numpy(preference, np.log(reference)), name)
    policy, memory = np.log(reference), None
    for step in range(num_steps):
        state = solver.update(state, preference)
        policy, memory = method(policy, memory, step)
    return np.abs(np.exp(policy) - np.exp(state.log_policy)).max()


command = command_line.command(
    main, Config, name="python -m experiments.benchmarks.dynamics_sweep", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
