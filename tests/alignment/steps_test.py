"""Compiled updates: which runs share one, and what they do not share."""

import jax
import numpy as np
import pytest

from nashalign import algorithms, policies, preferences, training
from nashalign.alignment import steps
from nashalign.types import Prompts
from tests import token_game


@pytest.mark.parametrize("on_host", [False, True])
def test_runs_that_differ_in_rates_settings_or_seeds_share_a_program(
    monkeypatch, on_host
):
    traced, learn = [], algorithms.learn

    def counted(*args, **options):
        traced.append(1)
        return learn(*args, **options)

    monkeypatch.setattr(algorithms, "learn", counted)
    monkeypatch.setitem(algorithms.update.__globals__, "learn", counted)
    mesh = training.make_mesh(jax.devices()[:1])
    params = token_game.parameters(token_game.POLICY, 0)
    moved = []
    for rate, tau, seed in [(1e-3, 0.4, 0), (2e-3, 0.4, 0), (1e-3, 0.7, 1)]:
        setup, step = steps.compile_step(
            token_game.POLICY,
            token_game.DECODING,
            None,
            rate,
            30,
            "constant",
            "adam",
            algorithms.Memory(),
            mesh,
            on_host,
        )
        method = algorithms.configure("online_ipo", tau=tau)
        state = algorithms.init(method, setup, params, jax.random.key(seed))
        annotator = token_game.annotator(method)
        prompts = token_game.prompts(range(6))
        state, _, _ = step(state, prompts, method, annotator, None)
        moved.append(jax.tree.leaves(state.params)[0] - jax.tree.leaves(params)[0])
    assert len(traced) == 1
    # Adam's first move is of the size of its rate.
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-3, atol=1e-8)
    assert np.abs(moved[2] - moved[0]).max() > 0


CONFIG = token_game.shape()
LORA = policies.Lora(rank=2, alpha=4.0)
ADAPTED = policies.family_of(CONFIG).build(CONFIG, LORA)


def adapted_run(mesh, on_host=False):
    """Tokens of three updates of adapters on a mesh, and the state after them."""
    setup, step = steps.compile_step(
        ADAPTED,
        token_game.DECODING,
        None,
        0.3,
        3,
        "constant",
        "sgd",
        algorithms.Memory(),
        mesh,
        on_host,
    )
    method = algorithms.configure("ipo_md", tau=0.4)
    params = token_game.parameters(ADAPTED, 0)
    base = policies.lora.base(params)
    base = jax.device_put(base, steps.sharding(base, mesh))
    state = algorithms.init(method, setup, params, jax.random.key(0))
    state, tokens = algorithms.without_base(state), []
    for number in range(3):
        prompts = token_game.prompts(range(8 * number, 8 * number + 8))
        annotator = token_game.annotator(method)
        state, _, groups = step(state, prompts, method, annotator, base)
        tokens.append(np.asarray(groups.responses.tokens))
    return tokens, state, base


@pytest.mark.parametrize("fsdp", [1, 4])
def test_adapters_learn_on_eight_devices_what_they_learn_on_one(fsdp):
    tokens, state, _ = adapted_run(training.make_mesh(jax.devices()[:1]))
    others, same, base = adapted_run(training.make_mesh(fsdp=fsdp))
    np.testing.assert_array_equal(tokens, others)
    leaves, others = (jax.tree.leaves(own.params) for own in (state, same))
    for one, other in zip(leaves, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    first = jax.tree.leaves(policies.lora.trained(token_game.parameters(ADAPTED, 0)))
    pairs = zip(leaves, first, strict=True)
    assert max(np.abs(one - other).max() for one, other in pairs) > 1e-4
    kernel = base["layers"]["up_proj"]["kernel"]
    assert kernel.sharding.shard_shape(kernel.shape) != kernel.shape or fsdp == 1


def test_adapters_learn_the_same_from_an_annotator_on_the_host():
    mesh = training.make_mesh(jax.devices()[:1])
    (tokens, state, _), (others, same, _) = (
        adapted_run(mesh, on_host) for on_host in (False, True)
    )
    np.testing.assert_array_equal(tokens, others)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5),
        state.params,
        same.params,
    )


class Numbers:
    """A tokenizer whose texts are the tokens' numbers."""

    def decode(self, ids):
        return " ".join(map(str, ids))


def asked_in(pieces, monkeypatch=None):
    """Tokens and state after an update by an annotator of text, and what happened."""
    mesh, happened = training.make_mesh(jax.devices()[:1]), []

    def judge(prompts, y, z):
        happened.append(len(y))
        return [len(own) / (len(own) + len(z[n]) + 1) for n, own in enumerate(y)]

    judge.batched = True
    if monkeypatch is not None:
        put = jax.device_put

        def counted(value, *others):
            if isinstance(value, Prompts):
                happened.append("sent")
            return put(value, *others)

        monkeypatch.setattr(jax, "device_put", counted)
    setup, step = steps.compile_step(
        *(token_game.POLICY, token_game.DECODING, None, 0.3, 3, "constant", "sgd"),
        *(algorithms.Memory(), mesh, True, steps.in_pieces(pieces)),
    )
    method = algorithms.configure("online_ipo", tau=0.4)
    params = token_game.parameters(token_game.POLICY, 0)
    state = algorithms.init(method, setup, params, jax.random.key(0))
    judge = preferences.text_annotator(judge, Numbers(), [str(n) for n in range(8)])
    prompts = token_game.prompts(range(8))
    state, _, groups = step(state, prompts, method, judge, None)
    return groups, state, happened


def test_a_batch_that_is_asked_about_in_pieces_is_learnt_from_as_one(monkeypatch):
    whole, state, before = asked_in(1)
    parts, same, happened = asked_in(4, monkeypatch)
    for field in ("tokens", "mask"):
        one, other = (getattr(own.responses, field) for own in (whole, parts))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(whole.preference, parts.preference)
    assert len(np.unique(whole.preference)) > 2
    for one, other in zip(*map(jax.tree.leaves, (state, same)), strict=True):
        if not jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(one, other, atol=1e-6)
    # The device has all pieces before anybody is asked about the first.
    assert happened[:4] == ["sent"] * 4
    assert sum(happened[4:]) == sum(before) and len(happened[4:]) == 4


def test_an_annotator_that_may_draw_is_asked_about_the_whole_batch():
    prompts = token_game.prompts(range(8))
    method = algorithms.configure("online_ipo", tau=0.4)
    assert not steps._in_pieces(token_game.annotator(method), prompts)
