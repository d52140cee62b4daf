"""What decoding from the token-level mixture costs.

Three ways to write the same number of tokens: from the policy alone; from the mixture
of policy and reference, a cache for each, as `sampling.sample` does; and from the
mixture with both models reading the whole sequence again at every position, as a
trainer without a cache for mixtures does. The last two draw the same tokens from the
same keys.

Run: python -m experiments.benchmarks.mixture_decoding
"""

import dataclasses
import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import rich.table

from experiments.benchmarks.model import small_llama
from nashalign import command_line, options, policies, sampling, terminal
from nashalign.types import Prompts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes; the weights are random, so that no response ends early."""

    batch_size: int = 16
    """Prompts."""
    prompt_length: int = 64
    """Tokens of a prompt."""
    response_length: int = 64
    """Tokens written to each."""
    width: int = 256
    """Width of the models."""
    num_layers: int = 6
    """Depth of the models."""
    vocabulary: int = 8192
    """Tokens to choose from."""
    mix: float = 0.125
    """Weight on the reference."""
    repeats: int = 5
    """Timed runs, in turn; the median is shown."""


def main(config: Config) -> None:
    """Times the three ways and prints tokens a second."""
    options.require_all(config)
    if config.mix > 1:
        raise ValueError(f"--mix is a weight in (0, 1], not {config.mix}.")
    policy = small_llama(config.width, config.num_layers, config.vocabulary)
    keys = jax.random.split(jax.random.key(0), 3)
    params = {"policy": policy.init(keys[0]), "reference": policy.init(keys[1])}
    shape = (config.batch_size, config.prompt_length)
    prompts = Prompts(
        tokens=jax.random.randint(keys[2], shape, 0, config.vocabulary),
        mask=jnp.ones(shape, bool),
        ids=jnp.arange(config.batch_size),
    )
    ways = {
        "policy alone, cached": functools.partial(
            _cached, policy, {"policy": params["policy"]}, _alone, config
        ),
        "mixture, cached": functools.partial(
            _cached, policy, params, _mixture(config.mix), config
        ),
        "mixture, recomputed": functools.partial(
            _recomputed, policy, params, _mixture(config.mix), config
        ),
    }
    seconds = {name: [] for name in ways}
    compiled = {name: jax.jit(way) for name, way in ways.items()}
    written = {name: np.asarray(way(prompts)) for name, way in compiled.items()}
    for _ in range(config.repeats):
        for name, way in compiled.items():
            begun = time.perf_counter()
            jax.block_until_ready(way(prompts))
            seconds[name].append(time.perf_counter() - begun)
    same = np.mean(written["mixture, cached"] == written["mixture, recomputed"])
    _report(config, {name: float(np.median(s)) for name, s in seconds.items()}, same)


def _alone(logits):
    """The policy writes."""
    return logits["policy"]


def _mixture(mix):
    """The mixture writes."""
    return lambda logits: policies.mixture_logits(
        logits["policy"], logits["reference"], mix=mix
    )


def _cached(policy, params, behaviour, config, prompts):
    """Tokens from `sampling.sample`."""
    responses, _ = sampling.sample(
        policy,
        params,
        behaviour,
        jax.random.key(1),
        prompts,
        num_responses=1,
        decoding=sampling.Decoding(
            max_length=config.response_length, eos_id=-1, pad_id=0
        ),
    )
    return responses.tokens[:, 0]


def _recomputed(policy, params, behaviour, config, prompts):
    """The same tokens from full forward passes over prompt and response so far."""
    batch, length = prompts.tokens.shape
    room = jnp.zeros((batch, config.response_length), jnp.int32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), prompts.ids)
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 0)

    def advance(position, tokens):
        mask = jnp.ones(tokens.shape, bool)
        logits = {
            name: policy.apply(values, tokens, mask)[:, length + position - 1]
            for name, values in params.items()
        }
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, position)
        drawn = sampling.draw(own, behaviour(logits))
        return tokens.at[:, length + position].set(drawn.astype(jnp.int32))

    tokens = jnp.concatenate([prompts.tokens, room], 1)
    tokens = jax.lax.fori_loop(0, config.response_length, advance, tokens)
    return tokens[:, length:]


def _report(config, seconds, same):
    """A table of rates and of ratios to the mixture with caches."""
    baseline = seconds["mixture, cached"]
    table = rich.table.Table("way", "tokens/s", "time over the cached mixture's")
    for name, value in seconds.items():
        rate = config.batch_size * config.response_length / value
        table.add_row(name, f"{rate:,.0f}", f"{value / baseline:.2f}")
    console = terminal.console()
    console.print(table)
    console.print(f"{same:.1%} of the mixture's tokens are the same both ways")


command = command_line.command(
    main,
    Config,
    name="python -m experiments.benchmarks.mixture_decoding",
    about=__doc__,
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
