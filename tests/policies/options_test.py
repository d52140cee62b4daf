"""What `config.json` says of the options of each family, and which are refused."""

import json
import pathlib

import pytest

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
