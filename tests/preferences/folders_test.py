"""Learned judges as Hugging Face's folders."""

import dataclasses
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import tokenizers

from nashalign import policies, preferences
from nashalign.types import Prompts, Responses

GOLDEN = pathlib.Path(__file__).parent / "golden/reward"
KEY, EOS, PROMPT = jax.random.key(0), 1, 3


@pytest.fixture
def folder(tmp_path):
    """A copy of a reward model's folder, to be spoilt."""
    return shutil.copytree(GOLDEN, tmp_path / "reward")


def texts(tokens, mask, width=1):
    """Texts of three tokens and more as prompts, padded on the left, and responses."""
    number = len(tokens)
    prompts = Prompts(
        tokens=np.pad(tokens[:, :PROMPT], [(0, 0), (width, 0)]),
        mask=np.pad(mask[:, :PROMPT], [(0, 0), (width, 0)]),
        ids=np.arange(number),
    )
    own = mask[:, None, PROMPT:]
    last = own.sum(-1, keepdims=True) - 1
    ends = np.take_along_axis(tokens[:, None, PROMPT:], last, -1)[..., 0]
    return prompts, Responses(
        tokens=jnp.asarray(tokens[:, None, PROMPT:]),
        mask=jnp.asarray(own),
        truncated=jnp.asarray(ends != EOS),
    )


def set_options(folder, **options):
    """Changes `config.json`; None deletes an option."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | options
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept))


def test_scores_equal_those_of_transformers():
    golden = np.load(GOLDEN / "scores.npz")
    judge = preferences.load_judge(GOLDEN, GOLDEN)
    prompts, responses = texts(golden["tokens"], golden["mask"])
    scores = judge.score(KEY, prompts, responses)[:, 0]
    assert np.abs(golden["scores"]).min() > 0.1
    np.testing.assert_allclose(scores, golden["scores"], rtol=0, atol=1e-5)
    # The score of a text is not that of its end token, here.
    behind = dataclasses.replace(judge, pad_id=None)
    assert (abs(behind.score(KEY, prompts, responses)[:, 0] - scores) > 0.01).all()


def test_a_reward_model_is_saved_as_it_was(tmp_path):
    judge = preferences.load_judge(GOLDEN, GOLDEN)
    config = policies.load_scorer(GOLDEN).config
    preferences.save_judge(tmp_path, judge, config, GOLDEN)
    ours, theirs = (
        safetensors.numpy.load_file(place / "model.safetensors")
        for place in (tmp_path, GOLDEN)
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name])
    again = preferences.load_judge(tmp_path, GOLDEN)
    assert isinstance(again, preferences.RewardModel)
    assert (again.pad_id, again.eos_id) == (judge.pad_id, judge.eos_id) == (EOS, EOS)
    jax.tree.map(np.testing.assert_array_equal, again.params, judge.params)


@pytest.mark.parametrize("kind", preferences.JUDGES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_judge_of_ours_comes_back_as_what_it_was(tmp_path, kind, tied):
    config = dataclasses.replace(
        policies.load_scorer(GOLDEN).config, tie_word_embeddings=tied
    )
    policy = policies.family_of(config).build(config)
    params = policy.init(jax.random.key(1))
    judge = preferences.JUDGES[kind](
        params=preferences.init_params(jax.random.key(2), policy, params),
        policy=policy,
        eos_id=EOS,
    )
    preferences.save_judge(tmp_path, judge, config, GOLDEN)
    again = preferences.load_judge(tmp_path, GOLDEN)
    assert type(again) is type(judge)
    golden = np.load(GOLDEN / "scores.npz")
    prompts, responses = texts(golden["tokens"], golden["mask"])
    both = jax.tree.map(lambda x: jnp.concatenate([x, x[::-1]], 1), responses)
    for own in (judge, again):
        assert own.logits(prompts, both, [(0, 1)]).shape == (4, 1)
    np.testing.assert_array_equal(
        judge.logits(prompts, both, [(0, 1)]), again.logits(prompts, both, [(0, 1)])
    )
    written = json.loads((tmp_path / "config.json").read_text())
    # The tokenizer pads with the end token, after which this judge reads.
    assert written["pad_token_id"] is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"id2label": {"0": "bad", "1": "good"}}, "num_labels is 2"),
        ({"id2label": None}, "num_labels is 2 .*2 where a file says nothing"),
        ({"id2label": None, "num_labels": 3}, "num_labels is 3"),
        (
            {"problem_type": "multi_label_classification"},
            "problem_type 'multi_label_classification' is not supported, only 'regr",
        ),
        ({"architectures": ["Qwen2ForCausalLM"]}, "holds no judge"),
        ({"architectures": ["BertForSequenceClassification"]}, "holds no judge"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported"),
        ({"_judge": "oracle"}, "names no kind of judge"),
        ({"_judge": ["reward"]}, "names no kind of judge"),
        ({"pad_token_id": "</s>"}, "pad_token_id is '</s>', not a token's id"),
        ({"pad_token_id": 2**31}, "pad_token_id is 2147483648, not a token's id"),
        ({"architectures": [["Qwen2"], 5]}, "holds no judge"),
    ],
)
def test_what_would_be_another_score_is_refused_by_name(folder, options, message):
    set_options(folder, **options)
    with pytest.raises(ValueError, match=message) as caught:
        preferences.load_judge(folder, folder)
    assert str(folder) in str(caught.value)


def change_weights(folder, change):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    safetensors.numpy.save_file(tensors, path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.pop("score.weight"), "lacks score.weight"),
        (
            lambda t: t.update({"score.weight": np.ones((2, 16), np.float32)}),
            r"score.weight has shape \(2, 16\), but config.json asks for \(1, 16\)",
        ),
        (
            lambda t: t.update({"score.bias": np.ones(1, np.float32)}),
            "has unknown score.bias",
        ),
    ],
)
def test_another_head_is_refused_before_a_weight_is_read(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(ValueError, match=message):
        preferences.load_judge(folder, folder)


def test_an_output_matrix_that_was_left_is_passed_over(folder):
    before = preferences.load_judge(folder, folder)
    extra = {"lm_head.weight": np.ones((23, 16), np.float32)}
    change_weights(folder, lambda tensors: tensors.update(extra))
    after = preferences.load_judge(folder, folder)
    jax.tree.map(np.testing.assert_array_equal, before.params, after.params)


def test_a_judge_of_other_tokens_is_refused(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("w22", "w99"))
    with pytest.raises(ValueError, match="other tokens .*: 'w22' is 22 .* none to the"):
        preferences.load_judge(folder, GOLDEN)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="has no tokenizer.json"):
        preferences.load_judge(folder, GOLDEN)


def test_a_judge_may_know_more_tokens_and_pad_in_its_own_way(folder):
    path = folder / "tokenizer.json"
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.add_special_tokens(["<pad>"])
    backend.enable_truncation(8)
    backend.save(str(path))
    preferences.load_judge(folder, GOLDEN)


def test_a_reward_model_is_no_policy():
    with pytest.raises(ValueError, match="Qwen2ForSequenceClassification; supported"):
        policies.load_pretrained(GOLDEN)


MODELS = pathlib.Path(__file__).parents[1] / "policies/golden"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("pad", [0, EOS])
@pytest.mark.parametrize(
    "name", sorted(path.parent.name for path in MODELS.glob("*/config.json"))
)
def test_transformers_scores_equally(tmp_path, name, pad):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    start = policies.load_pretrained(MODELS / name)
    family = policies.family_of(start.config)
    if family.scorer is None:
        pytest.skip(f"{family.model_type} has no head for scores")
    source = shutil.copytree(GOLDEN, tmp_path / "source")
    settings = {"eos_token": "</s>", "pad_token": "</s>" if pad == EOS else "<s>"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    judge = preferences.RewardModel(
        params={
            "policy": start.params,
            "head": jnp.linspace(-1, 1, start.policy.width),
        },
        policy=start.policy,
        eos_id=EOS,
    )
    preferences.save_judge(tmp_path / "judge", judge, start.config, source)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "judge", dtype=torch.float32, attn_implementation="eager"
    )
    assert type(model).__name__ == family.scorer
    golden = np.load(GOLDEN / "scores.npz")
    tokens, mask = golden["tokens"], golden["mask"]
    scores = judge.score(KEY, *texts(tokens, mask))[:, 0]
    for row, length, score in zip(tokens, mask.sum(-1), scores, strict=True):
        whole = row[:length]
        if whole[-1] != EOS:
            whole = np.append(whole, EOS)  # As a cut one is closed.
        with torch.no_grad():
            found = model(torch.tensor(whole[None])).logits[0, 0]
        np.testing.assert_allclose(found, score, rtol=0, atol=1e-4)
