"""Tests of the registry of model families."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from nashalign import policies
from nashalign.policies.families import refused, registry
from nashalign.policies.families.llama import FAMILY


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnConfig(policies.LlamaConfig):
    """The shape of a family of one's own."""


SHAPE = OwnConfig(
    vocab_size=11,
    hidden_size=8,
    intermediate_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=4,
)
OWN = dataclasses.replace(
    FAMILY,
    model_type="own",
    architecture="OwnForCausalLM",
    config=OwnConfig,
    complete=lambda values, path: OwnConfig(**values),
    stored=lambda config, path, layer: policies.Place(
        tensor=f"own.{'.'.join(path[:-1])}.{layer}", turned=path[-1] == "kernel"
    ),
    output="own.lm_head.None",
    embedding="own.embed_tokens.None",
)


@pytest.fixture(autouse=True)
def _families_of_the_test_alone(monkeypatch):
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))


def test_a_family_of_ones_own_is_saved_and_loaded_under_its_own_names(tmp_path):
    policies.register_family(OWN)
    params = policies.llama(SHAPE).init(jax.random.key(0))
    policies.save_pretrained(tmp_path, params, SHAPE)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (written["model_type"], written["architectures"]) == (
        "own",
        ["OwnForCausalLM"],
    )
    header = (tmp_path / "model.safetensors").read_bytes()[:4000]
    assert b"own.layers.self_attn.q_proj.1" in header
    loaded = policies.load_pretrained(tmp_path)
    assert loaded.config == SHAPE
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)


def test_a_folder_of_another_family_names_all_that_are_known(tmp_path):
    policies.register_family(OWN)
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(ValueError, match="names other; .*LlamaFor.*OwnForCausalLM"):
        policies.load_pretrained(tmp_path)


@pytest.mark.parametrize(
    "named, why",
    [
        ({"model_type": "mixtral"}, "mixtral, a mixture of experts"),
        ({"architectures": ["Qwen3MoeForCausalLM"]}, "a mixture of experts"),
        ({"model_type": "qwen3_next"}, "linear attention"),
        ({"architectures": ["Qwen3_5ForConditionalGeneration"]}, "linear attention"),
        ({"model_type": "jamba"}, "state-space"),
        ({"model_type": "gemma4_text"}, "embeddings for each layer"),
        ({"architectures": ["Gemma3nForConditionalGeneration"]}, "for each layer"),
        ({"model_type": "gemma3"}, "save that language model by itself"),
        ({"architectures": ["Gemma3ForConditionalGeneration"]}, "by itself"),
        ({"model_type": "llama4", "architectures": ["Llama4For"]}, "experts"),
        ({"model_type": "mllama"}, "images"),
        ({"model_type": "phi3small"}, "block-sparse"),
        ({"architectures": ["Phi3VForCausalLM"]}, "images"),
        ({"model_type": "phi"}, "one norm for attention and MLP"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_missing(tmp_path, named, why):
    (tmp_path / "config.json").write_text(json.dumps(named | {"hidden_size": 0}))
    with pytest.raises(ValueError, match=f"names .*{why}.*; supported is Llama"):
        policies.load_pretrained(tmp_path)


def test_no_family_is_refused_by_name():
    kinds = {family.model_type for family in policies.known_families()}
    assert not kinds & refused.REFUSED.keys()


def test_architecture_and_model_type_of_two_families_are_refused(tmp_path):
    policies.register_family(OWN)
    mixed = {"model_type": "own", "architectures": ["LlamaForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(mixed))
    with pytest.raises(ValueError, match="names own"):
        policies.load_pretrained(tmp_path)


def test_a_name_that_is_taken_is_refused():
    policies.register_family(OWN)
    assert policies.register_family(OWN) is OWN
    with pytest.raises(ValueError, match="'own' is taken by OwnForCausalLM"):
        policies.register_family(dataclasses.replace(OWN, architecture="Other"))


def test_a_shape_of_no_family_is_refused(tmp_path):
    with pytest.raises(TypeError, match="OwnConfig is no shape of a family"):
        policies.save_pretrained(tmp_path, {}, SHAPE)
