"""Encoder-decoders: T5 in its versions, held against transformers and against itself.

Prompts and responses are longer than the distance from which on all share one bucket.
"""

import functools
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from nashalign import policies, preferences, sampling
from nashalign.policies import lora, relative
from nashalign.types import Prompts, Responses
from tests import tiny_t5, token_game

GOLDEN = pathlib.Path(__file__).parent / "golden"
NAMES = ("t5", "t5_gated")
SIDES = ("left", "right")
by_name = pytest.mark.parametrize("name", NAMES)


@functools.cache
def loaded(name):
    return policies.load_pretrained(GOLDEN / name)


@functools.cache
def golden(name):
    return dict(np.load(GOLDEN / name / "logits.npz"))


def prompts_of(tokens, mask):
    return Prompts(tokens=tokens, mask=mask, ids=np.arange(len(mask)))


@functools.partial(token_game.compiled, static_argnums=0)
def logits_of(policy, params, prompts, tokens, mask):
    """Of a whole response, read at once; its first column is the first token."""
    cache, first = policy.prefill(params, prompts, room=0)
    tokens = jnp.concatenate([first[:, None], tokens[:, 1:]], 1)
    return policy.decode(params, tokens, mask, cache)[0]


def set_options(folder, **options):
    """Changes `config.json`; None deletes an option."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | options
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept))


@pytest.fixture
def folder(tmp_path):
    """A copy of version 1.0, to be spoilt."""
    return shutil.copytree(GOLDEN / "t5", tmp_path / "model")


# Definition: another library computes the same logits.


@pytest.mark.parametrize("side", SIDES)
@by_name
def test_logits_equal_those_of_transformers(name, side):
    own, start = golden(name), loaded(name)
    prompts = prompts_of(own["prompt"], own[f"{side}_mask"])
    mask, expected = own["response_mask"], own[f"{side}_logits"]
    found = logits_of(start.policy, start.params, prompts, own["response"], mask)
    assert np.abs(expected[mask]).max() > 1.0
    np.testing.assert_allclose(found[mask], expected[mask], rtol=0, atol=1e-4)


@by_name
def test_tokens_read_one_by_one_give_the_logits_of_a_whole_response(name):
    own, start = golden(name), loaded(name)
    mask, expected = own["response_mask"], own["left_logits"]
    prompts = prompts_of(own["prompt"], own["left_mask"])
    cache, token = start.policy.prefill(start.params, prompts, room=mask.shape[1])

    def read(cache, column):
        token, real = column
        logits, cache = start.policy.decode(
            start.params, token[:, None], real[:, None], cache
        )
        return cache, logits[:, 0]

    assert (token == own["response"][:, 0]).all()
    _, found = token_game.compiled(functools.partial(jax.lax.scan, read))(
        cache, (own["response"].T, mask.T)
    )
    found = np.moveaxis(found, 0, 1)
    np.testing.assert_allclose(found[mask], expected[mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_near_distances_have_a_bucket_each_and_far_ones_share_wider_ones(bidirectional):
    distance = jnp.arange(-400, 401)
    found = relative.buckets(
        distance, number=32, limit=128, bidirectional=bidirectional
    )
    first = 8 if bidirectional else 16
    back = np.asarray(found)[400::-1]
    assert back[: first + 1].tolist() == list(range(first + 1))
    assert (np.diff(back) >= 0).all() and len(set(back.tolist())) == 2 * first
    assert back[127] == back[-1] == 2 * first - 1
    # The last bucket but one ends at the limit but for a factor of its width.
    assert back[int(128 / (128 / first) ** (1 / first)) - 1] == 2 * first - 2
    ahead = np.asarray(found)[401:]
    np.testing.assert_array_equal(ahead, back[1:] + 16 if bidirectional else 0)


def test_masked_tokens_between_others_take_no_position_on_either_side():
    start = loaded("t5")
    tokens = np.array([[4, 9, 2, 7, 5, 3, 11]])
    mask = np.array([[True, True, False, False, True, False, True]])
    prompts = prompts_of(tokens, mask)
    found = logits_of(start.policy, start.params, prompts, tokens, mask)
    together = prompts_of(tokens[mask][None], mask[mask][None])
    wanted = logits_of(
        start.policy, start.params, together, tokens[mask][None], mask[mask][None]
    )
    np.testing.assert_allclose(found[mask], wanted[0], atol=1e-5)


def test_what_is_masked_changes_nothing_and_what_comes_later_neither():
    own, start = golden("t5_gated"), loaded("t5_gated")
    mask, seen = own["response_mask"], own["left_mask"]

    def states(prompt, response, mask):
        found = logits_of(
            start.policy, start.params, prompts_of(prompt, seen), response, mask
        )
        return np.asarray(found)

    wanted = states(own["prompt"], own["response"], mask)
    other = np.where(seen, own["prompt"], 7), np.where(mask, own["response"], 7)
    np.testing.assert_allclose(states(*other, mask)[mask], wanted[mask], atol=1e-5)
    cut = own["response"].copy()
    cut[:, 3:] = 5
    found = states(own["prompt"], cut, mask)
    np.testing.assert_allclose(found[:2, :3], wanted[:2, :3], atol=1e-5)
    assert np.abs(found[:2, 3:6] - wanted[:2, 3:6]).max() > 0.1


def test_a_text_without_a_prompt_is_refused():
    start = loaded("t5")
    tokens = np.ones((1, 2), np.int32)
    with pytest.raises(ValueError, match="reads nothing without a prompt"):
        start.policy.apply(start.params, tokens, tokens > 0)


def test_a_wider_prompt_than_the_cache_has_room_for_is_refused():
    start = loaded("t5")
    caches = [
        start.policy.prefill(
            start.params,
            prompts_of(np.ones((1, width), np.int32), np.ones((1, width), bool)),
            room=room,
        )[0]
        for width, room in ((2, 4), (3, 0))
    ]
    with pytest.raises(ValueError, match="rows of 3 slots do not fit into .* of 2"):
        start.policy.put(caches[0], np.array([0]), caches[1])


# What is made of it: sampling, judging, gradients.


def batch(name, width=6):
    own = golden(name)
    mask = np.ones((3, width), bool)
    mask[1, :3] = False
    return prompts_of(own["prompt"][:, :width], mask)


@pytest.mark.parametrize("name, slots", [("t5", None), ("t5_gated", 2)])
def test_a_mixture_is_drawn_with_log_probabilities_of_both(name, slots):
    start = loaded(name)
    both = {
        "policy": start.params,
        "reference": jax.tree.map(lambda leaf: leaf * 0.9, start.params),
    }

    def behaviour(logits):
        return policies.mixture_logits(logits["policy"], logits["reference"], mix=0.3)

    @token_game.compiled
    def draw(both):
        return sampling.sample(
            start.policy,
            both,
            behaviour,
            jax.random.key(3),
            batch(name),
            num_responses=6,
            decoding=sampling.Decoding(
                max_length=12, eos_id=1, pad_id=0, slots=slots, temperature=1.5
            ),
        )

    responses, log_probs = draw(both)
    # Tokens that are the padding's are drawn too, and count.
    tokens, mask = np.asarray(responses.tokens), np.asarray(responses.mask)
    assert (tokens[mask] == 0).any() and (~mask).any()
    assert ((tokens == 1).sum(-1) == ~np.asarray(responses.truncated)).all()
    for name_of, params in both.items():
        wanted = policies.log_probs(start.policy, params, batch(name), responses)
        np.testing.assert_allclose(log_probs[name_of], wanted, atol=1e-4)


def test_slots_change_no_response():
    name = "t5_gated"
    start = loaded(name)

    def draw(slots):
        return sampling.sample(
            start.policy,
            {"policy": start.params},
            lambda logits: logits["policy"],
            jax.random.key(3),
            batch(name),
            num_responses=2,
            decoding=sampling.Decoding(max_length=9, eos_id=1, pad_id=0, slots=slots),
        )[0].tokens

    found = [token_game.compiled(draw, static_argnums=0)(slots) for slots in (None, 2)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", [preferences.PairwiseModel, preferences.RewardModel])
def test_a_judge_of_either_kind_reads_with_it(kind):
    start, prompts = loaded("t5"), batch("t5")
    key = jax.random.key(0)
    model = kind(
        params=preferences.init_params(key, start.policy, start.params),
        policy=start.policy,
        eos_id=1,
    )
    tokens = np.random.default_rng(0).integers(2, 23, (3, 2, 5))
    tokens[0, 0, 2:] = [1, 0, 0]
    responses = Responses(
        tokens=tokens,
        mask=tokens > 0,
        truncated=np.array([[False, True], [True, True], [True, True]]),
    )
    y, z = (
        jax.tree.map(lambda leaf, n=n: leaf[:, n : n + 1], responses) for n in (0, 1)
    )
    both = np.stack(
        [model.prefer(key, prompts, y, z), model.prefer(key, prompts, z, y)]
    )
    np.testing.assert_allclose(both.sum(0), 1, atol=1e-5)
    assert np.ptp(both) > 1e-3


@by_name
def test_the_gradient_is_the_same_whether_states_are_kept_or_made_again(name):
    start, prompts = loaded(name), batch(name)
    tokens = np.random.default_rng(0).integers(2, 23, (3, 2, 5))
    mask = np.ones(tokens.shape, bool)
    responses = Responses(tokens=tokens, mask=mask, truncated=mask[..., 0])

    def slope(policy):
        def total(params):
            return policies.log_probs(policy, params, prompts, responses).sum()

        return token_game.compiled(jax.grad(total))(start.params)

    found, wanted = slope(start.policy), slope(start.policy.without_remat)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=2e-3, rtol=1e-4),
        found,
        wanted,
    )
    # Every parameter is used, those of the encoder too.
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(wanted))


def test_a_mixture_over_one_base_is_that_of_two_models():
    config = loaded("t5").config
    policy = policies.family_of(config).build(config, policies.Lora(rank=2))
    start = lora.join(policy.init(jax.random.key(0)), loaded("t5").params)
    prompts = batch("t5")

    def moved(seed):
        draw = np.random.default_rng(seed)
        own = jax.tree.map(
            lambda leaf: 0.5 * draw.normal(size=leaf.shape).astype(np.float32),
            lora.trained(start),
        )
        return lora.join(start, own)

    def behaviour(logits):
        return policies.mixture_logits(logits["policy"], logits["reference"], mix=0.3)

    both = {"policy": moved(1), "reference": moved(2)}
    assert lora.together(both) is not None
    base, adapters = lora.base(start), {n: lora.trained(p) for n, p in both.items()}

    @token_game.compiled
    def draw(base, adapters):
        return sampling.sample(
            policy,
            {name: lora.join(base, own) for name, own in adapters.items()},
            behaviour,
            jax.random.key(3),
            prompts,
            num_responses=2,
            decoding=sampling.Decoding(max_length=6, eos_id=1, pad_id=0, slots=2),
        )

    responses, log_probs = draw(base, adapters)
    wanted = {
        name: policies.log_probs(policy, params, prompts, responses)
        for name, params in both.items()
    }
    for name, found in log_probs.items():
        np.testing.assert_allclose(found, wanted[name], atol=1e-4)
    assert np.abs(wanted["policy"] - wanted["reference"]).max() > 0.1


def test_in_bfloat16_logits_are_float32_and_not_far_from_it():
    own, start = golden("t5_gated"), loaded("t5_gated")
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), start.params)
    prompts = prompts_of(own["prompt"], own["left_mask"])
    mask, expected = own["response_mask"], own["left_logits"]
    found = logits_of(start.policy, low, prompts, own["response"], mask)
    cache, _ = start.policy.prefill(low, prompts, room=1)
    assert cache["response"]["keys"].dtype == cache["prompt"]["keys"].dtype
    assert (found.dtype, low["shared"]["embedding"].dtype) == (
        jnp.float32,
        cache["prompt"]["keys"].dtype,
    )
    far = np.abs(found - expected)[mask]
    assert far.mean() < 0.05 < np.abs(expected[mask]).mean()


# Folders.


@by_name
def test_saving_and_loading_changes_no_bit(name, tmp_path):
    start = loaded(name)
    policies.save_pretrained(tmp_path, start.params, start.config)
    again = policies.load_pretrained(tmp_path)
    assert again.config == start.config
    jax.tree.map(np.testing.assert_array_equal, again.params, start.params)


def live_model(folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    return torch, transformers.T5ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@by_name
def test_transformers_loads_what_is_saved(name, dtype, tmp_path):
    pytest.importorskip("transformers")
    own, start = golden(name), loaded(name)
    policies.save_pretrained(tmp_path, start.params, start.config, dtype=dtype)
    again = policies.load_pretrained(tmp_path)
    torch, model = live_model(tmp_path)
    mask = own["response_mask"]
    for side in SIDES:
        given = {
            "input_ids": own["prompt"],
            "attention_mask": own[f"{side}_mask"],
            "decoder_input_ids": own["response"],
            "decoder_attention_mask": mask,
        }
        given = {n: torch.tensor(array.astype(np.int64)) for n, array in given.items()}
        with torch.no_grad():
            expected = model(**given).logits.numpy()
        prompts = prompts_of(own["prompt"], own[f"{side}_mask"])
        found = logits_of(again.policy, again.params, prompts, own["response"], mask)
        np.testing.assert_allclose(found[mask], expected[mask], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("targets", [None, ("q", "wi_0")], ids=str)
def test_peft_reads_its_adapters(targets, tmp_path):
    peft = pytest.importorskip("peft")
    own, base = golden("t5_gated"), GOLDEN / "t5_gated"
    wanted = policies.Lora(rank=2, alpha=3.0, targets=targets)
    start = policies.adapt(loaded("t5_gated"), wanted, jax.random.key(1))
    draw = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda leaf: (0.3 * draw.normal(size=leaf.shape)).astype(np.float32),
        lora.trained(start.params),
    )
    params, mask = lora.join(start.params, moved), own["response_mask"]
    policies.save_adapters(tmp_path, params, start.config, wanted, base=base)
    torch, model = live_model(base)
    given = {
        "input_ids": own["prompt"],
        "attention_mask": own["left_mask"],
        "decoder_input_ids": own["response"],
        "decoder_attention_mask": mask,
    }
    given = {n: torch.tensor(array.astype(np.int64)) for n, array in given.items()}
    with torch.no_grad():
        adapted = peft.PeftModel.from_pretrained(model, tmp_path).eval()
        expected = adapted(**given).logits.numpy()
    prompts = prompts_of(own["prompt"], own["left_mask"])
    found = logits_of(start.policy, params, prompts, own["response"], mask)
    assert np.abs(expected - own["left_logits"])[mask].max() > 1
    np.testing.assert_allclose(found[mask], expected[mask], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("default")
@by_name
def test_transformers_writes_the_same_greedy_text(name, tmp_path):
    pytest.importorskip("transformers")
    start, prompts = loaded(name), batch(name)
    policies.save_pretrained(tmp_path, start.params, start.config)
    torch, model = live_model(tmp_path)
    written = model.generate(
        input_ids=torch.tensor(prompts.tokens.astype(np.int64)),
        attention_mask=torch.tensor(prompts.mask.astype(np.int64)),
        do_sample=False,
        # Its cache has no room for a decoder that is deeper than the encoder.
        use_cache=False,
        max_new_tokens=10,
        eos_token_id=1,
        pad_token_id=0,
    ).numpy()
    responses, _ = sampling.sample(
        start.policy,
        {"policy": start.params},
        lambda logits: 1e4 * logits["policy"],
        jax.random.key(0),
        prompts,
        num_responses=1,
        decoding=sampling.Decoding(max_length=10, eos_id=1, pad_id=0),
    )
    # Theirs begin with the first token.
    tokens = np.asarray(responses.tokens)[:, 0, : written.shape[1] - 1]
    np.testing.assert_array_equal(tokens, written[:, 1:])


@pytest.mark.filterwarnings("default")
@by_name
def test_the_gradient_is_that_of_transformers(name, tmp_path):
    pytest.importorskip("transformers")
    start, prompts = loaded(name), batch(name)
    tokens = np.random.default_rng(0).integers(2, 23, (3, 1, 5))
    mask = np.ones(tokens.shape, bool)
    responses = Responses(tokens=tokens, mask=mask, truncated=mask[..., 0])

    def loss(params):
        return policies.log_probs(start.policy, params, prompts, responses).mean()

    # Written as if it were parameters, a gradient has their names.
    slope = jax.grad(loss)(start.params)
    policies.save_pretrained(tmp_path / "slope", slope, start.config)
    found = safetensors.numpy.load_file(tmp_path / "slope" / "model.safetensors")
    policies.save_pretrained(tmp_path / "model", start.params, start.config)
    torch, model = live_model(tmp_path / "model")
    given = {
        "input_ids": prompts.tokens,
        "attention_mask": prompts.mask,
        "labels": tokens[:, 0],
    }
    given = {n: torch.tensor(array.astype(np.int64)) for n, array in given.items()}
    model.config.pad_token_id = 0
    (-model(**given).loss).backward()
    wanted = dict(model.named_parameters())
    for own, array in found.items():
        expected = wanted[own].grad.numpy()
        np.testing.assert_allclose(array, expected, atol=1e-4, rtol=1e-3, err_msg=own)


SAME = [
    {"n_positions": None},
    {"num_decoder_layers": 3, "_name_or_path": "somewhere"},
    {"scale_decoder_outputs": None},
    {"scale_decoder_outputs": None, "tie_word_embeddings": None},
    {"dense_act_fn": None, "is_gated_act": None, "feed_forward_proj": None},
    {"decoder_start_token_id": None},
    {"decoder_start_token_id": None, "pad_token_id": None},
    {"architectures": None},
    {"task_specific_params": {"summarization": {"prefix": "summarize: "}}},
]


@pytest.mark.parametrize("options", SAME, ids=str)
def test_absent_options_and_both_styles_mean_the_same(folder, options):
    set_options(folder, **options)
    assert policies.load_pretrained(folder).config == loaded("t5").config


@pytest.mark.parametrize(
    "options",
    [
        # Transformers 4, and 5.
        {"tie_word_embeddings": False, "scale_decoder_outputs": None},
        {"tie_word_embeddings": True, "scale_decoder_outputs": False},
        {"tie_word_embeddings": False, "scale_decoder_outputs": False},
    ],
    ids=str,
)
def test_both_styles_say_that_there_is_an_output_matrix(tmp_path, options):
    folder = shutil.copytree(GOLDEN / "t5_gated", tmp_path / "model")
    set_options(folder, **options)
    config = policies.load_pretrained(folder).config
    assert config == loaded("t5_gated").config
    assert not config.tie_word_embeddings


def test_the_first_token_is_found_in_either_file_and_read(folder):
    (folder / "generation_config.json").write_text('{"decoder_start_token_id": 4}')
    assert policies.load_pretrained(folder).config == loaded("t5").config
    set_options(folder, decoder_start_token_id=None)
    start = policies.load_pretrained(folder)
    _, first = start.policy.prefill(start.params, batch("t5"), room=1)
    assert first.tolist() == [4, 4, 4]
    policies.save_pretrained(folder, start.params, start.config)
    assert policies.load_pretrained(folder).config == start.config


def test_the_context_is_what_the_file_says(folder):
    assert policies.load_pretrained(folder).policy.context == 512
    set_options(folder, n_positions=100)
    assert policies.load_pretrained(folder).policy.context == 100


COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


@pytest.mark.parametrize("spoilt", [None, *COPIES, "lm_head.weight"])
def test_stored_copies_of_the_embedding_are_allowed_if_they_are_that(folder, spoilt):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unused] = np.ones((32, 4), np.float32)
    for name in (*COPIES, "lm_head.weight"):
        tensors[name] = tensors["shared.weight"] + (name == spoilt)
    safetensors.numpy.save_file(tensors, path)
    if spoilt is not None:
        with pytest.raises(ValueError, match=f"{spoilt} that differs from shared"):
            policies.load_pretrained(folder)
    else:
        again = policies.load_pretrained(folder).params
        jax.tree.map(np.testing.assert_array_equal, again, loaded("t5").params)


def test_a_judge_has_no_folder_and_is_told_so(tmp_path):
    start, key = loaded("t5"), jax.random.key(0)
    judge = preferences.RewardModel(
        params=preferences.init_params(key, start.policy, start.params),
        policy=start.policy,
        eos_id=1,
    )
    tokenizer = tiny_t5.write_tokenizer(tmp_path / "tokenizer")
    with pytest.raises(ValueError, match="no folder holds a model of t5"):
        preferences.save_judge(tmp_path / "judge", judge, start.config, tokenizer)
    assert not (tmp_path / "judge").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"feed_forward_proj": "gated-relu"}, "feed_forward_proj 'gated-relu' is not"),
        ({"feed_forward_proj": "gated-silu"}, "'gated-silu' is not supported, only"),
        ({"feed_forward_proj": ["relu"]}, r"feed_forward_proj \['relu'\] is not"),
        ({"dense_act_fn": "gelu"}, "dense_act_fn is 'gelu', but 'relu' belongs"),
        ({"is_gated_act": True}, "is_gated_act is True, but False belongs"),
        ({"is_gated_act": 0}, "is_gated_act is 0, but False belongs"),
        ({"feed_forward_proj": "gated-gelu"}, "dense_act_fn is 'relu', but 'gelu_new'"),
        ({"scale_decoder_outputs": False}, "lacks lm_head.weight"),
        ({"scale_decoder_outputs": 0}, "scale_decoder_outputs is 0, not a bool"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no', not a bool"),
        ({"tie_word_embeddings": False}, "scale_decoder_outputs true is not supported"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder False is not supported"),
        ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}"),
        ({"relative_attention_num_buckets": 2}, "2 relative_attention_num_buckets and"),
        ({"relative_attention_num_buckets": 16}, "asks for .16, 4"),
        ({"relative_attention_max_distance": 16}, "max_distance 16 do not go together"),
        ({"decoder_start_token_id": -1}, "decoder_start_token_id is -1, not the id"),
        (
            {"decoder_start_token_id": 23},
            "decoder_start_token_id is 23, but .* only 23",
        ),
        ({"decoder_start_token_id": None, "pad_token_id": "x"}, "pad_token_id is 'x'"),
        ({"layer_norm_epsilon": 1.5}, "layer_norm_epsilon is 1.5"),
        ({"d_kv": None}, "lacks d_kv"),
        ({"num_decoder_layers": 2}, "unknown decoder.block.2.* and 10 more"),
        ({"num_decoder_layers": None}, "unknown decoder.block.2.* and 10 more"),
        ({"num_layers": 10**6}, r"lacks encoder.block.2.* and more"),
        ({"num_heads": 0}, "num_heads is 0, not a positive"),
        ({"attention_bias": True}, "unknown option 'attention_bias'"),
        ({"rope_scaling": {"type": "linear"}}, "unknown option 'rope_scaling'"),
        ({"model_type": "mt5"}, "supported is .*T5ForConditionalGeneration"),
        ({"architectures": ["T5EncoderModel"]}, "names T5EncoderModel; supported"),
    ],
    ids=str,
)
def test_an_unsupported_config_is_refused_with_its_reason(folder, options, message):
    set_options(folder, **options)
    with pytest.raises(ValueError, match=message) as caught:
        policies.load_pretrained(folder)
    assert str(folder) in str(caught.value)
