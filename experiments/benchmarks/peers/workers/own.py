"""What is measured of nashalign, by its public names, as `align` uses them."""

import dataclasses
import functools

import compiled
import jax
import jax.numpy as jnp
import limits
import numpy as np
import optax

from nashalign import algorithms, policies, sampling, training
from nashalign.types import Prompts, Responses

# Whatever else is compiled on this machine, a worker compiles for itself.
jax.config.update("jax_enable_compilation_cache", False)

_GREEDY = 1e-6


def write(given):
    """Writes a random model, larger than initialised; returns its parameters' number.

    Initialised weights are so small that a greedy text repeats one token.
    """
    config = policies.LlamaConfig(**given["config"])
    params = policies.llama(config).init(jax.random.key(given["seed"]))

    def enlarge(array):
        return array * given["scale"] if np.std(array) else array

    params = jax.tree.map(enlarge, params)
    policies.save_pretrained(given["folder"], params, config)
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def logits(given):
    """Logits `[B, V]` after each prompt."""
    model, prompts = _load(given["model"]), _prompts(given)
    found = model.policy.apply(model.params, prompts.tokens, prompts.mask)
    return np.asarray(found[:, -1]).tolist()


def greedy(given):
    """The likeliest tokens `[B, T]`, of the mixture where there is a reference."""
    drawn = _sampler(given, temperature=_GREEDY)()
    return np.asarray(drawn.tokens[:, 0]).tolist()


def versions(given):
    """Of what the figures depend on."""
    del given
    return {module.__name__: module.__version__ for module in (jax, optax, np)}


def decode(given):
    """Draws responses from a policy, or from its mixture with a reference."""
    sampler = _sampler(given, temperature=1.0)
    return lambda: _wait(sampler())


def _sampler(given, temperature):
    """A compiled function that draws responses, and all that `sample` returns."""
    model, prompts = _load(given["model"]), _prompts(given)
    params, behaviour = {"policy": model.params}, _alone
    if "reference" in given:
        params["reference"] = _load(given["reference"]).params
        behaviour = functools.partial(_mixture, given["mix"])

    @compiled.jit
    def sample(params, prompts):
        return sampling.sample(
            model.policy,
            params,
            behaviour,
            jax.random.key(1),
            prompts,
            num_responses=given.get("responses", 1),
            decoding=_decoding(given, temperature),
        )

    return lambda: jax.block_until_ready(sample(params, prompts))[0]


def _alone(logits):
    """The policy writes."""
    return logits["policy"]


def _mixture(mix, logits):
    """The mixture writes."""
    weights = {"policy": 1 - mix, "reference": mix}
    return policies.geometric_mixture(logits, weights)


def step(given):
    """A step of online preference optimisation: draws, annotates, learns."""
    method, setup, state, prompts = _begun(given)

    def update(state, batch, *, reduce):
        return algorithms.update(method, setup, _Indifferent(), state, batch, reduce)

    return _stepping(update, state, prompts)


def rollout(given):
    """What a step draws, with the log-probabilities of the frozen policies."""
    method, setup, state, prompts = _begun(given)
    draw = compiled.jit(lambda *given: algorithms.rollout(method, setup, *given))
    return lambda: _wait(draw(state, prompts))


def learn(given):
    """The training half of a step: given responses, with reference log-probs."""
    method, setup, state, prompts = _begun(given)
    tokens = jnp.asarray(given["completions"])
    make = compiled.jit(functools.partial(_groups, method, setup))
    groups = make(state, prompts, tokens)

    def update(state, groups, *, reduce):
        return (*algorithms.learn(method, setup, state, groups, reduce), groups)

    return _stepping(update, state, groups)


def _groups(method, setup, state, prompts, tokens):
    """Annotated groups of given responses."""
    responses = Responses(
        tokens=tokens,
        mask=jnp.ones(tokens.shape, bool),
        truncated=jnp.ones(tokens.shape[:2], bool),
    )
    # What is drawn is replaced, so that nothing is drawn where it is compiled.
    groups = algorithms.rollout(method, setup, state, prompts)
    groups = dataclasses.replace(
        groups,
        responses=responses,
        frozen_log_probs={
            name: policies.log_probs(setup.policy, params, prompts, responses)
            for name, params in state.frozen.items()
        },
    )
    return algorithms.annotate(method, _Indifferent(), state, groups)


def compile_step(given):
    """Traces and compiles a step, again each time."""
    method, setup, state, prompts = _begun(given)

    def run():
        jax.clear_caches()
        compiled.jit(
            lambda *given: algorithms.update(method, setup, _Indifferent(), *given)
        ).lower(state, prompts).compile()

    return run


class _Indifferent:
    """Answers at once."""

    def prefer(self, key, prompts, y, z):
        """P(y beats z) `[B, M]`."""
        del key, prompts, z
        return jnp.full(y.tokens.shape[:2], 0.6)


def _begun(given):
    """The row, its setup, the state before the first step, and prompts."""
    model = _load(given["model"])
    method = algorithms.configure(given["row"])
    setup = algorithms.Setup(
        policy=model.policy,
        optimizer=optax.adamw(1e-6),
        decoding=_decoding(given, 1.0),
    )
    state = algorithms.init(method, setup, model.params, jax.random.key(1))
    return method, setup, state, _prompts(given)


def _stepping(update, state, batch):
    """Steps one after the other, each from where the last one came."""
    placed = training.data_parallel(update, training.make_mesh())
    carried = [state]

    def run():
        carried[0], metrics, _ = placed(carried[0], batch)
        return {"loss": float(jax.block_until_ready(metrics)["loss"])}

    return run


def _decoding(given, temperature):
    """No token ends a response."""
    return sampling.Decoding(
        max_length=given["new"], eos_id=-1, pad_id=0, temperature=temperature
    )


@functools.lru_cache(maxsize=2)
def _load(folder):
    """A model that is loaded once."""
    return policies.load_pretrained(folder)


def _prompts(given):
    """The given prompts."""
    tokens = jnp.asarray(given["prompts"])
    return Prompts(
        tokens=tokens, mask=jnp.ones(tokens.shape, bool), ids=jnp.arange(len(tokens))
    )


def _wait(arrays):
    """Nothing, once the arrays are there."""
    jax.block_until_ready(arrays)


MEASURES = {
    "decode": decode,
    "step": step,
    "rollout": rollout,
    "learn": learn,
    "compile": compile_step,
}
ANSWERS = {
    "write": write,
    "logits": logits,
    "greedy": greedy,
    "temporary memory": limits.temporary_memory,
    "limits": limits.of_core,
    "versions": versions,
}
