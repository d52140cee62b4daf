"""Responses that texts end are those of the same draws, cut at the right token."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers

from nashalign import data, policies, sampling
from tests import token_game

POLICY = token_game.transformer(vocabulary=12)
PARAMS = {
    "policy": token_game.parameters(POLICY, 3),
    "reference": token_game.parameters(POLICY, 4),
}
PROMPTS = token_game.prompts(range(24), length=4)
DECODING = dataclasses.replace(token_game.DECODING, max_length=6)
NAMES = ["<end>", "a", "b", "ab", "ba", "aa", "bb", "c", "ac", "cb", "d", "bd"]
TEXTS = ("abab", "cc", "dd")


def tokenizer():
    """A tokenizer of twelve tokens, the first of which is the end token."""
    model = tokenizers.models.BPE({name: n for n, name in enumerate(NAMES)}, [])
    backend = tokenizers.Tokenizer(model)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens(NAMES[:1])
    return data.Tokenizer(
        backend=backend, pad_id=token_game.PAD, eos_id=(0,), bos_id=None, size=12
    )


STOPS = tokenizer().stopping(TEXTS, vocabulary=12).stops


def drawn(slots, stops):
    """Responses from mixtures, and both log-probabilities."""
    mix = jnp.array([0.2, 0.7, 0.9])[None, :, None]
    decoding = dataclasses.replace(DECODING, slots=slots, stops=stops)
    return sampling.sample(
        POLICY,
        PARAMS,
        lambda logits: policies.mixture_logits(
            logits["policy"], logits["reference"], mix=mix
        ),
        jax.random.key(2),
        PROMPTS,
        num_responses=3,
        decoding=decoding,
    )


draw = token_game.compiled(drawn, static_argnums=(0, 1))


@pytest.mark.parametrize("slots", [None, 2])
def test_a_response_is_cut_behind_the_token_that_completes_a_stop_text(slots):
    found, log_probs = draw(slots, STOPS)
    whole, wanted = draw(None, None)
    ends, lengths = {}, np.asarray(whole.mask).sum(-1)
    for place in np.ndindex(lengths.shape):
        ids = np.asarray(whole.tokens)[place][: lengths[place]].tolist()
        spelt = ["".join(NAMES[t] for t in ids[:n]) for n in range(1, len(ids) + 1)]
        complete = [any(own in text for own in TEXTS) for text in spelt]
        if any(complete):
            ends[place] = complete.index(True) + 1
            lengths[place] = ends[place]
    # Some are cut before their last token, and some end with it.
    assert len(ends) > 8 and {6, 3} < set(ends.values())
    assert len(ends) < lengths.size / 2
    mask = np.arange(6) < lengths[..., None]
    stopped = np.zeros_like(whole.truncated)
    stopped[tuple(np.array(list(ends)).T)] = True
    assert (whole.truncated & stopped).any()
    chex.assert_trees_all_equal(
        found,
        dataclasses.replace(
            whole,
            tokens=jnp.where(mask, whole.tokens, token_game.PAD),
            mask=mask,
            truncated=whole.truncated & ~stopped,
        ),
    )
    masked = jax.tree.map(lambda own: np.where(mask, own, 0), wanted)
    chex.assert_trees_all_close(log_probs, masked, atol=1e-5)


def test_what_was_drawn_has_the_probability_of_its_tokens_up_to_the_stop():
    found, log_probs = draw(None, STOPS)
    score = token_game.compiled(functools.partial(policies.log_probs, POLICY))
    for name, own in PARAMS.items():
        expected = score(own, PROMPTS, found)
        np.testing.assert_allclose(log_probs[name], expected, atol=1e-5)


def test_stop_texts_for_another_vocabulary_are_refused():
    other = tokenizer().stopping(TEXTS, vocabulary=13).stops
    with pytest.raises(ValueError, match="for 13 tokens, and the policy has 12"):
        drawn(None, other)
