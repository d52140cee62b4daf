"""The learned annotators: antisymmetric, blind to padding, and able to learn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nashalign import policies, preferences
from nashalign.types import Prompts, Responses

EOS, VOCABULARY = 1, 11
POLICY = policies.llama(
    policies.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
        rope_theta=10_000.0,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
    )
)
MODELS = (preferences.PairwiseModel, preferences.RewardModel)


INITIAL = jax.jit(POLICY.init)(jax.random.key(0))


def make(model, scale=3.0):
    """A model with weights and a head that are large enough to have opinions."""
    larger = jax.tree.map(lambda x: 5 * x, INITIAL)
    params = preferences.init_params(jax.random.key(3), POLICY, larger)
    params["head"] = scale * params["head"]
    return model(params=params, policy=POLICY, eos_id=EOS)


def sequences(key, lengths, width):
    """Random tokens ending in EOS, padded with a real token."""
    lengths = np.asarray(lengths)
    tokens = jax.random.randint(key, (*lengths.shape, width), 2, VOCABULARY)
    tokens = jnp.where(np.arange(width) == lengths[..., None] - 1, EOS, tokens)
    return Responses(
        tokens=tokens,
        mask=jnp.asarray(np.arange(width) < lengths[..., None]),
        truncated=jnp.zeros(lengths.shape, bool),
    )


def data(width=6):
    keys = jax.random.split(jax.random.key(1), 3)
    prompts = Prompts(
        tokens=jax.random.randint(keys[0], (2, 4), 2, VOCABULARY),
        mask=jnp.asarray([[False, True, True, True], [True] * 4]),
        ids=jnp.arange(2),
    )
    y = sequences(keys[1], [[2, 5, 4], [3, 1, 5]], width)
    z = sequences(keys[2], [[5, 1, 4], [4, 2, 3]], width)
    return prompts, y, z


prefer = jax.jit(lambda model, *texts: model.prefer(None, *texts))
logit = jax.jit(lambda model, *texts: model.logit(*texts))
score = jax.jit(lambda model, *texts: model.score(None, *texts))


@pytest.mark.parametrize("model", MODELS)
def test_swapping_the_responses_complements_the_preference(model):
    prompts, y, z = data()
    forward, backward = (
        prefer(make(model), prompts, y, z),
        prefer(make(model), prompts, z, y),
    )
    assert forward.shape == (2, 3) and jnp.abs(forward - 0.5).max() > 0.2
    assert forward.min() >= 0 and forward.max() <= 1
    np.testing.assert_allclose(forward + backward, 1, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_text_beats_itself_half_the_time(model):
    prompts, y, _ = data()
    np.testing.assert_allclose(prefer(make(model), prompts, y, y), 0.5, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_constant_model_says_exactly_one_half(model):
    prompts, y, z = data()
    np.testing.assert_array_equal(prefer(make(model, scale=0.0), prompts, y, z), 0.5)


@pytest.mark.parametrize("model", MODELS)
def test_padding_changes_nothing(model):
    prompts, y, z = data()
    pad = lambda x: jnp.pad(x, [(0, 0), (0, 0), (0, 3)])  # noqa: E731
    long = [
        Responses(
            tokens=pad(r.tokens) + 3 * ~pad(r.mask),
            mask=pad(r.mask),
            truncated=r.truncated,
        )
        for r in (y, z)
    ]
    wide = Prompts(
        tokens=jnp.pad(prompts.tokens, [(0, 0), (2, 0)], constant_values=5),
        mask=jnp.pad(prompts.mask, [(0, 0), (2, 0)]),
        ids=prompts.ids,
    )
    np.testing.assert_allclose(
        prefer(make(model), wide, *long),
        prefer(make(model), prompts, y, z),
        atol=1e-5,
    )


def test_pairwise_model_is_the_head_after_each_response_alone_and_after_the_other():
    prompts, y, z = data()
    model = make(preferences.PairwiseModel)

    def read(*texts):
        tokens = jnp.concatenate([r.tokens[0, 1][r.mask[0, 1]] for r in texts])
        tokens = jnp.concatenate([prompts.tokens[0][prompts.mask[0]], tokens])[None]
        state, _ = POLICY.hidden(
            model.params["policy"], tokens, jnp.ones_like(tokens, bool), None
        )
        return state[0, -1] @ model.params["head"]

    np.testing.assert_allclose(
        logit(model, prompts, y, z)[0, 1],
        (read(y) + read(z, y) - read(z) - read(y, z)) / 2,
        rtol=1e-4,
        atol=1e-5,
    )


def test_pairwise_model_is_not_a_difference_of_scores():
    prompts, y, z = data()
    model = make(preferences.PairwiseModel)
    x = jax.tree.map(lambda a: a[:, ::-1], y)
    around = logit(model, prompts, y, z) + logit(model, prompts, z, x)
    around = around + logit(model, prompts, x, y)
    assert jnp.abs(around).max() > 0.1


def test_reward_model_is_bradley_terry():
    prompts, y, z = data()
    model = make(preferences.RewardModel)
    r_y, r_z = score(model, prompts, y), score(model, prompts, z)
    np.testing.assert_allclose(
        prefer(model, prompts, y, z), jax.nn.sigmoid(r_y - r_z), atol=1e-5
    )
    assert jnp.abs(r_y - r_z).max() > 0.5


@pytest.mark.parametrize("model", MODELS)
def test_a_cut_response_is_read_as_if_it_had_ended(model):
    prompts, y, z = data(width=5)
    cut = Responses(
        tokens=y.tokens, mask=y.mask & (y.tokens != EOS), truncated=~y.truncated
    )
    np.testing.assert_allclose(
        prefer(make(model), prompts, cut, z),
        prefer(make(model), prompts, y, z),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "pairs", [[(2, 0)], [(0, 1), (1, 2), (2, 0)], [(0, 1), (0, 2)]]
)
@pytest.mark.parametrize("model", MODELS)
def test_pairs_that_share_readings_are_answered_as_if_alone(model, pairs):
    prompts, y, _ = data()
    model = make(model)
    first, second = (
        jax.tree.map(lambda x, own=own: x[:, jnp.asarray(own)], y)
        for own in zip(*pairs, strict=True)
    )
    np.testing.assert_allclose(
        model.logits(prompts, y, pairs),
        logit(model, prompts, first, second),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("model", MODELS)
def test_loss_is_the_cross_entropy_of_the_votes(model):
    prompts, y, z = data()
    model = make(model)
    votes = jnp.asarray([[1.0, 0.0, 0.3], [0.0, 1.0, 0.5]])
    p = prefer(model, prompts, y, z)
    both = jax.tree.map(lambda *p: jnp.concatenate(p, 1), y, z)
    pairs = ((0, 3), (1, 4), (2, 5))
    loss = jax.jit(preferences.vote_loss, static_argnums=3)(
        model, prompts, both, pairs, votes
    )
    np.testing.assert_allclose(
        loss, -votes * jnp.log(p) - (1 - votes) * jnp.log(1 - p), rtol=1e-4
    )


@pytest.mark.parametrize("model", MODELS)
def test_model_learns_which_response_is_shorter(model):
    keys = jax.random.split(jax.random.key(2), 4)
    lengths = [np.asarray(jax.random.randint(k, (16, 4), 1, 7)) for k in keys[:2]]
    y, z = (sequences(k, n, 6) for k, n in zip(keys[2:], lengths, strict=True))
    prompts = Prompts(
        tokens=jnp.full((16, 1), 2), mask=jnp.ones((16, 1), bool), ids=jnp.arange(16)
    )
    votes = jnp.asarray(np.sign(lengths[1] - lengths[0]) / 2 + 0.5)
    both = jax.tree.map(lambda *p: jnp.concatenate(p, 1), y, z)
    pairs = [(index, 4 + index) for index in range(4)]
    optimizer = optax.adam(1e-2)
    model = dataclasses.replace(
        make(model),
        params=preferences.init_params(keys[0], POLICY, INITIAL),
    )

    @jax.jit
    def step(model, state):
        def loss(model):
            return preferences.vote_loss(model, prompts, both, pairs, votes).mean()

        value, gradient = jax.value_and_grad(loss)(model)
        updates, state = optimizer.update(gradient, state, model)
        return optax.apply_updates(model, updates), state, value

    state, losses = optimizer.init(model), []
    for _ in range(40):
        model, state, value = step(model, state)
        losses.append(float(value))
    decided = votes != 0.5
    right = (prefer(model, prompts, y, z) > 0.5) == (votes > 0.5)
    assert losses[0] == pytest.approx(np.log(2), abs=0.02)
    assert right[decided].mean() > 0.9
