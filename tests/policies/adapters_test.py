"""Adapters as PEFT stores them."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from nashalign import policies
from nashalign.policies import Lora, lora
from tests.policies import lora_test

CONFIG, LORA, KEY = lora_test.CONFIG, lora_test.LORA, lora_test.KEY


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters") / "base"
    policies.save_pretrained(folder, lora.base(lora_test.start()), CONFIG)
    return folder


@pytest.fixture(scope="module")
def saved(base):
    params, folder = lora_test.moved(1), base.parent / "adapter"
    policies.save_adapters(folder, params, CONFIG, LORA, base=base)
    return folder


def changed(saved, tmp_path, **options):
    """The folder with other options."""
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    path = tmp_path / "adapter_config.json"
    found = json.loads(path.read_text()) | options
    path.write_text(json.dumps(found))
    return tmp_path


def test_adapters_are_read_as_they_were_saved(saved):
    found, wanted = policies.load_pretrained(saved), lora_test.moved(1)
    assert found.config == CONFIG
    assert set(found.lora.targets) == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    }
    assert dataclasses.replace(found.lora, targets=None) == LORA
    assert jax.tree.structure(found.params) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, found.params, wanted)


def test_a_folder_has_the_adapters_alone_under_the_names_of_peft(saved):
    assert {path.name for path in saved.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    stored = safetensors.numpy.load_file(saved / "adapter_model.safetensors")
    assert len(stored) == 2 * 7 * CONFIG.num_hidden_layers
    name = "base_model.model.model.layers.1.self_attn.k_proj.lora_{}.weight"
    own = lora_test.moved(1)["layers"]["self_attn"]["k_proj"]
    np.testing.assert_array_equal(stored[name.format("A")], own["lora_a"][1].T)
    np.testing.assert_array_equal(stored[name.format("B")], own["lora_b"][1].T)


def test_a_rank_stabilized_adapter_says_so(base, tmp_path):
    own = dataclasses.replace(LORA, rank_stabilized=True, targets=("q_proj",))
    start = policies.load_pretrained(base)
    found = policies.adapt(start, own, jax.random.key(0))
    policies.save_adapters(tmp_path, found.params, CONFIG, own, base=base)
    assert policies.load_pretrained(tmp_path).lora == own


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"layers_to_transform": [0]}, "layers_to_transform"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"target_parameters": ["w"]}, "target_parameters"),
        ({"exclude_modules": ["q_proj"]}, "exclude_modules"),
        ({"use_qalora": True}, "use_qalora"),
        ({"loftq_config": {"bits": 4}}, "loftq_config"),
        ({"some_new_option": 1}, "some_new_option"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"alpha_pattern": {"q_proj": 1}}, "alpha_pattern"),
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head"),
        ({"target_modules": ["embed_tokens"]}, "embed_tokens"),
        ({"target_modules": ".*proj"}, "target_modules"),
        ({"target_modules": ["q_proj"]}, "unknown"),
        ({"target_modules": ["nothing"]}, "nothing"),
        ({"r": 2}, "shapes"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"base_model_name_or_path": "nowhere"}, "base_model_name_or_path"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path"),
    ],
    ids=str,
)
def test_what_would_change_the_numbers_is_refused_by_name(
    saved, tmp_path, options, said
):
    with pytest.raises(ValueError, match=said):
        policies.load_pretrained(changed(saved, tmp_path, **options))


def test_what_changes_nothing_is_let_through(saved, tmp_path):
    folder = changed(
        saved,
        tmp_path,
        target_modules="all-linear",
        lora_dropout=0.1,
        corda_config=None,
        loftq_config={},
        fan_in_fan_out=True,  # PEFT goes by the kind of module.
        megatron_core="megatron.core",
        qalora_group_size=16,
        peft_version="0.21.2",
    )
    found = policies.load_pretrained(folder)
    assert found.lora == LORA


def test_an_adapter_on_an_adapter_is_refused(saved, tmp_path):
    folder = changed(saved, tmp_path, base_model_name_or_path=str(saved))
    with pytest.raises(ValueError, match="merge"):
        policies.load_pretrained(folder)


def test_a_model_saved_where_an_adapter_was_is_that_model(saved, tmp_path):
    folder, whole = changed(saved, tmp_path), lora.merged(lora_test.moved(1), LORA)
    policies.save_pretrained(folder, whole, CONFIG)
    found = policies.load_pretrained(folder)
    assert found.lora is None
    jax.tree.map(np.testing.assert_array_equal, found.params, whole)


def test_a_merged_model_has_the_tokenizer_that_lies_beside_the_base(tmp_path):
    config = dataclasses.replace(CONFIG, vocab_size=23)
    params = policies.llama(config).init(jax.random.key(0))
    tokenizer = pathlib.Path(__file__).parents[1] / "preferences/golden/reward"
    policies.save_pretrained(tmp_path / "base", params, config, tokenizer)
    start = policies.load_pretrained(tmp_path / "base")
    own, folder = policies.adapt(start, LORA, jax.random.key(1)), tmp_path / "adapter"
    policies.save_adapters(folder, own.params, config, LORA, base=tmp_path / "base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    whole = lora.merged(own.params, LORA)
    policies.save_pretrained(tmp_path / "merged", whole, config, folder)
    assert (tmp_path / "merged/tokenizer.json").is_file()


def test_a_policy_that_has_adapters_is_given_no_others(saved):
    with pytest.raises(ValueError, match="already"):
        policies.adapt(policies.load_pretrained(saved), LORA, jax.random.key(0))


def test_targets_that_are_no_projections_are_named(base):
    own = Lora(rank=2, targets=("q_proj", "query"))
    with pytest.raises(ValueError, match=r"query is none.*gate_proj"):
        policies.adapt(policies.load_pretrained(base), own, jax.random.key(0))


def test_adapting_shares_the_arrays_of_the_base(base):
    start = policies.load_pretrained(base)
    found = policies.adapt(start, LORA, jax.random.key(0))
    for one, other in zip(
        jax.tree.leaves(lora.base(found.params)),
        jax.tree.leaves(start.params),
        strict=True,
    ):
        assert one is other
    rounded = policies.adapt(start, LORA, jax.random.key(0), base_dtype="bfloat16")
    kinds = {leaf.dtype.name for leaf in jax.tree.leaves(lora.base(rounded.params))}
    assert kinds == {"bfloat16"}


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "down_proj"]], ids=str)
def test_peft_computes_what_we_compute_with_its_adapter_and_with_ours(
    base, tmp_path, targets
):
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokens = np.asarray(lora_test.TOKENS)

    def theirs(folder):
        own = transformers.AutoModelForCausalLM.from_pretrained(base)
        own = peft.PeftModel.from_pretrained(own, folder)
        with torch.no_grad():
            return own(torch.tensor(tokens)).logits.numpy()

    def ours(folder):
        found = policies.load_pretrained(folder)
        return found.policy.apply(found.params, tokens, np.ones_like(tokens, bool))

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    described = peft.LoraConfig(
        r=3, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(model, described)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(tmp_path / "theirs")
    assert np.abs(ours(tmp_path / "theirs") - ours(base)).max() > 0.05
    np.testing.assert_allclose(
        ours(tmp_path / "theirs"), theirs(tmp_path / "theirs"), atol=1e-4
    )
    found = policies.load_pretrained(tmp_path / "theirs")
    policies.save_adapters(
        tmp_path / "ours", found.params, CONFIG, found.lora, base=base
    )
    np.testing.assert_allclose(
        theirs(tmp_path / "ours"), theirs(tmp_path / "theirs"), atol=1e-5
    )


GOLDEN = pathlib.Path(__file__).parent / "golden"
# One folder of each family, and of each way to store its projections.
FOLDERS = sorted(path.parent.name for path in GOLDEN.glob("*/config.json"))


def random_adapters(name, lora_):
    """A golden folder's checkpoint, with adapters that do something."""
    found = policies.adapt(policies.load_pretrained(GOLDEN / name), lora_, KEY)
    return dataclasses.replace(found, params=lora_test.moved(3, found.params))


@pytest.mark.parametrize("name", FOLDERS)
def test_adapters_of_every_family_are_read_as_they_were_saved(name, tmp_path):
    own = Lora(rank=2, alpha=3.0)
    made = random_adapters(name, own)
    policies.save_adapters(tmp_path, made.params, made.config, own, base=GOLDEN / name)
    found = policies.load_pretrained(tmp_path)
    assert found.lora.scale == own.scale
    jax.tree.map(np.testing.assert_array_equal, found.params, made.params)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FOLDERS)
def test_peft_merges_the_adapters_of_every_family_as_we_do(name, tmp_path):
    peft, transformers = (
        pytest.importorskip("peft"),
        pytest.importorskip("transformers"),
    )
    own = Lora(rank=2, alpha=3.0)
    made = random_adapters(name, own)
    policies.save_adapters(
        tmp_path / "adapter", made.params, made.config, own, base=GOLDEN / name
    )
    policies.save_pretrained(
        tmp_path / "merged", lora.merged(made.params, own), made.config
    )
    kind = json.loads((GOLDEN / name / "config.json").read_text())["architectures"][0]
    load = getattr(transformers, kind).from_pretrained
    theirs = peft.PeftModel.from_pretrained(
        load(GOLDEN / name, dtype="float32"), tmp_path / "adapter"
    )
    merged = theirs.merge_and_unload().state_dict()
    ours = load(tmp_path / "merged", dtype="float32").state_dict()
    assert merged.keys() == ours.keys()
    for key, value in merged.items():
        np.testing.assert_allclose(
            ours[key].numpy(), value.numpy(), atol=1e-5, err_msg=key
        )
