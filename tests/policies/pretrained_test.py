"""Hugging Face folders, read and written."""

import errno
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import tokenizers

from nashalign import policies
from nashalign.policies import weights
from nashalign.types import Prompts

GOLDEN = pathlib.Path(__file__).parent / "golden"
NAMES = ("grouped", "tied")
# One of each family, and each option that changes numbers.
ALL = (
    *NAMES,
    "linear",
    "llama3",
    "qwen2",
    "yarn",
    "qwen3",
    "mistral",
    "gemma2",
    "gemma3",
    "neox",
    "neox_serial",
    "phi3",
    "olmo2",
    "smollm3",
    "gpt2",
)


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}


@pytest.fixture(scope="module")
def loaded():
    return {name: policies.load_pretrained(GOLDEN / name) for name in ALL}


@pytest.fixture
def folder(tmp_path):
    """A copy of the tied model, in one file, to be spoilt."""
    return shutil.copytree(GOLDEN / "tied", tmp_path / "model")


@pytest.fixture
def tokenizer_folder(tmp_path):
    """A tokenizer of 12 ids with bos, eos and no pad, named in both styles."""
    vocabulary = {"<s>": 0, "</s>": 1} | {
        letter: 2 + n for n, letter in enumerate("ab")
    }
    vocabulary |= {f"w{n}": 4 + n for n in range(8)}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="a")
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    tokenizers.Tokenizer(model).save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def set_options(folder, **options):
    """Changes `config.json`; None deletes an option."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | options
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept))


def change_weights(folder, change):
    """Rewrites the weights after `change(tensors)`."""
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    safetensors.numpy.save_file(tensors, path)


def assert_equal_trees(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


# Definition: another library computes the same logits.


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ALL)
def test_logits_equal_those_of_transformers(loaded, name, side):
    golden = np.load(GOLDEN / name / "logits.npz")
    mask, expected = golden[f"{side}_mask"], golden[f"{side}_logits"]
    policy, params = loaded[name].policy, loaded[name].params
    logits = jax.jit(policy.apply)(params, golden["tokens"], mask)
    assert np.abs(expected[mask]).max() > 1.0
    np.testing.assert_allclose(logits[mask], expected[mask], rtol=0, atol=1e-4)


def live_logits(folder, tokens, mask):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    # Where positions are embedded, they are told apart from padding by hand.
    places = np.maximum(np.cumsum(mask, -1) - 1, 0)
    with torch.no_grad():
        output = model(
            input_ids=torch.tensor(np.array(tokens)),
            attention_mask=torch.tensor(np.array(mask, np.int64)),
            position_ids=torch.tensor(places),
        )
    return output.logits.numpy()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ALL)
def test_transformers_loads_what_is_saved(loaded, name, dtype, tmp_path):
    pytest.importorskip("transformers")
    golden = np.load(GOLDEN / name / "logits.npz")
    start = loaded[name]
    policies.save_pretrained(tmp_path, start.params, start.config, dtype=dtype)
    again = policies.load_pretrained(tmp_path)
    for side in ("left", "right"):
        mask = golden[f"{side}_mask"]
        expected = live_logits(tmp_path, golden["tokens"], mask)
        logits = again.policy.apply(again.params, golden["tokens"], mask)
        np.testing.assert_allclose(logits[mask], expected[mask], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("default")
def test_transformers_loads_the_shards_that_are_saved(loaded, tmp_path):
    pytest.importorskip("transformers")
    golden, start = np.load(GOLDEN / "grouped" / "logits.npz"), loaded["grouped"]
    policies.save_pretrained(tmp_path, start.params, start.config, max_shard_size=2**12)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    mask = golden["left_mask"]
    logits = live_logits(tmp_path, golden["tokens"], mask)
    expected = golden["left_logits"]
    np.testing.assert_allclose(logits[mask], expected[mask], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_tokens_read_one_by_one_give_the_logits_of_a_whole_text(loaded, name):
    golden = np.load(GOLDEN / name / "logits.npz")
    mask, expected = golden["left_mask"], golden["left_logits"]
    policy, params = loaded[name].policy, loaded[name].params
    prompts = Prompts(
        tokens=golden["tokens"][:, :1], mask=mask[:, :1], ids=np.arange(len(mask))
    )
    cache, first = policy.prefill(params, prompts, room=mask.shape[1])
    decode, token = jax.jit(policy.decode), first[:, None]
    for column in range(mask.shape[1]):
        token = golden["tokens"][:, column : column + 1]
        real = mask[:, column : column + 1]
        logits, cache = decode(params, token, real, cache)
        own = mask[:, column]
        np.testing.assert_allclose(
            logits[own, 0], expected[own, column], rtol=0, atol=1e-4
        )


# Laws: what is saved comes back, and both styles say the same.


@pytest.mark.parametrize("name", ALL)
def test_saving_and_loading_changes_no_bit(loaded, name, tmp_path):
    start = loaded[name]
    policies.save_pretrained(tmp_path / "new" / "folder", start.params, start.config)
    again = policies.load_pretrained(tmp_path / "new" / "folder")
    assert again.config == start.config
    assert_equal_trees(again.params, start.params)


@pytest.mark.parametrize("new, old", [NAMES, NAMES[::-1]])
def test_saving_replaces_an_old_model_even_one_in_shards(loaded, new, old, tmp_path):
    folder = shutil.copytree(GOLDEN / old, tmp_path / "model")
    policies.save_pretrained(folder, loaded[new].params, loaded[new].config)
    again = policies.load_pretrained(folder)
    assert again.config == loaded[new].config
    assert_equal_trees(again.params, loaded[new].params)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_weights_are_loaded_as_float32(loaded, dtype, tmp_path):
    start = loaded["grouped"]
    policies.save_pretrained(tmp_path, start.params, start.config, dtype=dtype)
    again = policies.load_pretrained(tmp_path)
    rounded = jax.tree.map(
        lambda leaf: leaf.astype(dtype).astype(jnp.float32), start.params
    )
    assert {leaf.dtype.name for leaf in jax.tree.leaves(again.params)} == {"float32"}
    assert_equal_trees(again.params, rounded)


def test_parameters_go_where_the_shardings_say():
    mesh = jax.make_mesh((2,), ("fsdp",), devices=jax.devices()[:2])

    def shardings(shapes):
        spec = jax.sharding.PartitionSpec("fsdp")
        whole = jax.sharding.PartitionSpec()
        return jax.tree.map(
            lambda leaf: jax.sharding.NamedSharding(
                mesh, whole if leaf.shape[0] % 2 else spec
            ),
            shapes,
        )

    start = policies.load_pretrained(GOLDEN / "grouped", shardings)
    kernel = start.params["layers"]["up_proj"]["kernel"]
    assert kernel.sharding.spec == jax.sharding.PartitionSpec("fsdp")
    assert kernel.addressable_shards[0].data.shape[0] == kernel.shape[0] // 2


@pytest.mark.parametrize(
    "options",
    [
        {"rope_theta": None, "rope_parameters": {"rope_theta": 300.0}, "dtype": "x"},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}},
        {"torch_dtype": "float32", "dtype": None},
        {"rope_scaling": {"type": "default"}},
        {"head_dim": None},
        {"num_key_value_heads": None},
        {"rms_norm_eps": None, "pretraining_tp": 1, "_name_or_path": "somewhere"},
        {"architectures": None},
        {"model_type": None},
        {"rope_theta": 300},
    ],
)
def test_both_styles_and_absent_options_mean_the_same(loaded, folder, options):
    set_options(folder, **options)
    assert policies.load_pretrained(folder).config == loaded["tied"].config


def test_a_saved_folder_names_its_special_tokens(loaded, tokenizer_folder, tmp_path):
    start = loaded["tied"]
    (tokenizer_folder / "generation_config.json").write_text("{}")
    policies.save_pretrained(
        tmp_path / "out", start.params, start.config, tokenizer_folder
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    ids = [config[f"{role}_token_id"] for role in ("bos", "eos", "pad")]
    assert ids == [0, 1, None]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_saved_folder_keeps_all_end_tokens_and_the_chat_template(
    loaded, tokenizer_folder, tmp_path
):
    start, source = loaded["tied"], tokenizer_folder
    (source / "config.json").write_text('{"eos_token_id": [3, 1]}')
    (source / "generation_config.json").write_text('{"eos_token_id": [1, 3]}')
    (source / "chat_template.jinja").write_text("{{ messages }}")
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ messages }}"
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    policies.save_pretrained(tmp_path / "out", start.params, start.config, source)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["eos_token_id"] == [1, 3]
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_text() == (source / name).read_text()


def test_a_saved_folder_has_nothing_of_the_tokenizer_of_an_earlier_one(
    loaded, tokenizer_folder, tmp_path
):
    start, out = loaded["tied"], tmp_path / "out"
    template = tokenizer_folder / "chat_template.jinja"
    template.write_text("{{ messages }}")
    policies.save_pretrained(out, start.params, start.config, tokenizer_folder)
    (out / "README.md").write_text("Kept.")
    policies.save_pretrained(out, start.params, start.config)
    assert (out / template.name).is_file()
    policies.save_pretrained(out, start.params, start.config, tokenizer_folder=out)
    assert (out / template.name).is_file()
    template.unlink()
    policies.save_pretrained(out, start.params, start.config, tokenizer_folder)
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_every_saved_file_can_be_read_by_the_same_people(
    loaded, tokenizer_folder, tmp_path
):
    start = loaded["tied"]
    policies.save_pretrained(
        tmp_path / "out", start.params, start.config, tokenizer_folder
    )
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1


def test_a_stored_copy_of_the_tied_embedding_is_allowed(loaded, folder):
    def copy(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2, np.float32)

    change_weights(folder, copy)
    assert_equal_trees(policies.load_pretrained(folder).params, loaded["tied"].params)


def test_a_failed_save_leaves_the_old_folder_whole(loaded, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "write_weights", fail)
    start = loaded["grouped"]
    with pytest.raises(OSError, match="cannot write to .*model.safetensors: No space"):
        policies.save_pretrained(folder, start.params, start.config)
    assert_equal_trees(policies.load_pretrained(folder).params, loaded["tied"].params)
    assert not list(folder.glob(".partial*"))


def test_a_save_cut_off_before_its_end_does_not_load(loaded, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", fail)
    start = loaded["tied"]
    with pytest.raises(OSError, match="config.json"):
        policies.save_pretrained(tmp_path / "out", start.params, start.config)
    with pytest.raises(FileNotFoundError, match="config.json"):
        policies.load_pretrained(tmp_path / "out")


# Errors.


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def rename(tensors, old, new):
    tensors[new] = tensors.pop(old)


OTHER_FILES = {
    "no folder": (lambda f: shutil.rmtree(f), FileNotFoundError, "is no folder"),
    "no config": (
        lambda f: (f / "config.json").unlink(),
        FileNotFoundError,
        "has no config.json",
    ),
    "half a config": (lambda f: cut(f / "config.json", 99), ValueError, "not JSON"),
    "a list": (
        lambda f: (f / "config.json").write_text("[]"),
        ValueError,
        "is JSON of a list, not of an object",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        FileNotFoundError,
        "has no model.safetensors .*pytorch_model.bin is of a format not read",
    ),
    "half the weights": (
        lambda f: cut(f / "model.safetensors", 9000),
        ValueError,
        "model.safetensors is cut short",
    ),
    "half the header": (
        lambda f: cut(f / "model.safetensors", 100),
        ValueError,
        "model.safetensors is cut short",
    ),
    "missing tensor": (
        lambda f: change_weights(f, lambda t: t.pop("model.norm.weight")),
        ValueError,
        "lacks model.norm.weight",
    ),
    "unknown tensor": (
        lambda f: change_weights(
            f, lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": np.ones(4)})
        ),
        ValueError,
        "unknown model.layers.0.self_attn.q_proj.bias",
    ),
    "misspelt tensor": (
        lambda f: change_weights(
            f, lambda t: rename(t, "model.norm.weight", "norm.weight")
        ),
        ValueError,
        "lacks model.norm.weight",
    ),
    "wrong shape": (
        lambda f: change_weights(
            f,
            lambda t: t.update(
                {"model.layers.1.mlp.up_proj.weight": np.ones((16, 20), np.float32)}
            ),
        ),
        ValueError,
        r"model.layers.1.mlp.up_proj.weight has shape \(16, 20\).*\(20, 16\)",
    ),
    "integers": (
        lambda f: change_weights(
            f, lambda t: t.update({"model.norm.weight": np.ones(16, np.int8)})
        ),
        ValueError,
        "model.norm.weight is stored as I8",
    ),
    "not a number": (
        lambda f: change_weights(
            f,
            lambda t: t.update({"model.norm.weight": np.full(16, np.nan, np.float32)}),
        ),
        ValueError,
        "model.safetensors: model.norm.weight holds NaN",
    ),
    "another head": (
        lambda f: change_weights(
            f, lambda t: t.update({"lm_head.weight": np.ones((23, 16), np.float32)})
        ),
        ValueError,
        "tie_word_embeddings",
    ),
    "no head": (
        lambda f: set_options(f, tie_word_embeddings=False),
        ValueError,
        "lacks lm_head.weight",
    ),
    "another depth": (
        lambda f: set_options(f, num_hidden_layers=1),
        ValueError,
        "has unknown model.layers.1.* and 6 more",
    ),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_a_spoilt_folder_is_refused_with_what_is_wrong(folder, case):
    spoil, error, message = OTHER_FILES[case]
    spoil(folder)
    with pytest.raises(error, match=message):
        policies.load_pretrained(folder)


def place_a_tensor(folder, place):
    """Makes the index say that a tensor is in another place."""
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.norm.weight"] = place
    path.write_text(json.dumps(index))


PLACES = {
    "../model.safetensors": "'../model.safetensors', which is not the name of a file",
    "/etc/passwd": "'/etc/passwd'",
    "..": r"'\.\.'",
    "": "''",
    "a\0b": "'a",
    5: "5",
    None: "None",
}


@pytest.mark.parametrize(
    "spoil, error, message",
    [
        (
            lambda f: (f / "model-00002-of-00003.safetensors").unlink(),
            FileNotFoundError,
            "lacks model-00002-of-00003.safetensors of the 3 shards",
        ),
        (
            lambda f: (f / "model.safetensors.index.json").write_text("{}"),
            ValueError,
            "no weight_map",
        ),
        *(
            (
                lambda f, name=name: place_a_tensor(f, name),
                ValueError,
                f"index.json: the weight_map has model.norm.weight in {shown}",
            )
            for name, shown in PLACES.items()
        ),
        (
            lambda f: cut(f / "model-00003-of-00003.safetensors", 1000),
            ValueError,
            "model-00003-of-00003.safetensors is cut short",
        ),
    ],
)
def test_a_spoilt_shard_is_named(tmp_path, spoil, error, message):
    folder = shutil.copytree(GOLDEN / "grouped", tmp_path / "model")
    spoil(folder)
    with pytest.raises(error, match=message):
        policies.load_pretrained(folder)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"architectures": ["BloomForCausalLM"], "model_type": "bloom"},
            "BloomForCausalLM; supported is LlamaForCausalLM",
        ),
        ({"architectures": None, "model_type": "bloom"}, "names bloom; supported"),
        ({"architectures": None, "model_type": None}, "names no architecture"),
        ({"attention_bias": 1}, "attention_bias is 1, not a bool"),
        ({"attention_bias": True}, "lacks model.layers.0.self_attn.k_proj.bias"),
        ({"mlp_bias": True}, "lacks model.layers.0.mlp.down_proj.bias"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported, only 'silu'"),
        ({"sliding_window": 128}, "sliding_window 128"),
        ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4}"),
        ({"rope_scaling": {"type": "dynamic"}}, "of type 'dynamic' is not supported"),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "rope_scaling lacks low_freq_factor",
        ),
        (
            {"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}},
            "rope_scaling: high_freq_factor is 1.0; it must be above",
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": -2.0}},
            "factor is -2.0, not a positive number",
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": True}},
            "factor is True, not a positive number",
        ),
        (
            {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}},
            "rope_parameters knows no 'mscale'",
        ),
        (
            {
                "rope_parameters": {"rope_type": "linear", "factor": 2.0},
                "rope_scaling": {"rope_type": "linear", "factor": 3.0},
            },
            "rope_parameters and rope_scaling ask for different scalings",
        ),
        ({"rope_parameters": {"full_attention": {}}}, "rope_parameters .*full_att"),
        ({"rope_parameters": {"rope_theta": 1.0}}, "rope_theta is 300.0, but 1.0"),
        ({"rope_thetta": 1.0}, "option 'rope_thetta'. Did you mean rope_theta"),
        ({"logits_scaling": 8.0}, "unknown option 'logits_scaling'"),
        ({"hidden_size": None}, "lacks hidden_size"),
        ({"hidden_size": "16"}, "hidden_size is '16', not a int"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, not a positive"),
        ({"num_hidden_layers": 1.5}, "num_hidden_layers is 1.5"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"num_hidden_layers": float("inf")}, "num_hidden_layers is inf, no finite"),
        ({"num_hidden_layers": 10**6}, r"lacks model.layers.2.* and more"),
        ({"num_hidden_layers": 2**31}, "positive int of at most 2147483647"),
        ({"max_position_embeddings": 1e20}, r"max_position_embeddings is 1e\+20, not"),
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps is inf, no finite"),
        ({"rms_norm_eps": 2.5}, "rms_norm_eps is 2.5; .* below 1"),
        ({"rope_theta": float("nan")}, "rope_theta is nan, no finite"),
        ({"rope_theta": 1e300, "rope_parameters": None}, "rope_theta is 1e"),
        ({"eos_token_id": [1, [float("nan")]]}, "eos_token_id is nan, no finite"),
        ({"architectures": 5}, "architectures is 5, not a list"),
        ({"architectures": [["Llama"], 5]}, "architectures is ..'Llama'., 5., not a"),
        ({"model_type": ["llama"]}, "model_type is .'llama'., not a name"),
        ({"rope_parameters": [300.0]}, "rope_parameters is .300.0., not an object"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1, not a bool"),
        ({"num_key_value_heads": 3}, "3 num_key_value_heads do not divide"),
        ({"head_dim": 5}, "head_dim is 5"),
        (
            {"head_dim": None, "num_attention_heads": 3, "num_key_value_heads": 3},
            "3 num_attention_heads do not divide the hidden_size 16",
        ),
    ],
)
def test_an_unsupported_config_is_refused_with_its_reason(folder, options, message):
    set_options(folder, **options)
    with pytest.raises(ValueError, match=message) as caught:
        policies.load_pretrained(folder)
    assert str(folder) in str(caught.value)


def test_a_tokenizer_larger_than_the_model_is_refused(loaded):
    config = loaded["tied"].config
    policies.check_vocabulary(23, config)
    with pytest.raises(ValueError, match="id of the tokenizer is 23, .* 23 embeddings"):
        policies.check_vocabulary(24, config)


def test_saving_with_a_larger_tokenizer_writes_nothing(tokenizer_folder, tmp_path):
    config = policies.LlamaConfig(
        vocab_size=11,
        hidden_size=4,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=4,
    )
    params = policies.llama(config).init(jax.random.key(0))
    with pytest.raises(ValueError, match="largest id of the tokenizer is 11"):
        policies.save_pretrained(tmp_path / "out", params, config, tokenizer_folder)
    with pytest.raises(FileNotFoundError, match="has no tokenizer.json"):
        policies.save_pretrained(tmp_path / "out", params, config, tmp_path)
    assert not (tmp_path / "out").exists()


def test_saving_parameters_of_another_model_is_refused(loaded, tmp_path):
    params, config = loaded["grouped"].params, loaded["tied"].config
    with pytest.raises(ValueError, match=r"k_proj.kernel is .2, 16, 12.*and 2 more"):
        policies.save_pretrained(tmp_path / "out", params, config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer_types": ["full_attention"]}, "layer_types must be 2 times"),
        ({"layer_types": ["full", "sliding"]}, "layer_types must be 2 times"),
        ({"use_sliding_window": False}, "have a window, and use_sliding_window"),
        ({"sliding_window": 0}, "sliding_window is 0, not a whole number"),
        ({"sliding_window": 2.0}, "sliding_window is 2.0, not a whole number"),
        ({"layer_types": None, "max_window_layers": -1}, "max_window_layers is -1"),
        ({"num_key_value_heads": None}, "lacks num_key_value_heads"),
        ({"sliding_window": "many"}, "sliding_window is 'many', not a whole"),
        ({"num_hidden_layers": 2**30, "layer_types": None}, "more than any has"),
    ],
)
def test_windows_that_cannot_be_are_refused(tmp_path, options, message):
    folder = shutil.copytree(GOLDEN / "yarn", tmp_path / "model")
    set_options(folder, **options)
    with pytest.raises(ValueError, match=message):
        policies.load_pretrained(folder)


@pytest.mark.parametrize(
    "options, windows",
    [
        ({}, (None, 3)),
        ({"layer_types": None}, (None, 3)),
        ({"layer_types": None, "max_window_layers": 0}, (3, 3)),
        ({"layer_types": None, "max_window_layers": None}, None),
        ({"layer_types": None, "use_sliding_window": None}, None),
    ],
)
def test_layers_with_a_window_are_named_or_counted(tmp_path, options, windows):
    folder = shutil.copytree(GOLDEN / "yarn", tmp_path / "model")
    set_options(folder, **options)
    assert policies.load_pretrained(folder).config.windows == windows


@pytest.mark.parametrize(
    "said, windows", [({"sliding_window": None}, None), ({}, (None, 4096))]
)
def test_a_window_that_is_null_is_none_and_one_that_is_absent_is_the_usual(
    tmp_path, said, windows
):
    folder = shutil.copytree(GOLDEN / "yarn", tmp_path / "model")
    path = folder / "config.json"
    options = json.loads(path.read_text())
    del options["sliding_window"], options["layer_types"]
    path.write_text(json.dumps(options | said))
    assert policies.load_pretrained(folder).config.windows == windows


@pytest.mark.parametrize(
    "options, original",
    [
        ({"rope_scaling": LLAMA3}, 32),
        ({"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 8}}, 8),
        ({"rope_scaling": LLAMA3, "original_max_position_embeddings": 4}, 4),
    ],
)
def test_the_original_context_is_found_where_files_say_it(folder, options, original):
    set_options(folder, **options)
    scaling = policies.load_pretrained(folder).config.scaling
    assert scaling.original_max_position_embeddings == original


@pytest.mark.parametrize(
    "options, windows",
    [
        ({}, (3, None)),
        ({"layer_types": None}, (3, None)),
        ({"layer_types": ["full_attention", "sliding_attention"]}, (None, 3)),
        ({"layer_types": ["full_attention"] * 2}, None),
    ],
)
def test_gemma_has_a_window_in_every_other_layer(tmp_path, options, windows):
    folder = shutil.copytree(GOLDEN / "gemma2", tmp_path / "model")
    set_options(folder, **options)
    assert policies.load_pretrained(folder).config.windows == windows


@pytest.mark.parametrize(
    "options, message",
    [
        ({"final_logit_softcapping": 0}, "softcapping is 0, not a positive"),
        ({"attn_logit_softcapping": True}, "softcapping is True, not a positive"),
        ({"hidden_activation": "gelu"}, "hidden_activation 'gelu' is not supported"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention True"),
        ({"layer_types": ["full_attention"]}, "layer_types must be 2 times"),
        ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar is 0, not a positive"),
    ],
)
def test_a_gemma_that_is_another_is_refused(tmp_path, options, message):
    folder = shutil.copytree(GOLDEN / "gemma2", tmp_path / "model")
    set_options(folder, **options)
    with pytest.raises(ValueError, match=message):
        policies.load_pretrained(folder)


def test_a_cap_that_is_null_is_none_and_one_that_is_absent_is_that_of_gemma(tmp_path):
    folder = shutil.copytree(GOLDEN / "gemma2", tmp_path / "model")
    path = folder / "config.json"
    options = json.loads(path.read_text())
    del options["attn_logit_softcapping"]
    path.write_text(json.dumps(options | {"final_logit_softcapping": None}))
    loaded = policies.load_pretrained(folder)
    config = loaded.config
    assert (config.attention_cap, config.logit_cap) == (50.0, None)
    policies.save_pretrained(tmp_path / "again", loaded.params, config)
    assert policies.load_pretrained(tmp_path / "again").config == config
