"""Adapters: small matrices beside kernels, which alone are trained."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nashalign import policies, sampling
from nashalign.policies import LlamaConfig, Lora, lora
from nashalign.types import Prompts

CONFIG = LlamaConfig(
    vocab_size=11,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=4,
)
FAMILY = policies.family_of(CONFIG)
LORA = Lora(rank=3, alpha=5.0)
PLAIN, ADAPTED = FAMILY.build(CONFIG), FAMILY.build(CONFIG, LORA)
KEY = jax.random.key(0)
TOKENS = jax.random.randint(KEY, (8, 6), 0, CONFIG.vocab_size)
MASK = jnp.ones_like(TOKENS, bool)
PROMPTS = Prompts(tokens=TOKENS, mask=MASK, ids=jnp.arange(8))


@functools.cache
def start():
    return ADAPTED.init(KEY)


def moved(seed, params=None):
    """The same base with random adapters."""
    params = start() if params is None else params
    leaves, tree = jax.tree.flatten(lora.trained(params))
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    own = [
        jax.random.normal(key, leaf.shape)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return lora.join(params, jax.tree.unflatten(tree, own))


apply = jax.jit(lambda params: ADAPTED.apply(params, TOKENS, MASK))
plain = jax.jit(lambda params: PLAIN.apply(params, TOKENS, MASK))


def test_adapters_change_nothing_before_they_are_trained():
    np.testing.assert_array_equal(apply(start()), plain(lora.base(start())))


def test_the_product_of_an_adapter_is_added_to_its_kernel():
    params = moved(1)
    kernel = params["layers"]["self_attn"]["v_proj"]
    wanted = kernel["kernel"] + 5 / 3 * np.einsum(
        "lir,lro->lio", kernel["lora_a"], kernel["lora_b"]
    )
    merged = lora.merged(params, LORA)
    own = merged["layers"]["self_attn"]["v_proj"]["kernel"]
    np.testing.assert_allclose(own, wanted, rtol=1e-5)
    assert jax.tree.structure(merged) == jax.tree.structure(PLAIN.init(KEY))
    assert np.abs(apply(params) - apply(start())).max() > 0.1
    np.testing.assert_allclose(apply(params), plain(merged), atol=1e-4)


def test_a_rank_stabilized_product_is_over_the_root_of_the_rank():
    assert Lora(rank=4, alpha=6.0).scale == 1.5
    assert Lora(rank=4, alpha=6.0, rank_stabilized=True).scale == 3.0


def test_only_the_projections_that_are_named_have_adapters():
    chosen = Lora(rank=2, targets=("q_proj", "down_proj"))
    own = lora.trained(FAMILY.build(CONFIG, chosen).init(KEY))["layers"]
    assert set(own) == {"self_attn", "down_proj"}
    assert set(own["self_attn"]) == {"q_proj"}


def test_of_parameters_without_adapters_all_are_trained():
    params = PLAIN.init(KEY)
    assert lora.trained(params) is params
    assert lora.base(params) is params
    assert lora.together({"one": params, "two": params}) is None


def test_base_and_adapters_are_all_that_there_is():
    params = start()
    again = lora.join(lora.base(params), lora.trained(params))
    assert jax.tree.structure(again) == jax.tree.structure(params)
    num = [len(jax.tree.leaves(own(params))) for own in (lora.base, lora.trained)]
    assert sum(num) == len(jax.tree.leaves(params))


def test_policies_of_one_base_read_their_rows_in_one_pass():
    both = {"policy": moved(1), "reference": moved(2)}
    shared = lora.together(both)
    twice = [jnp.concatenate([x, x]) for x in (TOKENS, MASK)]
    found = jnp.split(ADAPTED.apply(shared, *twice), 2)
    for name, own in zip(both, found, strict=True):
        np.testing.assert_allclose(own, apply(both[name]), atol=1e-4)


def mixture(both, slots=None, contexts=None):
    def behaviour(logits):
        return policies.mixture_logits(logits["policy"], logits["reference"], mix=0.4)

    return sampling.sample(
        ADAPTED,
        both,
        behaviour,
        KEY,
        PROMPTS,
        contexts=contexts or {},
        num_responses=2,
        decoding=sampling.Decoding(max_length=5, eos_id=3, pad_id=0, slots=slots),
    )


@pytest.mark.parametrize("slots", [None, 3])
@pytest.mark.parametrize("context", ["the same", "its own", "a longer one"])
def test_a_mixture_over_one_base_is_that_of_two_models(slots, context):
    other = jnp.flip(TOKENS, 0)
    own = {
        "the same": TOKENS,
        "its own": other,
        "a longer one": jnp.concatenate([other, TOKENS[:, :2]], 1),
    }[context]
    read = dataclasses.replace(PROMPTS, tokens=own, mask=jnp.ones_like(own, bool))
    draw = functools.partial(mixture, slots=slots, contexts={"reference": read})
    both = {"policy": moved(1), "reference": moved(2)}
    apart = {name: jax.tree.map(jnp.copy, own) for name, own in both.items()}
    assert lora.together(both) is not None and lora.together(apart) is None
    # Under jit two arguments are two arrays: there the base is given once.
    base, adapters = (
        lora.base(both["policy"]),
        jax.tree.map(lora.trained, both, is_leaf=lambda x: "layers" in x),
    )
    shared = jax.jit(lambda base, own: draw({n: lora.join(base, own[n]) for n in own}))
    found, log_probs = shared(base, adapters)
    wanted, expected = jax.jit(draw)(apart)
    np.testing.assert_array_equal(found.tokens, wanted.tokens)
    for name in both:
        np.testing.assert_allclose(log_probs[name], expected[name], atol=1e-4)
    difference = np.abs(expected["policy"] - expected["reference"])
    assert difference.max() > 0.1


def test_a_base_that_two_policies_share_is_multiplied_once_a_token():
    both = {"policy": moved(1), "reference": moved(2)}
    adapters = {name: lora.trained(own) for name, own in both.items()}

    def shared(base, own):
        return mixture({name: lora.join(base, own[name]) for name in own})

    def apart(base, own):
        return mixture(
            {n: lora.join(jax.tree.map(jnp.copy, base), own[n]) for n in own}
        )

    base = lora.base(start())
    loops = [
        str(jax.make_jaxpr(draw)(base, adapters)).count("scan[")
        for draw in (shared, apart)
    ]
    assert loops[1] == 2 * loops[0]


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"alpha": 0.0}, {"targets": ()}], ids=str
)
def test_adapters_of_no_size_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Lora(**{"rank": 2, **wrong})


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_another_library_adds_the_same_to_a_projection():
    qwix = pytest.importorskip("qwix")

    class Alone(nnx.Module):
        def __init__(self):
            self.q_proj = nnx.Linear(6, 5, use_bias=False, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.q_proj(x)

    x = jax.random.normal(KEY, (2, 3, 6))
    provider = qwix.LoraProvider(module_path=".*q_proj", rank=3, alpha=5.0)
    theirs = qwix.apply_lora_to_model(Alone(), provider, x, rngs=nnx.Rngs(1))
    theirs.q_proj.kernel_lora_b[...] = jax.random.normal(KEY, (3, 5))
    ours = lora.Linear(6, 5, nnx.Rngs(0), bias=False)
    ours.adapt(LORA, nnx.Rngs(0))
    ours.kernel[...] = theirs.q_proj.kernel[...]
    ours.lora_a[...] = theirs.q_proj.kernel_lora_a[...]
    ours.lora_b[...] = theirs.q_proj.kernel_lora_b[...]
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert np.abs(ours(x) - x @ ours.kernel[...]).max() > 0.1
