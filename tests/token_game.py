"""A token game for a tiny transformer: every response can be written down.

Shared by the tests that hold the sampler and the updates against exact sums. The pad
token is one of the game's own, so that whatever forgets a mask comes out wrong.
"""

import dataclasses
import functools
import itertools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import algorithms, games, policies, preferences, sampling
from nashalign.types import Examples, Prompts, Responses

VOCABULARY, LENGTH, EOS, PAD = 3, 2, 0, 1
DECODING = sampling.Decoding(max_length=LENGTH, eos_id=EOS, pad_id=PAD)
TABLE = sampling.enumerate_responses(VOCABULARY, LENGTH, EOS)
NUM_RESPONSES = TABLE.tokens.shape[1]

# These programs run for milliseconds: compiling them is all they cost.
compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

# Strings of scores, lowest first, that are appended to prompts.
LEVELS = jnp.array([[1], [2], [0]], jnp.int32)

_INNER = {"eta": 1.5, "period": 2}
# One setting of each row, far enough from its limits to tell them apart.
SETTINGS = {
    "rl": {"tau": 0.3},
    "rloo": {"tau": 0.3, "num_responses": 3},
    # Of several epochs only the first is a mean of gradients (`epochs_test`).
    "ppo": {"tau": 0.3, "trace": 0.7, "value": 0.4, "num_epochs": 1},
    "bonbon": {"likelihood": 0.3, "num_responses": 3},
    "bond": {"tau": 0.7, "backward": 0.4, "decay": 0.9},
    "grpo": {"tau": 0.3, "num_responses": 3, "num_epochs": 1},
    "dr_grpo": {"tau": 0.3, "num_responses": 3, "num_epochs": 1},
    "reinforce_plus_plus": {"tau": 0.3, "num_epochs": 1},
    "sft": {},
    "dpo": {"tau": 0.7},
    "cdpo": {"tau": 0.7, "flip": 0.2},
    "rdpo": {"tau": 0.7, "flip": 0.2},
    "ipo": {"tau": 0.4},
    "slic_hf": {"margin": 2.0, "likelihood": 0.3},
    "soft_po": {"alpha": 0.7, "tau": 0.3},
    "soft_po_weighted": {"alpha": 0.7, "tau": 0.3, "power": 0.5},
    "soft_po_ranked": {"alpha": 0.7, "tau": 0.3, "num_responses": 3},
    "tdpo1": {"tau": 0.7},
    "tdpo2": {"tau": 0.7, "alpha": 0.4},
    "simpo": {"tau": 1.4, "gamma": 0.5},
    "cpo": {"tau": 0.7, "likelihood": 0.3},
    "orpo": {"odds": 0.6},
    "tr_dpo": {"tau": 0.7, "share": 0.6, "period": 2},
    "tr_dpo_hard": {"tau": 0.7, "period": 2},
    # So small a bound that some pairs are beyond it.
    "chi_po": {"tau": 0.2, "bound": 0.25},
    "wpo": {"tau": 0.7},
    "kto": {"tau": 0.7, "desirable": 1.2, "undesirable": 0.8, "threshold": -0.2},
    "filtered": {"num_responses": 3},
    "rwr": {"tau": 0.8},
    "conditional": {"lowest": -1.0, "highest": 1.0},
    "reward_augmented": {"tau": 0.7, "lowest": -1.0, "highest": 1.0},
    # Each of three prompts, by its id, has a degree of its own.
    "preference_degree": {"tau": 0.7, "degree": 0.6, "num_degrees": 3},
    "sequential_po": {"tau": 0.7, "retain": 0.4, "period": 2},
    "spin": {"tau": 0.7, "period": 2},
    "alpha_spin": {"tau": 0.7, "follow": 0.6, "period": 2},
    "online_dpo": {"tau": 0.7},
    "online_slic": {"tau": 0.7},
    "online_ipo": {"tau": 0.4},
    "ipo_md": {"tau": 0.4, "mix": 0.25},
    "oaif_dpo": {"tau": 0.7},
    "oaif_ipo": {"tau": 0.4},
    "oaif_slic": {"tau": 0.7},
    "osp": {"tau": 0.7, "num_responses": 3},
    "self_prompting": {"tau": 0.7, "gap": 0.6, "half_life": 2.0},
    "bpo": {"tau": 0.7, "period": 2},
    "optune": {"tau": 0.7, "sharpness": 1.5},
    # With rho 1 the update is the exact gradient.
    "sail_ddp": {"tau": 0.7, "share": 0.6, "rho": 1.0},
    "sail_dpp": {"tau": 0.7, "share": 0.6, "rho": 1.0},
    "sail_dpr": {"tau": 0.7, "share": 0.6, "rho": 1.0},
    "selm": {"tau": 0.7, "alpha": 0.2, "period": 2},
    "xpo": {"tau": 0.7, "alpha": 0.2},
    "iterative_dpo": {"tau": 0.7, "follow": 0.4, "period": 2, "num_responses": 3},
    "iterative_rpo": {"tau": 0.7, "likelihood": 0.3, "period": 2, "num_responses": 3},
    "raft": {"period": 2, "num_responses": 3},
    "rebel": _INNER,
    "dice": {
        "tau": 0.7,
        "replay": 0.4,
        "penalty": 0.3,
        "period": 2,
        "num_responses": 3,
    },
    "self_rewarding": {"tau": 0.7},
    "mcts_dpo": {"tau": 0.7},
    "nash_md_pg": {"tau": 0.3, "mix": 0.25},
    "self_play_pg": {"tau": 0.3},
    "best_response_pg": {"tau": 0.3},
    "nash_ema_pg": {"tau": 0.3, "decay": 0.75},
    "spo": {"tau": 0.1},
    "sppo": _INNER,
    "dno": _INNER,
    "dno_prct": {"tau": 0.7, "margin": 0.2, "period": 2, "num_responses": 3},
    "inpo": {"tau": 0.3} | _INNER,
    "rspo": {"pull": 0.3, "forward": 0.4} | _INNER,
    "comal": {"tau": 0.3, "num_inner": 2} | _INNER,
    "onpo": _INNER,
    "egpo": {"tau": 0.4},
    "nash_mirror_prox": {"tau": 0.3} | _INNER,
    "mpo": {"tau": 0.3, "period": 2},
    "mnpo": {"tau": 0.3, "recent": 0.6} | _INNER,
    # Its last stage, as of `ppo`; the one before is `dpo`.
    "mixed_po": {"tau": 0.3, "trace": 0.7, "value": 0.4, "num_epochs": 1},
}


def transformer(vocabulary: int = VOCABULARY, width: int = 16) -> policies.Policy:
    """Returns a two-layer decoder with grouped queries."""
    return policies.llama(shape(vocabulary, width))


def shape(vocabulary: int = VOCABULARY, width: int = 16) -> policies.LlamaConfig:
    """Returns the shape of `transformer`."""
    return policies.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=width // 2,
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
    return algorithms.Setup(
        policy=policy, optimizer=optimizer, decoding=decoding, levels=LEVELS
    )


def data_policy(prompts: Prompts, num_responses: int = NUM_RESPONSES) -> jax.Array:
    """Returns the data set's distribution `[B, Y]` over responses to each prompt."""
    random = np.random.default_rng(5)
    drawn = random.dirichlet(np.full(num_responses, 2.0), size=3)
    return jnp.asarray(drawn)[prompts.ids % 3]


def all_examples(method, prompts: Prompts, table: Responses = TABLE) -> Examples:
    """Returns every example of the data set, with its probability.

    For rows that remake their examples, of one or two responses each.
    """
    number = 1 if method.num_given == 1 else 2
    size, batch = table.tokens.shape[1], prompts.tokens.shape[0]
    chosen = np.array(list(itertools.product(range(size), repeat=number)))
    mass = data_policy(prompts, size)[:, chosen].prod(-1)
    indices = np.tile(chosen, (batch, 1))
    return Examples(
        prompts=jax.tree.map(lambda x: jnp.repeat(x, len(chosen), 0), prompts),
        responses=jax.tree.map(lambda x: x[0][indices], table),
        preference=jnp.asarray(preference(size)[indices[:, :, None], indices[:, None]]),
        rewards=jnp.asarray(rewards(size)[indices]),
        probability=jnp.asarray(mass.reshape(-1)),
    )


def drawn_examples(method, prompts: Prompts) -> Examples:
    """Returns one random example to each prompt, compared by a vote."""
    random = np.random.default_rng(8)
    number = max(2, method.num_given)
    batch = len(prompts.ids)
    cumulative = np.asarray(data_policy(prompts)).cumsum(-1)[:, None]
    indices = (random.random((batch, number, 1)) > cumulative).sum(-1)
    indices = np.minimum(indices, NUM_RESPONSES - 1)
    preferred = preference()[indices[:, :, None], indices[:, None]]
    votes = np.triu(random.random(preferred.shape) < preferred, 1).astype(float)
    votes += np.tril(1 - votes.swapaxes(1, 2), -1) + np.eye(number) / 2
    # A verdict is of the probability; where the loss is affine a vote will do.
    as_votes = method.label is algorithms.columns.as_answered
    return Examples(
        prompts=prompts,
        responses=jax.tree.map(lambda x: x[0][indices], TABLE),
        preference=jnp.asarray(votes if as_votes else preferred),
        rewards=jnp.asarray(rewards()[indices]),
    )


@dataclasses.dataclass(frozen=True)
class Told:
    """An annotator that knows in which order it is shown all responses of the game.

    It says what `annotator` says without looking for them, which is half of what
    compiling an expected update costs.
    """

    def prefer(self, key, prompts, y, z):
        del key, y, z
        pairs = preference()[np.triu_indices(NUM_RESPONSES, 1)]
        return jnp.tile(jnp.asarray(pairs), (len(prompts.ids), 1))

    def score(self, key, prompts, responses):
        del key, responses
        return jnp.tile(jnp.asarray(rewards()), (len(prompts.ids), 1))


def expected_groups(
    method, setup, state, prompts, values=None, table=TABLE, judge=None
):
    """Returns every annotated group with its exact probability."""
    if not method.remakes_examples:
        groups = algorithms.expected_rollout(
            method,
            setup,
            state,
            prompts,
            table,
            data_policy(prompts, table.tokens.shape[1]),
        )
    else:
        examples = all_examples(method, prompts, table)
        groups = algorithms.rollout(method, setup, state, examples)
    judge = annotator(method, values, table) if judge is None else judge
    return algorithms.annotate(method, judge, state, groups)


def expected_update(
    method, setup, state, prompts, values=None, table=TABLE, judge=None
):
    """Returns the noiseless update: the next state and its metrics."""
    if method.step.looks_ahead:
        first = algorithms.looking(state)
        groups = expected_groups(method, setup, first, prompts, values, table, judge)
        state, _ = algorithms.learn(method, setup, state, groups, look_ahead=True)
    groups = expected_groups(method, setup, state, prompts, values, table, judge)
    return algorithms.learn(method, setup, state, groups)


POLICY = transformer()
# A table has nothing in common between histories, and compiles soonest.
TABULAR = policies.tabular(VOCABULARY, 6)
FROZEN = {
    "reference": 0,
    "iterate": 2,
    "average": 3,
    "previous": 4,
    "rival": 6,
    "ahead": 7,
}


def moved_state(
    method: algorithms.Method | None = None,
    family: policies.Policy = POLICY,
    scale: float = 0.1,
) -> algorithms.State:
    """Returns a state in which every policy that a row may name is another one."""
    method = algorithms.configure("online_ipo") if method is None else method
    first = parameters(family, 1, scale=scale)
    state = algorithms.init(method, setup(family), first, KEY)
    random = np.random.default_rng(9)
    heads = {
        name: jnp.asarray(0.1 * random.normal(size=head.shape))
        for name, head in state.players.items()
        if name != "policy"
    }
    frozen = {
        name: parameters(family, seed, scale=scale) for name, seed in FROZEN.items()
    }
    return dataclasses.replace(state, players=state.players | heads, frozen=frozen)


KEY = jax.random.key(7)


def expected_gradient(method, state, values=None, prompts=None, policy=POLICY):
    """Returns the direction of the expected update, flat, in numpy."""
    after, _ = expected_step(method, state, values, prompts, policy)
    return direction(state, after)


def expected_step(method, state, values=None, prompts=None, policy=POLICY):
    """Returns the expected update on three prompts, `THREE_PROMPTS` if none are given.

    Of an extragradient step it is the second half. One compilation, in each precision,
    for all the tests of a row.
    """
    default = rewards() if method.annotation == "reward" else preference()
    values = default if values is None else values
    prompts = THREE_PROMPTS if prompts is None else prompts
    return _expected_step(policy, method, state, values, prompts)


@functools.partial(compiled, static_argnums=0)
def _expected_step(policy, method, state, values, prompts):
    """See `expected_step`."""
    groups = expected_groups(method, setup(policy), state, prompts, values)
    return algorithms.learn(method, setup(policy), state, groups)


# Enough that a wrong factor is seen beyond the noise.
NUM_BATCHES = 80


@functools.cache
def sampled_steps(
    name: str, num_batches: int = NUM_BATCHES, batch_size: int = 30, compiled=compiled
):
    """Returns independent sampled updates at a frozen state, in float64.

    Args:
      name: a row, with its settings in this file.
      num_batches: number of updates, all from `moved_state()`; the first ones, where
        they are fewer than `NUM_BATCHES`.
      batch_size: prompts in each; as many copies of `THREE_PROMPTS` as fit.
      compiled: what makes programs of functions.

    Returns:
      Directions `[num_batches, parameters]`, and each update's metrics.
    """
    method = algorithms.configure(name, **SETTINGS[name])
    state = moved_state(method)

    @compiled
    def roll(batch):
        groups = algorithms.rollout(method, setup(POLICY), state, batch)
        return algorithms.annotate(method, annotator(method), state, groups)

    @compiled
    def learn(groups):
        return algorithms.learn(method, setup(POLICY), state, groups)

    batch = prompts(range(NUM_BATCHES * batch_size))
    if method.num_data:
        batch = drawn_examples(method, batch)
    batch = jax.tree.map(lambda x: x[: num_batches * batch_size], batch)
    groups = jax.device_get(roll(batch))
    batches = jax.tree.map(
        lambda x: x.reshape(num_batches, len(x) // num_batches, *x.shape[1:]), groups
    )
    directions, metrics = [], []
    for index in range(num_batches):
        after, measured = learn(jax.tree.map(operator.itemgetter(index), batches))
        directions.append(direction(state, after))
        metrics.append(jax.device_get(measured))
    return np.stack(directions), metrics


def direction(before: algorithms.State, after: algorithms.State) -> np.ndarray:
    """Returns what a step has taken from the parameters, flat."""
    leaves = jax.device_get([jax.tree.leaves(s.players) for s in (before, after)])
    pairs = zip(*leaves, strict=True)
    return np.concatenate([np.ravel(first - second) for first, second in pairs])


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
