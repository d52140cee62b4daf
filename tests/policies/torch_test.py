"""Against another library, live: gradients of a comparison, and decoding of mixtures.

Logits and adapters are held in `pretrained_test.py` and `adapters_test.py`.
"""

import json
import pathlib

import jax
import numpy as np
import pytest

from nashalign import losses, policies, sampling
from nashalign.types import Prompts, Responses

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("default")]

GOLDEN = pathlib.Path(__file__).parent / "golden"
DECODERS = sorted(
    path.parent.name
    for path in GOLDEN.glob("*/config.json")
    if not json.loads(path.read_text()).get("is_encoder_decoder")
)
TAU, MIX = 0.3, 0.4
RANDOM = np.random.default_rng(0)
LENGTHS = (5, 3)
PROMPTS = Prompts(
    tokens=RANDOM.integers(2, 23, (2, 5)).astype(np.int32),
    mask=np.arange(5)[::-1] < np.array(LENGTHS)[:, None],
    ids=np.arange(2, dtype=np.int32),
)
RESPONSES = Responses(
    tokens=RANDOM.integers(2, 23, (2, 2, 4)).astype(np.int32),
    mask=np.arange(4) < np.array([[4, 2], [3, 4]])[..., None],
    truncated=np.zeros((2, 2), bool),
)
PREFERRED = np.array([0.8, 0.3], np.float32)


def moved(params):
    """Parameters that are another policy's."""
    leaves, tree = jax.tree.flatten(params)
    random = np.random.default_rng(1)
    return jax.tree.unflatten(
        tree, [leaf + 0.05 * random.normal(size=leaf.shape) for leaf in leaves]
    )


def load(folder):
    """A model of the other library."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )


def their_log_probs(model, prompt, response):
    """Log-probability of a response's tokens behind a prompt, without padding."""
    torch = pytest.importorskip("torch")
    whole = torch.tensor(np.concatenate([prompt, response])[None].astype(np.int64))
    logits = torch.log_softmax(model(whole).logits[0, len(prompt) - 1 : -1], -1)
    return logits.gather(-1, whole[0, len(prompt) :, None]).sum()


@pytest.mark.parametrize("name", DECODERS)
def test_the_gradient_of_ipo_is_that_of_torch(name, tmp_path):
    torch = pytest.importorskip("torch")
    start = policies.load_pretrained(GOLDEN / name)
    reference = moved(start.params)

    def margins(params):
        log_probs = policies.log_probs(start.policy, params, PROMPTS, RESPONSES)
        return log_probs.sum(-1)[:, 0] - log_probs.sum(-1)[:, 1]

    anchor = margins(reference)

    def loss(params):
        return losses.ipo(margins(params) - anchor, PREFERRED, tau=TAU).mean()

    gradient = jax.jit(jax.grad(loss))(start.params)
    # Written as weights, a gradient has the names and the layout of theirs.
    policies.save_pretrained(tmp_path / "gradient", gradient, start.config)
    ours = load(tmp_path / "gradient").state_dict()
    policies.save_pretrained(tmp_path / "reference", reference, start.config)
    model, other = load(GOLDEN / name), load(tmp_path / "reference")
    total = torch.zeros(())
    for row in range(2):
        prompt = PROMPTS.tokens[row][PROMPTS.mask[row]]
        texts = [
            RESPONSES.tokens[row, own][RESPONSES.mask[row, own]] for own in range(2)
        ]
        y, z = (their_log_probs(model, prompt, text) for text in texts)
        with torch.no_grad():
            y_, z_ = (their_log_probs(other, prompt, text) for text in texts)
        margin = y - z - (y_ - z_)
        # Each order of the pair by its probability: what the paper's vote averages to.
        for vote, share in ((1.0, PREFERRED[row]), (-1.0, 1 - PREFERRED[row])):
            total = total + share * (vote * margin - 1 / (2 * TAU)) ** 2 / 2
    total.backward()
    size = 0.0
    for key, parameter in model.named_parameters():
        wanted = parameter.grad.numpy()
        size = max(size, np.abs(wanted).max())
        np.testing.assert_allclose(
            ours[key], wanted, rtol=1e-3, atol=2e-4 * size + 1e-5, err_msg=key
        )
    assert size > 0.1


@pytest.mark.parametrize("name", DECODERS)
def test_a_mixture_writes_what_two_models_of_theirs_write(name, tmp_path):
    torch = pytest.importorskip("torch")
    start = policies.load_pretrained(GOLDEN / name)
    both = {"policy": start.params, "reference": moved(start.params)}

    def mixed(logits):
        return policies.mixture_logits(logits["policy"], logits["reference"], mix=MIX)

    decoding = sampling.Decoding(max_length=8, eos_id=-1, pad_id=0, temperature=1e-5)
    found, log_probs = jax.jit(
        lambda both: sampling.sample(
            start.policy,
            both,
            mixed,
            jax.random.key(0),
            PROMPTS,
            num_responses=1,
            decoding=decoding,
        )
    )(both)
    policies.save_pretrained(tmp_path, both["reference"], start.config)
    models = load(GOLDEN / name), load(tmp_path)
    for row in range(2):
        text = PROMPTS.tokens[row][PROMPTS.mask[row]].astype(np.int64).tolist()
        for place in range(8):
            with torch.no_grad():
                own, other = (
                    torch.log_softmax(model(torch.tensor([text])).logits[0, -1], -1)
                    for model in models
                )
            token = int(torch.argmax((1 - MIX) * own + MIX * other))
            assert found.tokens[row, 0, place] == token
            for name_, values in (("policy", own), ("reference", other)):
                np.testing.assert_allclose(
                    log_probs[name_][row, 0, place], values[token], atol=2e-4
                )
            text.append(token)
    difference = log_probs["policy"] - log_probs["reference"]
    assert np.abs(difference).max() > 0.01
