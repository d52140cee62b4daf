"""What the update of each row costs, beside online IPO's.

Every row has its settings of the table, the same model with random weights, and
responses that never end early; the annotator answers at once. A row is timed in turn
with online IPO, so that what else the machine does meets both. More responses to a
prompt, policies beside the one in training, and the steps of an extragradient or of
several epochs are what a row's definition demands; the last column is the time that
each response token takes, which is online IPO's or less where nothing else is demanded.

Run: python -m experiments.benchmarks.updates

Takes: about ten minutes on 2 cores, nearly all of it compiling.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import rich.table

from experiments.benchmarks.model import small_llama
from nashalign import algorithms, command_line, options, sampling, terminal
from nashalign.types import Examples, Prompts, Responses

BASELINE = "online_ipo"
_LEVELS = jnp.arange(1, 6)[:, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes of the model and of a batch."""

    rows: tuple[str, ...] = ()
    """Names of rows of the table of methods; all by default."""
    batch_size: int = 16
    """Prompts."""
    prompt_length: int = 32
    """Tokens of a prompt."""
    response_length: int = 32
    """Tokens of a response."""
    width: int = 256
    """Width of the model."""
    num_layers: int = 2
    """Depth of the model."""
    vocabulary: int = 4096
    """Tokens to choose from."""
    repeats: int = 5
    """Timed updates of each; the median is shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a row's update costs.

    Attributes:
      row: its name.
      responses: to a prompt, written or given, all of which are read.
      frozen: policies beside the one in training.
      tokens_per_second: response tokens of an update over its time.
      update: time of an update over that of online IPO's.
      token: the same of each response token.
    """

    row: str
    responses: int
    frozen: int
    tokens_per_second: float
    update: float
    token: float


class Indifferent:
    """Answers at once."""

    def prefer(self, key: Any, prompts: Prompts, y: Responses, z: Responses):
        """P(y beats z) `[B, M]`."""
        del key, prompts, z
        return jnp.full(y.tokens.shape[:2], 0.6)

    def score(self, key: Any, prompts: Prompts, responses: Responses):
        """Rewards `[B, N]`."""
        del key, prompts
        return jnp.zeros(responses.tokens.shape[:2])


def main(config: Config) -> None:
    """Times the rows and prints the table."""
    terminal.console().print(_table(costs(config)))


def costs(config: Config) -> list[Cost]:
    """Times the rows."""
    options.require_all(config)
    for name in config.rows:
        algorithms.configure(name)
    usual, tokens, _ = _prepared(config, BASELINE)
    found: list[Cost] = []
    names = config.rows or tuple(algorithms.TABLE)
    with terminal.progress_bar("rows", len(names)) as advance:
        for name in names:
            found.append(_timed(config, name, usual, tokens))
            advance(1, name)
    return found


def _timed(config: Config, name: str, usual: Callable, tokens: int) -> Cost:
    """A row's cost, in turn with the usual update of so many tokens."""
    update, own, method = _prepared(config, name)
    seconds = {usual: [], update: []}
    for _ in range(config.repeats):
        for run, taken in seconds.items():
            begun = time.perf_counter()
            run()
            taken.append(time.perf_counter() - begun)
    base, mine = (statistics.median(seconds[run]) for run in (usual, update))
    return Cost(
        row=name,
        responses=own // (config.batch_size * config.response_length),
        frozen=len(method.frozen),
        tokens_per_second=own / mine,
        update=mine / base,
        token=mine / own / (base / tokens),
    )


def _prepared(config: Config, name: str):
    """A compiled update that waits for its end, its tokens, and the row."""
    method = algorithms.configure(name)
    policy = small_llama(config.width, config.num_layers, config.vocabulary)
    setup = algorithms.Setup(
        policy=policy,
        optimizer=optax.adam(1e-4),
        decoding=sampling.Decoding(
            max_length=config.response_length, eos_id=-1, pad_id=0
        ),
        levels=_LEVELS,
    )
    batch = _batch(config, method)
    state = algorithms.init(
        method, setup, policy.init(jax.random.key(0)), jax.random.key(1)
    )

    def update(state, batch):
        return algorithms.update(method, setup, Indifferent(), state, batch)

    compiled = jax.jit(update).lower(state, batch).compile()

    def run():
        return jax.block_until_ready(compiled(state, batch))

    *_, groups = run()
    return run, groups.responses.tokens.size, method


def _batch(config: Config, method: algorithms.Method) -> Prompts | Examples:
    """Random prompts, with random responses where the row learns from some."""
    keys = jax.random.split(jax.random.key(2), 3)

    def tokens(key, *shape):
        return jax.random.randint(key, shape, 0, config.vocabulary)

    size = config.batch_size
    prompts = Prompts(
        tokens=tokens(keys[0], size, config.prompt_length),
        mask=jnp.ones((size, config.prompt_length), bool),
        ids=jnp.arange(size),
    )
    if not method.num_data:
        return prompts
    number = method.num_given
    shape = (size, number, config.response_length)
    return Examples(
        prompts=prompts,
        responses=Responses(
            tokens=tokens(keys[1], *shape),
            mask=jnp.ones(shape, bool),
            truncated=jnp.ones(shape[:2], bool),
        ),
        preference=jnp.full((size, number, number), 0.5),
        rewards=jax.random.normal(keys[2], shape[:2]),
    )


def _table(found: list[Cost]) -> rich.table.Table:
    """The costs, for a terminal."""
    table = rich.table.Table(title="Updates, beside online IPO's")
    for column in ("row", "responses", "frozen", "tokens/s", "update", "a token"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for cost in found:
        table.add_row(
            cost.row,
            f"{cost.responses}",
            f"{cost.frozen}",
            f"{cost.tokens_per_second:,.0f}",
            f"{cost.update:.2f}",
            f"{cost.token:.2f}",
        )
    return table


command = command_line.command(
    main, Config, name="python -m experiments.benchmarks.updates", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
