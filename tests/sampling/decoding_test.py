"""What the sampler draws: the right distribution, from the right keys, once."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from nashalign import policies, sampling
from nashalign.types import Prompts
from tests import token_game

KEY = jax.random.key(11)
POLICY = token_game.POLICY
PARAMS = {
    "policy": token_game.parameters(POLICY, 1),
    "reference": token_game.parameters(POLICY, 0),
}
# A model of longer texts: few end at once, some are cut.
TEXT_POLICY = token_game.transformer(vocabulary=12)
TEXT_PARAMS = {
    "policy": token_game.parameters(TEXT_POLICY, 3),
    "reference": token_game.parameters(TEXT_POLICY, 4),
}
TEXT_DECODING = dataclasses.replace(token_game.DECODING, max_length=6)
TEXT_PROMPTS = token_game.prompts(range(7, 13), length=4)


def alone(logits):
    return logits["policy"]


def mixing(mix):
    """The token-level mixture with these weights `[N]` on the reference."""
    weight = jnp.asarray(mix)[None, :, None]
    return lambda logits: policies.mixture_logits(
        logits["policy"], logits["reference"], mix=weight
    )


def draw(policy, params, behaviour, prompts, decoding, num_responses, key=KEY):
    return sampling.sample(
        policy,
        params,
        behaviour,
        key,
        prompts,
        num_responses=num_responses,
        decoding=decoding,
    )


@token_game.compiled
def draw_game(mix, prompts):
    """Responses of the token game from mixtures `[N]`."""
    return draw(
        POLICY, PARAMS, mixing(mix), prompts, token_game.DECODING, mix.shape[0]
    )[0]


@token_game.compiled
def draw_texts(mix, prompts):
    """Longer responses from mixtures `[N]`, with both log-probabilities."""
    return draw(
        TEXT_POLICY, TEXT_PARAMS, mixing(mix), prompts, TEXT_DECODING, mix.shape[0]
    )


def outcomes(responses):
    """Index `[B, N]` of each response among those enumerated."""
    strings = {s: index for index, s in enumerate(token_game.strings())}
    tokens, mask = np.asarray(responses.tokens), np.asarray(responses.mask)
    return np.array(
        [
            [
                strings[tuple(row[own].tolist())]
                for row, own in zip(*prompt, strict=True)
            ]
            for prompt in zip(tokens, mask, strict=True)
        ]
    )


def test_a_policy_with_a_context_of_its_own_reads_that_instead_of_the_prompt():
    longer = jnp.full((6, 1), 5)
    context = dataclasses.replace(
        TEXT_PROMPTS,
        tokens=jnp.concatenate([TEXT_PROMPTS.tokens, longer], 1),
        mask=jnp.concatenate([TEXT_PROMPTS.mask, longer > 0], 1),
    )
    params = {"policy": TEXT_PARAMS["policy"], "told": TEXT_PARAMS["policy"]}

    @jax.jit
    def drawn(params, context):
        return sampling.sample(
            TEXT_POLICY,
            params,
            lambda logits: logits["told"],
            KEY,
            TEXT_PROMPTS,
            contexts={"told": context},
            num_responses=3,
            decoding=TEXT_DECODING,
        )

    read_again = jax.jit(functools.partial(policies.log_probs, TEXT_POLICY))
    responses, log_probs = drawn(params, context)
    told, _ = draw(
        TEXT_POLICY, TEXT_PARAMS, alone, context, TEXT_DECODING, num_responses=3
    )
    assert (responses.tokens == told.tokens).all()
    for name, read in (("policy", TEXT_PROMPTS), ("told", context)):
        expected = read_again(params[name], read, responses)
        np.testing.assert_allclose(log_probs[name], expected, atol=1e-5)
    assert (abs(log_probs["policy"] - log_probs["told"]).sum(-1) > 1e-3).all()


def same_prompt(number):
    """Copies of one padded prompt that differ in their ids."""
    prompt = token_game.prompts([1])
    return Prompts(
        tokens=jnp.repeat(prompt.tokens, number, 0),
        mask=jnp.repeat(prompt.mask, number, 0),
        ids=jnp.arange(number),
    )


def chances(name):
    """The exact distribution of a policy over the game's responses, `[Y]`."""
    log_policy = token_game.log_policy(POLICY, PARAMS[name], same_prompt(1))
    return np.exp(np.asarray(log_policy[0], np.float64))


def assert_drawn_from(indices, expected):
    """A chi-square test of drawn indices; the sum of the expected is made exact."""
    counts = np.bincount(indices.ravel(), minlength=expected.size)
    expected = expected * counts.sum() / expected.sum()
    assert expected.min() > 5
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_frequencies_are_those_of_the_enumerated_policy_and_mixture():
    drawn = outcomes(draw_game(jnp.array([0.0, 0.5, 1.0]), same_prompt(4000)))
    policy, reference = chances("policy"), chances("reference")
    assert np.abs(policy - reference).sum() / 2 > 0.1
    mixture = token_game.tree().mixture(policy, reference, 0.5)
    for column, expected in enumerate([policy, mixture, reference]):
        assert_drawn_from(drawn[:, column], expected)
    # Responses to one prompt are independent of each other.
    pairs = drawn[:, 0] * token_game.NUM_RESPONSES + drawn[:, 1]
    assert_drawn_from(pairs, np.outer(policy, mixture).ravel())


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_frequencies_without_a_mixture_follow_the_temperature(temperature):
    decoding = dataclasses.replace(token_game.DECODING, temperature=temperature)

    @token_game.compiled
    def plain(prompts):
        params = {"policy": PARAMS["policy"]}
        return draw(POLICY, params, alone, prompts, decoding, 2)

    responses, log_probs = plain(same_prompt(3000))
    policy = chances("policy")
    # A temperature is a mixture with the uniform policy.
    tree, prefixes = token_game.tree(), token_game.TABLE.mask[0].sum(-1)
    uniform = (1 / token_game.VOCABULARY) ** np.asarray(prefixes)
    tempered = tree.mixture(policy, uniform, 1 - 1 / temperature)
    drawn = outcomes(responses)
    assert_drawn_from(drawn, tempered)
    # Log-probabilities are at temperature 1 all the same.
    np.testing.assert_allclose(
        log_probs["policy"].sum(-1), np.log(policy)[drawn], atol=1e-5
    )


@token_game.compiled
def next_token_log_probs(prompts, tokens, length):
    """Both policies' next-token log-probabilities after `length` response tokens.

    A full forward pass over `[B, N]` rows of prompt and response, no cache.
    """
    batch, num_responses, room = tokens.shape
    full = [jnp.repeat(prompts.tokens, num_responses, 0), tokens.reshape(-1, room)]
    mask = jnp.broadcast_to(jnp.arange(room) < length, (batch * num_responses, room))
    mask = [jnp.repeat(prompts.mask, num_responses, 0), mask]
    last = prompts.tokens.shape[1] - 1 + length
    return {
        name: jax.nn.log_softmax(
            TEXT_POLICY.apply(
                params, jnp.concatenate(full, 1), jnp.concatenate(mask, 1)
            )
        )[:, last].reshape(batch, num_responses, -1)
        for name, params in TEXT_PARAMS.items()
    }


def recomputed(mix, prompts):
    """Tokens, mask and log-probabilities by a full forward pass at each position."""
    shape = (prompts.tokens.shape[0], mix.size, TEXT_DECODING.max_length)
    tokens, mask = np.full(shape, token_game.PAD), np.zeros(shape, bool)
    log_probs = {name: np.zeros(shape) for name in TEXT_PARAMS}
    for position in range(shape[2]):
        after = next_token_log_probs(prompts, jnp.asarray(tokens), position)
        after = {name: np.asarray(values) for name, values in after.items()}
        for b, n in np.ndindex(shape[:2]):
            if token_game.EOS in tokens[b, n, :position][mask[b, n, :position]]:
                continue
            own = {name: values[b, n] for name, values in after.items()}
            mixed = (1 - mix[n]) * own["policy"] + mix[n] * own["reference"]
            key = KEY
            for number in (prompts.ids[b], n, position):
                key = jax.random.fold_in(key, number)
            token = int(sampling.draw(key, jnp.asarray(mixed)))
            tokens[b, n, position], mask[b, n, position] = token, True
            for name, values in own.items():
                log_probs[name][b, n, position] = values[token]
    return tokens, mask, log_probs


def test_cached_mixture_decoding_equals_a_full_recompute():
    mix = np.array([0.0, 1 / 8, 1 / 2, 1.0], np.float32)
    responses, log_probs = draw_texts(jnp.asarray(mix), TEXT_PROMPTS)
    tokens, mask, expected = recomputed(mix, TEXT_PROMPTS)
    np.testing.assert_array_equal(responses.tokens, tokens)
    np.testing.assert_array_equal(responses.mask, mask)
    for name, params in TEXT_PARAMS.items():
        np.testing.assert_allclose(log_probs[name], expected[name], atol=1e-5)
        np.testing.assert_allclose(
            log_probs[name],
            token_game.compiled(policies.log_probs, static_argnums=0)(
                TEXT_POLICY, params, TEXT_PROMPTS, responses
            ),
            atol=1e-5,
        )


def test_responses_end_with_their_first_eos_or_are_marked_as_cut():
    drawn = draw_texts(jnp.array([0.0, 0.25]), TEXT_PROMPTS)
    responses, log_probs = jax.device_get(drawn)
    seen = set()
    for b, n in np.ndindex(responses.truncated.shape):
        tokens, mask = responses.tokens[b, n].tolist(), responses.mask[b, n].tolist()
        cut = token_game.EOS not in tokens
        length = len(tokens) if cut else tokens.index(token_game.EOS) + 1
        room = len(tokens) - length
        assert mask == [True] * length + [False] * room
        assert tokens[length:] == [token_game.PAD] * room
        assert bool(responses.truncated[b, n]) == cut
        for values in log_probs.values():
            assert (values[b, n, :length] < 0).all()
            assert (values[b, n, length:] == 0).all()
        seen.add(cut)
    assert seen == {True, False}


def test_a_response_ends_with_any_of_several_end_tokens():
    ends = (token_game.EOS, 1)
    decoding = dataclasses.replace(token_game.DECODING, eos_id=ends, max_length=4)
    responses, log_probs = token_game.compiled(
        lambda prompts: draw(
            POLICY, PARAMS, lambda logits: logits["policy"], prompts, decoding, 40
        )
    )(same_prompt(1))
    last = set()
    for tokens, mask, cut in zip(
        *(np.asarray(x)[0] for x in jax.tree.leaves(responses)), strict=True
    ):
        own = tokens[mask].tolist()
        assert not set(own[:-1]) & set(ends)
        assert bool(cut) == (own[-1] not in ends)
        assert len(own) == 4 or not cut
        last.add(own[-1])
    assert last >= set(ends)
    assert (np.asarray(log_probs["policy"])[~np.asarray(responses.mask)] == 0).all()


def test_the_token_that_ends_a_response_belongs_to_it_where_padding_is_the_same():
    end = token_game.EOS
    assert token_game.PAD != end
    (apart, wanted), (same, found) = (
        token_game.compiled(
            lambda pad=pad: draw(
                POLICY,
                PARAMS,
                alone,
                same_prompt(9),
                dataclasses.replace(token_game.DECODING, pad_id=pad),
                4,
            )
        )()
        for pad in (token_game.PAD, end)
    )
    np.testing.assert_array_equal(same.mask, apart.mask)
    np.testing.assert_array_equal(same.truncated, apart.truncated)
    np.testing.assert_array_equal(same.tokens, np.where(apart.mask, apart.tokens, end))
    np.testing.assert_allclose(found["policy"], wanted["policy"], atol=1e-6)
    ended = ((same.tokens == end) & same.mask).any(-1)
    np.testing.assert_array_equal(ended, ~same.truncated)
    assert ended.any() and same.truncated.any()


@pytest.mark.parametrize("given", [2, [2], np.int32(2), (2,)])
def test_one_end_token_may_be_given_by_itself(given):
    decoding = sampling.Decoding(max_length=3, eos_id=given, pad_id=0)
    assert decoding.eos_id == (2,)
    assert hash(decoding) == hash(dataclasses.replace(decoding))


def shuffled(order):
    return lambda prompts: jax.tree.map(lambda x: x[jnp.asarray(order)], prompts)


def padded(prompts):
    """The same prompts, two columns further to the right."""
    return Prompts(
        tokens=jnp.pad(prompts.tokens, ((0, 0), (2, 0)), constant_values=2),
        mask=jnp.pad(prompts.mask, ((0, 0), (2, 0))),
        ids=prompts.ids,
    )


@pytest.mark.parametrize(
    "mix, change, order",
    [
        ([0.0, 0.25], shuffled([3, 1, 5, 0, 4, 2]), [3, 1, 5, 0, 4, 2]),
        ([0.0, 0.25], shuffled([2, 3]), [2, 3]),
        ([0.0, 0.25], padded, range(6)),
        ([0.0, 0.25, 0.5], lambda prompts: prompts, range(6)),
    ],
    ids=["shuffled batch", "part of a batch", "more padding", "more responses"],
)
def test_a_draw_depends_on_key_example_and_index_alone(mix, change, order):
    before, _ = draw_texts(jnp.array([0.0, 0.25]), TEXT_PROMPTS)
    after, _ = draw_texts(jnp.array(mix), change(TEXT_PROMPTS))
    np.testing.assert_array_equal(
        after.tokens[:, :2], before.tokens[jnp.asarray(order)]
    )


def test_decoding_stops_when_every_response_has_ended():
    calls = []

    def ending(logits):
        jax.debug.callback(lambda: calls.append(1))
        return logits["policy"] + jnp.array([[[1e4, 0.0, 0.0]]])

    decoding = dataclasses.replace(token_game.DECODING, max_length=50)
    draw_all = token_game.compiled(
        lambda prompts: draw(POLICY, PARAMS, ending, prompts, decoding, 1)[0]
    )
    responses = jax.block_until_ready(draw_all(same_prompt(2)))
    jax.effects_barrier()
    assert len(calls) == 1
    assert responses.mask.sum() == 2 and not responses.truncated.any()
