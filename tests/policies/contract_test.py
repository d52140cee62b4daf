"""What every family of models promises: it samples, scores, and goes on from caches.

One of them is an encoder-decoder of the simplest kind. Its answers begin after a token
of its own, not after the prompt's last, and its cache is a nest of tuples with the rows
at the end.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashalign import policies, preferences, sampling
from nashalign.policies import decoder, layers, norms, rotary
from nashalign.policies.families import t5
from nashalign.types import Prompts, Responses
from tests import token_game

VOCABULARY, FIRST, DECAY = 3, 2, 0.5
KEY = jax.random.key(7)
PROMPTS = token_game.prompts(range(4))


def encoder_decoder(width=5) -> policies.Policy:
    """A mean of the prompt's tokens, and a fading sum of the response's."""

    def init(key):
        shapes = {"read": (3, width), "write": (3, width), "out": (width, 3)}
        return {name: jax.random.normal(key, shape) for name, shape in shapes.items()}

    def prefill(params, prompts, *, room):
        weight = prompts.mask / prompts.mask.sum(-1, keepdims=True)
        memory = jnp.einsum("bp,bpd->db", weight, params["read"][prompts.tokens])
        cache = (memory, [(jnp.zeros_like(memory),)], {"room": jnp.asarray(room)})
        return cache, jnp.full(len(prompts.ids), FIRST)

    def hidden(params, tokens, mask, cache):
        memory, [(faded,)], more = cache

        def read(faded, column):
            token, real = column
            longer = DECAY * faded + params["write"][token].T
            faded = jnp.where(real, longer, faded)
            return faded, (memory + faded).T

        faded, states = jax.lax.scan(read, faded, (tokens.T, mask.T))
        return jnp.moveaxis(states, 0, 1), (memory, [(faded,)], more)

    def by_rows(function):
        def changed(cache, rows, *others):
            memory, [(faded,)], more = cache
            others = [(other[0], other[1][0][0]) for other in others]
            memory, faded = (
                function(own, rows, *new)
                for own, *new in zip((memory, faded), *others, strict=True)
            )
            return memory, [(faded,)], more

        return changed

    return policies.Policy(
        init=init,
        prefill=prefill,
        take=by_rows(lambda own, rows: own[:, rows]),
        put=by_rows(lambda own, rows, new: own.at[:, rows].set(new)),
        hidden=hidden,
        logits=lambda params, hidden: hidden @ params["out"],
        vocabulary=VOCABULARY,
        width=width,
        context=8,
    )


FAMILIES = {
    "llama": token_game.transformer(VOCABULARY),
    "all options": decoder.decoder(
        layers.Shape(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
        ),
        layers.Options(
            qkv_bias=True,
            output_bias=True,
            mlp_bias=True,
            norm=norms.offset_rms,
            placement=norms.AROUND,
            qk_norm=norms.each_head,
            query_width=5.0,
            attention_cap=2.0,
            logit_cap=3.0,
            scaled_embedding=True,
            rotaries=(
                rotary.Rotary(scaling=rotary.Linear(factor=2.0), width=4),
                rotary.Rotary(theta=10.0, width=4),
            ),
            windows=(2, None),
        ),
        policies.Lora(rank=2, alpha=3.0),
    ),
    "tabular": policies.tabular(VOCABULARY, 8),
    "encoder-decoder": encoder_decoder(),
    "T5": t5.build(
        policies.T5Config(
            vocab_size=VOCABULARY,
            d_model=16,
            d_kv=6,
            d_ff=24,
            num_layers=1,
            num_decoder_layers=2,
            num_heads=2,
            relative_attention_num_buckets=4,
            relative_attention_max_distance=3,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=FIRST,
            tie_word_embeddings=False,
        ),
        policies.Lora(rank=2, alpha=3.0),
    ),
}
by_family = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def params(family, seed=1):
    return token_game.parameters(FAMILIES[family], seed, scale=0.7)


@functools.cache
def states(family, seed=1, end=0):
    """States `[B, Y, T + end, D]` before each token of the game's responses, uncached.

    With `end`, also the state after the last token.
    """
    table, values = token_game.TABLE, params(family, seed)
    tokens, mask = np.asarray(table.tokens[0]), np.asarray(table.mask[0])
    prompts = zip(np.asarray(PROMPTS.tokens), np.asarray(PROMPTS.mask), strict=True)
    if family == "encoder-decoder":
        return np.stack([by_hand(values, p[own], tokens, end) for p, own in prompts])
    forward = token_game.compiled(FAMILIES[family].hidden)
    if family == "T5":
        return np.stack(
            [after(values, p[own], tokens, mask, end) for p, own in prompts]
        )
    found = []
    for prompt, own in prompts:
        whole = [
            np.concatenate([np.repeat(left[None], len(right), 0), right], 1)
            for left, right in ((prompt, tokens), (own, mask))
        ]
        state = np.asarray(forward(values, *whole, None)[0])
        found.append(state[:, len(prompt) - 1 : state.shape[1] - 1 + end])
    return np.stack(found)


def by_hand(values, prompt, tokens, end):
    """States `[Y, T + end, D]` of the encoder-decoder for one unpadded prompt."""
    memory = np.asarray(values["read"])[prompt].mean(0)
    write = np.asarray(values["write"])
    read = np.concatenate([np.full((len(tokens), 1), FIRST), tokens], 1)
    return np.stack(
        [
            memory + sum(DECAY**age * write[read[:, t - age]] for age in range(t + 1))
            for t in range(tokens.shape[1] + end)
        ],
        1,
    )


def after(values, prompt, tokens, mask, end):
    """States `[Y, T + end, D]` of T5 for one unpadded prompt, all read at once."""
    policy, whole = FAMILIES["T5"], np.repeat(prompt[None], len(tokens), 0)
    repeated = Prompts(tokens=whole, mask=whole >= 0, ids=np.arange(len(tokens)))
    cache, first = policy.prefill(values, repeated, room=0)
    read = np.concatenate([np.asarray(first)[:, None], tokens], 1)
    own = np.concatenate([np.ones_like(mask[:, :1]), mask], 1)
    states, _ = token_game.compiled(policy.hidden)(values, read, own, cache)
    return np.asarray(states)[:, : tokens.shape[1] + end]


@functools.cache
def expected(family, seed=1):
    """Log-probabilities `[B, Y, T, V]` of next tokens, without a cache."""
    logits = FAMILIES[family].logits(params(family, seed), states(family, seed))
    return np.asarray(jax.nn.log_softmax(logits))


def table():
    """The game's responses to each prompt."""
    repeat = functools.partial(jnp.repeat, repeats=len(PROMPTS.ids), axis=0)
    return jax.tree.map(repeat, token_game.TABLE)


def chosen(log_probs, responses):
    """Of the tokens of responses `[B, N, T]`, zero where masked."""
    found = np.take_along_axis(log_probs, np.asarray(responses.tokens)[..., None], -1)
    return np.where(responses.mask, found[..., 0], 0.0)


@by_family
def test_responses_are_scored_as_without_a_cache(family):
    policy, responses = FAMILIES[family], table()
    found = token_game.compiled(functools.partial(policies.log_probs, policy))(
        params(family), PROMPTS, responses
    )
    wanted = chosen(expected(family), responses)
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@by_family
def test_a_mixture_is_sampled_and_enumerated_as_without_a_cache(family):
    policy = FAMILIES[family]
    both = {"policy": params(family), "reference": params(family, 2)}

    def mixed(logits):
        return policies.mixture_logits(logits["policy"], logits["reference"], mix=0.3)

    @token_game.compiled
    def draw(both):
        return sampling.sample(
            policy,
            both,
            mixed,
            KEY,
            PROMPTS,
            num_responses=5,
            decoding=token_game.DECODING,
        )

    @token_game.compiled
    def enumerate_all(both):
        return sampling.exact_log_probs(policy, both, mixed, PROMPTS, table())

    conditional = {
        name: expected(family, seed) for name, seed in (("policy", 1), ("reference", 2))
    }
    mixture = np.asarray(mixed(conditional))
    np.testing.assert_allclose(
        enumerate_all(both), chosen(mixture, table()).sum(-1), atol=2e-5
    )
    responses, log_probs = draw(both)
    strings = token_game.strings()
    for b, n in np.ndindex(responses.truncated.shape):
        tokens = np.asarray(responses.tokens[b, n])[np.asarray(responses.mask[b, n])]
        row = strings.index(tuple(tokens.tolist()))
        for position, token in enumerate(tokens):
            key = KEY
            for number in (PROMPTS.ids[b], n, position):
                key = jax.random.fold_in(key, number)
            assert token == sampling.draw(key, mixture[b, row, position])
            for name, own in log_probs.items():
                wanted = conditional[name][b, row, position, token]
                np.testing.assert_allclose(own[b, n, position], wanted, atol=2e-5)


@by_family
def test_states_after_continuations_are_those_without_a_cache(family):
    responses = table()
    found = token_game.compiled(functools.partial(policies.extend, FAMILIES[family]))(
        params(family), PROMPTS, responses.tokens, responses.mask
    )
    own = np.asarray(responses.mask)
    wanted = states(family, end=1)[:, :, 1:]
    np.testing.assert_allclose(np.asarray(found)[own], wanted[own], atol=2e-5)


@by_family
@pytest.mark.parametrize("pairs", [((0, 3), (1, 0), (3, 1)), ((2, 2),)])
def test_what_is_read_behind_a_continuation_is_as_if_they_were_one(family, pairs):
    # Some continuations end before their last column, and have padding in the middle.
    tokens, mask = table().tokens, np.array(table().mask)
    policy = FAMILIES[family]
    alone, behind = token_game.compiled(
        lambda *own: policies.extend_pairs(policy, *own, pairs)
    )(params(family), PROMPTS, tokens, mask)
    first, second = np.asarray(pairs).T
    joined = [np.concatenate([x[:, first], x[:, second]], -1) for x in (tokens, mask)]
    extend = token_game.compiled(functools.partial(policies.extend, policy))
    size = mask.shape[-1]
    wanted = extend(params(family), PROMPTS, *joined)[:, :, size:]
    own = mask[:, second]
    np.testing.assert_allclose(
        np.asarray(behind)[own], np.asarray(wanted)[own], atol=2e-5
    )
    wanted = extend(params(family), PROMPTS, tokens, mask)
    np.testing.assert_allclose(
        np.asarray(alone)[mask], np.asarray(wanted)[mask], atol=2e-5
    )


@by_family
@pytest.mark.parametrize("prefix", [(), (1,), (2, 1)])
def test_a_response_that_has_begun_goes_on_as_if_it_were_read_whole(family, prefix):
    policy, width = FAMILIES[family], PROMPTS.tokens.shape[1]
    going_on = policies.continuing(policy, width)
    assert going_on == policies.continuing(policy, width)
    tails = table()
    before = np.broadcast_to(prefix, (*tails.mask.shape[:2], len(prefix)))
    whole = Responses(
        tokens=np.concatenate([before, tails.tokens], -1).astype(np.int32),
        mask=np.concatenate([np.ones_like(before, bool), tails.mask], -1),
        truncated=tails.truncated,
    )
    score = token_game.compiled(policies.log_probs, static_argnums=0)
    found = score(
        going_on, params(family), policies.begin(PROMPTS, prefix, length=3), tails
    )
    wanted = score(policy, params(family), PROMPTS, whole)[..., len(prefix) :]
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@by_family
def test_the_steps_of_a_search_have_the_probabilities_of_whole_responses(family):
    policy, own = FAMILIES[family], np.asarray(PROMPTS.mask[1])
    expand = sampling.enumerated_steps(
        policy,
        params(family),
        tuple(np.asarray(PROMPTS.tokens[1])[own].tolist()),
        step_length=1,
        max_length=2,
        eos_id=token_game.EOS,
    )
    strings = token_game.strings()
    for prefix in ((), (1,), (2,)):
        for step in expand(prefix):
            row = next(
                row for row, own in enumerate(strings) if own[: len(prefix)] == prefix
            )
            wanted = expected(family)[1, row, len(prefix), step.tokens[0]]
            np.testing.assert_allclose(np.log(step.prior), wanted, atol=2e-5)


@by_family
def test_a_judge_reads_with_any_family(family):
    policy = FAMILIES[family]
    model = preferences.RewardModel(
        params=preferences.init_params(KEY, policy, params(family)),
        policy=policy,
        eos_id=token_game.EOS,
    )
    assert np.ptp(model.score(None, PROMPTS, table())) > 0


def begun(family, prompts, room=4):
    policy = FAMILIES[family]
    cache, first = policy.prefill(params(family), prompts, room=room)
    return cache, np.asarray(first)


@functools.cache
def decode(family):
    return token_game.compiled(FAMILIES[family].decode)


def written(family, cache, columns):
    """Logits `[R, S, V]` of reading `S` columns `[R]` in turn, and the cache."""
    found = []
    for column in columns:
        tokens = np.asarray(column)[:, None]
        own = np.ones(tokens.shape, bool)
        logits, cache = decode(family)(params(family), tokens, own, cache)
        found.append(logits)
    return np.concatenate(found, 1), cache


@by_family
@pytest.mark.parametrize("rows", [[0, 0, 1, 1, 2, 2, 3, 3], [3, 1], [2, 2, 0]])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_rows_that_are_taken_go_on_as_the_rows_they_were(family, rows, kind):
    cache, first = begun(family, PROMPTS)
    following = np.array([0, 1, 1, 2])
    whole, _ = written(family, cache, [first, following])
    taken = FAMILIES[family].take(cache, kind(rows))
    found, _ = written(family, taken, [first[rows], following[rows]])
    np.testing.assert_allclose(found, whole[rows], atol=1e-5)


@by_family
def test_a_refilled_row_goes_on_as_a_fresh_one_and_the_others_as_ever(family):
    policy = FAMILIES[family]
    cache, first = begun(family, PROMPTS)
    read = [first, np.array([0, 1, 1, 0])]
    _, before = written(family, cache, read)
    whole, _ = written(family, before, [np.array([1, 1, 2, 2])])
    # A shorter prompt, and others of the same width.
    for rows, ids, width in (([1], [2], 2), ([3, 0], [1, 0], 3)):
        fresh, starts = begun(family, token_game.prompts(ids, width))
        wanted, _ = written(family, fresh, [starts, *[starts * 0 + 1] * 3])
        after = token_game.compiled(policy.put)(before, np.array(rows), fresh)
        own = np.array([1, 1, 2, 2])
        own[rows] = starts
        # The others have half of the room left, those put all that they came with.
        found, _ = written(family, after, [own, *[np.ones(4, int)] * 3])
        np.testing.assert_allclose(found[rows], wanted, atol=1e-5)
        others = np.setdiff1d(np.arange(4), rows)
        np.testing.assert_allclose(found[others, :1], whole[others], atol=1e-5)


@by_family
def test_a_cache_that_was_put_into_keeps_its_form(family):
    policy = FAMILIES[family]
    cache, _ = begun(family, PROMPTS)
    other, _ = begun(family, token_game.prompts([1]))
    once = policy.put(cache, np.array([2]), other)
    longer = written(family, once, [np.ones(4, int)])[1]
    twice = policy.put(longer, np.array([0]), policy.take(once, np.array([2])))
    for later in (longer, twice):
        forms = [jax.tree.map(jnp.shape, value) for value in (once, later)]
        assert forms[0] == forms[1]


def test_rows_without_a_place_in_a_cache_are_refused():
    cache, _ = begun("llama", PROMPTS, room=1)
    other, _ = begun("llama", token_game.prompts([1]), room=2)
    with pytest.raises(ValueError, match="rows of 4 slots do not fit into .* of 3"):
        FAMILIES["llama"].put(cache, np.array([0]), other)
