"""What `config.json` says of the options of each family, and which are refused."""

import json
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from nashalign import policies
from nashalign.policies import config_file, rotary

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture
def read(tmp_path):
    """Reads the config of a golden folder in which some options are others."""

    def changed(name, **options):
        path = tmp_path / "config.json"
        told = json.loads((GOLDEN / name / "config.json").read_text()) | options
        told = {option: value for option, value in told.items() if value != "absent"}
        path.write_text(json.dumps(told))
        return config_file.read_config(tmp_path)[1]

    return changed


# Gemma 3.

LINEAR = {"rope_type": "linear", "factor": 3.0}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "rope_parameters": "absent",
            "rope_theta": 500.0,
            "rope_local_base_freq": 20.0,
            "rope_scaling": LINEAR,
        },
        {
            "rope_parameters": {"full_attention": LINEAR | {"rope_theta": 500.0}},
            "rope_local_base_freq": 20,
        },
    ],
)
def test_gemma_3_has_two_bases_in_either_style(read, options):
    config = read("gemma3", **options)
    assert (config.rope_theta, config.rope_local_base_freq) == (500.0, 20.0)
    assert config.scaling == rotary.Linear(factor=3.0)


def test_gemma_3_has_the_usual_bases_and_every_sixth_layer_sees_all(read):
    names = ("rope_parameters", "layer_types", "sliding_window")
    absent = dict.fromkeys(names, "absent")
    config = read("gemma3", num_hidden_layers=7, **absent)
    assert (config.rope_theta, config.rope_local_base_freq) == (1e6, 1e4)
    assert config.scaling is None
    assert config.windows == (4096,) * 5 + (None, 4096)
    config = read("gemma3", sliding_window_pattern=2, **absent)
    assert config.windows == (4096, None, 4096)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping 50.0 is not"),
        ({"final_logit_softcapping": -1}, "softcapping is -1, not a positive"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention True"),
        ({"sliding_window": None}, "layer_types have a window, and sliding_window"),
        ({"sliding_window_pattern": 0, "layer_types": None}, "_pattern is 0, not a"),
        ({"rope_parameters": LINEAR}, "rope_parameters is .*not an object for each"),
        (
            {"rope_parameters": {"sliding_attention": LINEAR}},
            "scale the positions of layers with a window",
        ),
        ({"rope_theta": 7.0}, "rope_theta is 7.0, but 500.0 in rope_parameters"),
        ({"rope_local_base_freq": 7.0}, "rope_local_base_freq is 7.0, but 20.0"),
    ],
)
def test_a_gemma_3_that_is_another_is_refused(read, options, message):
    with pytest.raises(ValueError, match=message):
        read("gemma3", **options)


@pytest.mark.filterwarnings("default")
def test_the_language_model_of_a_nested_gemma_3_is_saved_as_the_docs_say(tmp_path):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    text = {"num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 4}
    sight = {"num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(
        text_config={**small, **text, "vocab_size": 30},
        vision_config={**small, **sight, "model_type": "siglip_vision_model"},
        mm_tokens_per_image=4,
    )
    folder, new_folder = tmp_path / "whole", tmp_path / "text"
    whole = transformers.Gemma3ForConditionalGeneration(config)
    whole.save_pretrained(folder)
    with pytest.raises(ValueError, match="save that language model by itself"):
        policies.load_pretrained(folder)
    page = pathlib.Path(__file__).parents[2] / "docs/how_to/checkpoint.md"
    lines = next(
        block for block in page.read_text().split("```") if "Conditional" in block
    )
    names = {"transformers": transformers, "folder": folder, "new_folder": new_folder}
    exec(lines.removeprefix("py\n"), names)
    found = policies.load_pretrained(new_folder).params["embed_tokens"]["embedding"]
    assert (found == whole.get_input_embeddings().weight.detach().numpy()).all()


# GPT-NeoX.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rope_parameters": "absent", "rotary_emb_base": 50, "rotary_pct": 0.5},
        {"rotary_emb_base": 50.0, "rotary_pct": 0.5},
    ],
)
def test_gpt_neox_turns_some_columns_in_either_style(read, options):
    config = read("neox", **options)
    assert (config.rope_theta, config.rotary_pct) == (50.0, 0.5)
    assert (config.head_dim, config.num_key_value_heads) == (8, 4)


def test_gpt_neox_turns_a_quarter_of_the_columns_where_it_does_not_say(read):
    config = read("neox", rope_parameters="absent")
    assert (config.rope_theta, config.rotary_pct) == (10_000.0, 0.25)


def test_the_output_matrix_of_gpt_neox_has_one_of_two_names(tmp_path):
    for path in (GOLDEN / "neox").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    names = {"embed_out.weight", "lm_head.weight"}
    [old] = names & tensors.keys()
    [new] = names - {old}
    tensors[new] = tensors.pop(old)
    tensors["gpt_neox.layers.0.attention.masked_bias"] = np.zeros(1, np.float32)
    safetensors.numpy.save_file(tensors, path)
    own, other = (policies.load_pretrained(at) for at in (GOLDEN / "neox", tmp_path))
    jax.tree.map(np.testing.assert_array_equal, own.params, other.params)


# SmolLM3.


def test_every_fourth_layer_of_smollm3_has_no_positions_where_it_does_not_say(read):
    absent = {"no_rope_layers": "absent", "layer_types": "absent"}
    config = read("smollm3", num_hidden_layers=5, **absent)
    assert config.turns == (True, True, True, False, True)
    assert config.windows == (None, None, None, 3, None)
    config = read("smollm3", no_rope_layer_interval=2, **absent)
    assert config.turns == (True, False, True)
    config = read("smollm3", use_sliding_window=False, **absent)
    assert config.windows is None


# GPT-2.


def test_the_mlp_of_gpt_2_is_four_times_as_wide_where_it_does_not_say(read):
    assert read("gpt2").intermediate_size == 20
    assert read("gpt2", n_inner=None).intermediate_size == 64


def test_tensors_of_the_first_gpt_2_have_no_prefix(tmp_path):
    for path in (GOLDEN / "gpt2").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    bare = {name.removeprefix("transformer."): own for name, own in tensors.items()}
    bare["h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.float32)
    safetensors.numpy.save_file(bare, path)
    own, other = (policies.load_pretrained(at) for at in (GOLDEN / "gpt2", tmp_path))
    jax.tree.map(np.testing.assert_array_equal, own.params, other.params)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("neox", {"hidden_act": "gelu_new"}, "hidden_act 'gelu_new' is not"),
        (
            "neox",
            {"rotary_pct": 0.25},
            "rotary_pct is 0.25, but 0.5 in",
        ),
        ("neox_serial", {"rotary_pct": 1.5, "rope_parameters": None}, "rotary_pct 1.5"),
        (
            "neox",
            {"rope_parameters": None, "rotary_pct": 0.4},
            "0.4 of the 8 columns of a head are 3",
        ),
        ("olmo2", {"clip_qkv": 8.0}, "clip_qkv 8.0 is not"),
        ("olmo2", {"sliding_window": 4}, "sliding_window 4 is not"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "not a 0 or 1 for each of the 3"),
        ("smollm3", {"no_rope_layers": [1, 2, 0]}, "not a 0 or 1 for each"),
        ("smollm3", {"use_sliding_window": False}, "layer_types have a window"),
        ("gpt2", {"activation_function": "relu"}, "activation_function 'relu' is not"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights False is not"),
        (
            "gpt2",
            {"scale_attn_by_inverse_layer_idx": True},
            "scale_attn_by_inverse_layer_idx True is not",
        ),
        ("gpt2", {"reorder_and_upcast_attn": True}, "reorder_and_upcast_attn True"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention True"),
        ("gpt2", {"n_head": 3}, "3 num_attention_heads do not divide"),
        ("gpt2", {"n_embd": "absent"}, "lacks n_embd"),
    ],
)
def test_options_that_would_change_the_numbers_are_refused(
    read, name, options, message
):
    with pytest.raises(ValueError, match=message):
        read(name, **options)


# Phi-3.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "rope_parameters": "absent",
            "rope_theta": 50.0,
            "partial_rotary_factor": 0.5,
        },
    ],
)
def test_phi_3_turns_some_columns_in_either_style(read, options):
    config = read("phi3", **options)
    assert (config.rope_theta, config.partial_rotary_factor) == (50.0, 0.5)
    assert config.window == 3


def test_phi_3_has_no_window_and_turns_all_columns_where_it_does_not_say(read):
    config = read("phi3", rope_parameters="absent", sliding_window="absent")
    assert (config.partial_rotary_factor, config.window) == (1.0, None)


def test_positions_that_are_rescaled_as_a_text_grows_are_refused(read):
    factors = {"long_factor": [1.0] * 2, "short_factor": [1.0] * 2}
    scaling = {"type": "longrope", **factors}
    with pytest.raises(ValueError, match="of type 'longrope' is not supported"):
        read("phi3", rope_parameters=None, rope_scaling=scaling)
