"""What scoring needs of memory, and what a core can do."""

import functools
import time
from typing import Any

import compiled
import jax
import jax.numpy as jnp
import numpy as np

from nashalign import policies
from nashalign.types import Prompts, Responses


def temporary_memory(given):
    """Bytes beside arguments and results of `log_probs`, or of all logits at once."""
    policy = policies.llama(policies.LlamaConfig(**given["config"]))
    params = jax.eval_shape(policy.init, jax.random.key(0))
    batch, length, new = given["batch"], given["prompt"], given["new"]
    prompts = _shapes(batch, length, Prompts, ids=(batch,))
    responses = _shapes((batch, 1), new, Responses, truncated=(batch, 1))

    def chunked(params, prompts, responses):
        return policies.log_probs(policy, params, prompts, responses)

    def whole(params, prompts, responses):
        hidden = policies.read(policy, params, prompts, responses)
        logits = policy.logits(params, hidden)
        chosen = jnp.take_along_axis(logits, responses.tokens[..., None], -1)
        return chosen[..., 0] - jax.nn.logsumexp(logits, -1)

    score = {"chunked": chunked, "whole": whole}[given["way"]]
    function = score
    if given["gradient"]:
        function = jax.grad(lambda *given: jnp.sum(score(*given)))
    program = compiled.jit(function).lower(params, prompts, responses).compile()
    analysis: Any = program.memory_analysis()
    return int(analysis.temp_size_in_bytes)


def _shapes(rows, length, kind, **others):
    """Prompts or responses without numbers."""
    rows = rows if isinstance(rows, tuple) else (rows,)
    types = {"ids": jnp.int32, "truncated": jnp.bool_}
    return kind(
        tokens=jax.ShapeDtypeStruct((*rows, length), jnp.int32),
        mask=jax.ShapeDtypeStruct((*rows, length), jnp.bool_),
        **{
            name: jax.ShapeDtypeStruct(shape, types[name])
            for name, shape in others.items()
        },
    )


def of_core(given):
    """What this core can do, by two libraries: GFLOP/s and GB/s, the best of some."""
    best = functools.partial(_best, given["seconds"])
    found = {}
    for name, (rows, inner, columns) in given["products"].items():
        left = np.ones((rows, inner), np.float32)
        right = np.ones((inner, columns), np.float32)
        flops = 2e-9 * rows * inner * columns
        found[f"{name}, numpy, GFLOP/s"] = flops / best(lambda a, b: a @ b, left, right)
        product = jax.jit(jnp.dot)
        found[f"{name}, jax, GFLOP/s"] = flops / best(
            lambda a, b, product=product: product(a, b).block_until_ready(),
            jnp.asarray(left),
            jnp.asarray(right),
        )
    source = np.ones(given["copied"], np.uint8)
    target = np.empty_like(source)
    # Read once and written once.
    found["copying, numpy, GB/s"] = 2e-9 * source.size / best(np.copyto, target, source)
    return found


def _best(seconds, function, *arguments):
    """The least CPU time of a call, repeated for a while: limits are of the core."""
    function(*arguments)
    found, begun = [], time.perf_counter()
    while len(found) < 3 or time.perf_counter() - begun < seconds:
        start = time.process_time()
        function(*arguments)
        found.append(time.process_time() - start)
    return min(found)
