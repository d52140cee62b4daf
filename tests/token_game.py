"""A token game for a tiny transformer: every response can be written down.

Shared by the tests that hold the sampler and the updates against exact sums. The pad
token is one of the game's own, so that whatever forgets a mask comes out wrong.
"""

import dataclasses
import functools
import operator

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import algorithms, games, policies, preferences, sampling
from nashalign.types import Prompts, Responses

VOCABULARY, LENGTH, EOS, PAD = 3, 2, 0, 1
DECODING = sampling.Decoding(max_length=LENGTH, eos_id=EOS, pad_id=PAD)
TABLE = sampling.enumerate_responses(VOCABULARY, LENGTH, EOS)
NUM_RESPONSES = TABLE.tokens.shape[1]

# These programs run for milliseconds: compiling them is all they cost.
compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

# One setting of each row, far enough from its limits to tell them apart.
SETTINGS = {
    "rl": {"tau": 0.3},
    "online_dpo": {"tau": 0.7},
    "online_slic": {"tau": 0.7},
    "online_ipo": {"tau": 0.4},
    "nash_md_pg": {"tau": 0.3, "mix": 0.25},
    "ipo_md": {"tau": 0.4, "mix": 0.25},
    "self_play_pg": {"tau": 0.3},
    "best_response_pg": {"tau": 0.3},
    "nash_ema_pg": {"tau": 0.3, "decay": 0.75},
    "spo": {"tau": 0.1},
    "sppo": {"eta": 1.5, "period": 2},
    "inpo": {"tau": 0.3, "eta": 1.5, "period": 2},
    "comal": {"tau": 0.3, "eta": 1.5, "period": 2, "num_inner": 2},
    "rebel": {"eta": 1.5, "period": 2},
    "mpo": {"tau": 0.3, "period": 2},
}


def transformer(vocabulary: int = VOCABULARY, width: int = 16) -> policies.Policy:
    """Returns a two-layer decoder with grouped queries."""
    return policies.llama(
        policies.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=width // 2,
        )
    )


def parameters(policy: policies.Policy, seed: int, *, scale: float = 0.1):
    """Returns parameters whose distribution is far from uniform.

    Drawn by NumPy, so that they are the same with every version of jax and flax. Much
    larger scales saturate the attention, and then nothing can be learnt.
    """
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(policy.init, jax.random.key(0))

    def draw(path, leaf):
        noise = random.normal(size=leaf.shape)
        return jnp.asarray(1 + 0.1 * noise if "norm" in str(path) else scale * noise)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def prompts(ids=(5, 6), length: int = 3) -> Prompts:
    """Returns prompts of one to three tokens in turn, padded on the left."""
    ids = np.asarray(ids, np.int32)
    random = np.random.default_rng(0)
    tokens = random.integers(0, VOCABULARY, size=(3, length), dtype=np.int32)
    own = length - 1 - np.arange(length) <= np.arange(3)[:, None] % 3
    return Prompts(
        tokens=jnp.asarray(np.where(own, tokens, PAD)[ids % 3]),
        mask=jnp.asarray(own[ids % 3]),
        ids=jnp.asarray(ids),
    )


THREE_PROMPTS = prompts(range(3))


def preference(num_responses: int = NUM_RESPONSES) -> np.ndarray:
    """Returns a preference with cycles; no reward explains it."""
    return games.random_preference(3, num_responses)


def rewards(num_responses: int = NUM_RESPONSES) -> np.ndarray:
    """Returns a reward of each response."""
    return np.random.default_rng(4).normal(size=num_responses)


def annotator(method: algorithms.Method, values=None, table: Responses = TABLE):
    """Returns what the method's annotator says in this game.

    Args:
      method: the row.
      values: the preference `[Y, Y]` or the rewards `[Y]`, whichever the row reads, if
        not those of this file.
      table: all responses of the game.
    """
    size = table.tokens.shape[1]
    if method.annotation == "reward":
        values = rewards(size) if values is None else values
        return preferences.GameReward(table=table, rewards=jnp.asarray(values))
    values = preference(size) if values is None else values
    return preferences.GamePreference(table=table, preference=jnp.asarray(values))


def setup(policy: policies.Policy, optimizer=None, decoding=DECODING):
    """Returns what stays the same through a run; the default step is a gradient."""
    optimizer = optax.sgd(1.0) if optimizer is None else optimizer
    return algorithms.Setup(policy=policy, optimizer=optimizer, decoding=decoding)


def expected_update(method, setup, state, prompts, values=None, table=TABLE):
    """Returns the noiseless update: the next state and its metrics."""
    groups = algorithms.expected_rollout(method, setup, state, prompts, table)
    judge = annotator(method, values, table)
    groups = algorithms.annotate(method, judge, state, groups)
    return algorithms.learn(method, setup, state, groups)


POLICY = transformer()


def moved_state() -> algorithms.State:
    """Returns a state in which every policy that a row may name is another one."""
    method = algorithms.configure("online_ipo")
    params, *frozen = [parameters(POLICY, seed) for seed in (1, 0, 2, 3)]
    state = algorithms.init(method, setup(POLICY), params, jax.random.key(7))
    names = ("reference", "iterate", "average")
    return dataclasses.replace(state, frozen=dict(zip(names, frozen, strict=True)))


def expected_gradient(method, state, values=None, prompts=None) -> np.ndarray:
    """Returns the direction of the expected update, flat."""
    return direction(state, expected_step(method, state, values, prompts)[0])


def expected_step(method, state, values=None, prompts=None):
    """Returns the expected update on three prompts, `THREE_PROMPTS` if none are given.

    One compilation, in each precision, for all the tests of a row.
    """
    default = rewards() if method.annotation == "reward" else preference()
    values = default if values is None else values
    prompts = THREE_PROMPTS if prompts is None else prompts
    return _expected_step(method, state, values, prompts)


@compiled
def _expected_step(method, state, values, prompts):
    """See `expected_step`."""
    return expected_update(method, setup(POLICY), state, prompts, values)


@functools.cache
def sampled_steps(name: str, num_batches: int = 80, batch_size: int = 30):
    """Returns independent sampled updates at a frozen state, in float64.

    Args:
      name: a row, with its settings in this file.
      num_batches: number of updates, all from `moved_state()`.
      batch_size: prompts in each; as many copies of `THREE_PROMPTS` as fit.

    Returns:
      Directions `[num_batches, parameters]`, and each update's metrics.
    """
    method, state = algorithms.configure(name, **SETTINGS[name]), moved_state()

    @compiled
    def roll(prompts):
        groups = algorithms.rollout(method, setup(POLICY), state, prompts)
        return algorithms.annotate(method, annotator(method), state, groups)

    @compiled
    def learn(groups):
        return algorithms.learn(method, setup(POLICY), state, groups)

    groups = jax.device_get(roll(prompts(range(num_batches * batch_size))))
    shape = (num_batches, batch_size)
    batches = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), groups)
    directions, metrics = [], []
    for index in range(num_batches):
        after, measured = learn(jax.tree.map(operator.itemgetter(index), batches))
        directions.append(direction(state, after))
        metrics.append(jax.device_get(measured))
    return np.stack(directions), metrics


def direction(before: algorithms.State, after: algorithms.State) -> np.ndarray:
    """Returns what a step has taken from the parameters, flat."""
    before, _ = jax.flatten_util.ravel_pytree(before.params)
    after, _ = jax.flatten_util.ravel_pytree(after.params)
    return np.asarray(before - after)


def strings(table: Responses = TABLE) -> list[tuple[int, ...]]:
    """Returns the responses of a table as tuples of their own tokens."""
    tokens, mask = np.asarray(table.tokens)[0], np.asarray(table.mask)[0]
    return [tuple(row[own].tolist()) for row, own in zip(tokens, mask, strict=True)]


def log_policy(policy, params, prompts: Prompts, table: Responses = TABLE):
    """Returns log-probabilities `[B, Y]` of every response, token by token by hand.

    One forward pass over prompt and response, without caches or shared prompts.
    """
    rows = []
    for string in strings(table):
        response = jnp.tile(jnp.asarray(string), (prompts.tokens.shape[0], 1))
        tokens = jnp.concatenate([prompts.tokens, response], 1)
        mask = jnp.concatenate([prompts.mask, jnp.ones_like(response, bool)], 1)
        logits = policy.apply(params, tokens, mask)[:, prompts.tokens.shape[1] - 1 :]
        conditional = jax.nn.log_softmax(logits)
        rows.append(sum(conditional[:, t, token] for t, token in enumerate(string)))
    return jnp.stack(rows, 1)


def tree(table: Responses = TABLE) -> games.TokenTree:
    """Returns the prefixes of all responses, on which mixtures have exact answers."""
    return games.token_tree(table.tokens[0], table.mask[0])
