"""A token game that is small enough to write down, and policies that play it.

Responses are strings of at most two of three tokens, the first of which ends them:
seven of them. There is one prompt. It is shown to several reviewers at once, who may
disagree: each has a preference and rewards of their own, and all of them count the
same. One who judges with probabilities is enough for most rows; hard verdicts and
rankings have a place to rest only where reviewers, or the verdicts of one, contradict
each other.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nashalign import algorithms, games, policies, preferences, sampling
from nashalign.types import Array, Examples, Prompts, Responses, pytree

VOCABULARY, LENGTH, EOS, PAD = 3, 2, 0, 1
DECODING = sampling.Decoding(max_length=LENGTH, eos_id=EOS, pad_id=PAD)
TABLE = sampling.enumerate_responses(VOCABULARY, LENGTH, EOS)
SIZE = TABLE.tokens.shape[1]
_TOKENS, _OWN = np.asarray(TABLE.tokens[0]), np.asarray(TABLE.mask[0])
TREE = games.token_tree(_TOKENS, _OWN)
# The responses as tuples of their own tokens.
STRINGS = [tuple(y[own].tolist()) for y, own in zip(_TOKENS, _OWN, strict=True)]
# Strings of scores, lowest first, that are appended to prompts.
LEVELS = np.array([[1], [2], [0]], np.int32)
# Two tokens behind one of padding, which is a token of the game's.
_PROMPT, _REAL = np.array([PAD, 2, 1], np.int32), np.array([False, True, True])


@pytree
@dataclasses.dataclass(frozen=True, kw_only=True)
class Game:
    """What reviewers say of the responses, and a data set's distribution over them.

    Attributes:
      preference: `[R, Y, Y]` each reviewer's P(row beats column).
      rewards: `[R, Y]` each reviewer's rewards.
      data: `[Y]`.
    """

    preference: Array
    rewards: Array
    data: Array

    def prefer(self, key, prompts: Prompts, y: Responses, z: Responses) -> Array:
        """P(y beats z) `[B, M]`, by the reviewer whose number is the prompt's id."""
        del key

        def one(matrix, y, z):
            rows, columns = (preferences.locate(TABLE, _batched(x)) for x in (y, z))
            return matrix[rows, columns][0]

        return jax.vmap(one)(self.preference[prompts.ids], y, z)

    def score(self, key, prompts: Prompts, responses: Responses) -> Array:
        """Rewards `[B, N]`, by the reviewer whose number is the prompt's id."""
        del key

        def one(rewards, responses):
            return rewards[preferences.locate(TABLE, _batched(responses))][0]

        return jax.vmap(one)(self.rewards[prompts.ids], responses)


def _batched(responses):
    return jax.tree.map(lambda x: x[None], responses)


def game(preference=None, rewards=None) -> Game:
    """Returns a game; what is not given is where nobody has an opinion.

    Args:
      preference: `[Y, Y]` or `[R, Y, Y]`.
      rewards: `[Y]` or `[R, Y]`.
    """
    preference = np.full((1, SIZE, SIZE), 0.5) if preference is None else preference
    rewards = np.zeros((1, SIZE)) if rewards is None else rewards
    preference = np.asarray(preference, float).reshape(-1, SIZE, SIZE)
    rewards = np.asarray(rewards, float).reshape(-1, SIZE)
    number = max(len(preference), len(rewards))
    return Game(
        preference=np.broadcast_to(preference, (number, SIZE, SIZE)),
        rewards=np.broadcast_to(rewards, (number, SIZE)),
        data=np.random.default_rng(5).dirichlet(np.full(SIZE, 2.0)),
    )


# One who judges with probabilities, in cycles that no reward explains; each response
# can be reached from each by wins, so that verdicts alone have a place to rest too.
PREFERENCE = games.random_preference(2, SIZE)
REWARDS = np.random.default_rng(4).normal(size=SIZE) / 2
OTHER_REWARDS = np.random.default_rng(6).normal(size=SIZE) / 2
BRADLEY_TERRY = games.from_rewards(REWARDS)
# Four who contradict each other, pair by pair.
JUDGES = games.random_preference(14, (4, SIZE))
# Four who contradict each other's rankings.
RANKINGS = np.random.default_rng(7).normal(size=(4, SIZE))
CYCLIC, DIVIDED, REWARDED, SCORED, OTHERWISE_SCORED, RANKED = (
    game(PREFERENCE),
    game(JUDGES),
    game(rewards=REWARDS),
    game(BRADLEY_TERRY, REWARDS),
    game(games.from_rewards(OTHER_REWARDS), OTHER_REWARDS),
    game(rewards=RANKINGS),
)


def transformer(width: int = 16) -> policies.Policy:
    """Returns a two-layer decoder with grouped queries."""
    return policies.llama(
        policies.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=width // 2,
        )
    )


# The table knows histories up to prompt, level and response.
FAMILIES = {
    "transformer": transformer(),
    "tabular": policies.tabular(VOCABULARY, int(_REAL.sum()) + 1 + LENGTH),
}


def parameters(family: str, seed: int = 0):
    """Returns parameters whose distribution is far from uniform."""
    random = np.random.default_rng(seed)
    shapes = jax.eval_shape(FAMILIES[family].init, jax.random.key(0))
    scale = {"transformer": 0.1, "tabular": 0.5}[family]

    def draw(path, leaf):
        noise = random.normal(size=leaf.shape)
        return jnp.asarray(1 + 0.1 * noise if "norm" in str(path) else scale * noise)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def prompts(number: int) -> Prompts:
    """Returns the prompt once for each reviewer."""
    return Prompts(
        tokens=jnp.tile(_PROMPT, (number, 1)),
        mask=jnp.tile(_REAL, (number, 1)),
        ids=jnp.arange(number),
    )


def examples(game: Game) -> Examples:
    """Returns every pair of the data set, judged by each reviewer, with its mass."""
    number = game.preference.shape[0]
    pairs = np.array(list(itertools.product(range(SIZE), repeat=2)))
    rows, columns = pairs[:, :, None], pairs[:, None, :]
    mass = game.data[pairs].prod(-1)
    responses, shown = jax.tree.map(lambda x: x[0][pairs], TABLE), prompts(number)
    return Examples(
        prompts=jax.tree.map(lambda x: jnp.repeat(x, len(pairs), 0), shown),
        responses=jax.tree.map(lambda x: jnp.concatenate([x] * number), responses),
        preference=game.preference[:, rows, columns].reshape(-1, 2, 2),
        rewards=game.rewards[:, pairs].reshape(-1, 2),
        probability=jnp.tile(mass, number),
    )


def context(method: algorithms.Method, given: Examples) -> algorithms.Context:
    """Returns what a round may look at before a tabular policy has learnt anything."""
    setup = algorithms.Setup(
        policy=FAMILIES["tabular"], optimizer=optax.identity(), decoding=DECODING
    )
    state = algorithms.init(method, setup, parameters("tabular"), jax.random.key(0))
    return algorithms.Context(setup=setup, state=state, given=given)


def expected_update(method, setup, state, game: Game, seen: Examples | None):
    """Returns the state after the noiseless update.

    Args:
      method: the row.
      setup: of the run.
      state: before.
      game: what reviewers and the data set say.
      seen: weighted examples that bring their labels along, for rows that change their
        prompts or learn from a part of the data set; if there are none, every group is
        enumerated and the reviewers are asked.
    """
    if method.step.looks_ahead:
        first = algorithms.looking(state)
        groups = _groups(method, setup, first, game, seen)
        state, _ = algorithms.learn(method, setup, state, groups, look_ahead=True)
    groups = _groups(method, setup, state, game, seen)
    return algorithms.learn(method, setup, state, groups)[0]


def _groups(method, setup, state, game, seen):
    """Every annotated group with its exact probability."""
    if seen is not None:
        groups = algorithms.rollout(method, setup, state, seen)
    else:
        number = game.preference.shape[0]
        data = jnp.tile(game.data, (number, 1))
        shown = prompts(number)
        groups = algorithms.expected_rollout(method, setup, state, shown, TABLE, data)
    return algorithms.annotate(method, game, state, groups)


def log_policies(policy: policies.Policy, params) -> jax.Array:
    """Returns log-probabilities `[1 + L, Y]`: to the prompt, and under each level.

    One forward pass over whole strings, without caches: not how updates read them.
    """
    plain = np.concatenate([[PAD], _PROMPT])
    shown = [plain, *(np.concatenate([_PROMPT, level]) for level in LEVELS)]
    real = [[False, *_REAL], *([[*_REAL, True]] * len(LEVELS))]
    tokens = [[[*prompt, *y] for y in _TOKENS] for prompt in shown]
    mask = [[[*prompt, *y] for y in _OWN] for prompt in real]
    tokens, mask = (
        np.array(x).reshape(-1, len(plain) + LENGTH) for x in (tokens, mask)
    )
    log_probs = jax.nn.log_softmax(policy.apply(params, tokens, mask))
    start = len(plain)
    picked = jnp.take_along_axis(
        log_probs[:, start - 1 : -1], tokens[:, start:, None], -1
    )[..., 0]
    return jnp.sum(jnp.where(mask[:, start:], picked, 0.0), -1).reshape(-1, SIZE)
