"""What is measured of Tunix.

Runs in an environment of its own, which has Tunix and not nashalign. Its Llama turns
keys by a base of 1e6 whatever its configuration says, so that all models here have it.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tunix.generate import sampler as samplers
from tunix.models.llama3 import model as llama
from tunix.models.llama3 import params as weights
from tunix.rl import common
from tunix.sft.dpo import dpo_trainer

# Its sampler makes the caches of its own models in a way that it calls deprecated.
warnings.simplefilter("ignore", DeprecationWarning)


def logits(given):
    """Logits `[B, V]` after each prompt."""
    tokens = jnp.asarray(given["prompts"])
    mask = jnp.ones(tokens.shape, bool)
    found, _ = _load(_model(given))(
        tokens,
        common.build_positions_from_mask(mask),
        None,
        common.make_causal_attn_mask(mask),
    )
    return np.asarray(found[:, -1]).tolist()


def greedy(given):
    """The likeliest tokens `[B, T]`."""
    return [np.asarray(row).tolist() for row in _sampling(given)().tokens]


def versions(given):
    """Of what the figures depend on."""
    del given
    from importlib import metadata

    return {name: metadata.version(name) for name in ("google-tunix", "jax", "flax")}


def decode(given):
    """Draws responses by its sampler; several to a prompt are several prompts."""
    sample = _sampling(given, temperature=1.0, top_p=1.0, seed=1)

    def run():
        sample()

    return run


def _sampling(given, **options):
    """A call of the sampler, with a cache of the least size that it allows."""
    size = len(given["prompts"][0]) + given["new"]
    config = given["config"]
    sampler = samplers.Sampler(
        _load(_model(given)),
        _Numbers(config["vocab_size"]),
        samplers.CacheConfig(
            cache_size=size,
            num_layers=config["num_hidden_layers"],
            num_kv_heads=config["num_key_value_heads"],
            head_dim=config["head_dim"],
        ),
    )
    texts = [" ".join(map(str, row)) for row in given["prompts"]]
    texts = [text for text in texts for _ in range(given.get("responses", 1))]
    return lambda: sampler(
        texts,
        max_generation_steps=given["new"],
        max_prompt_length=len(given["prompts"][0]),
        **options,
    )


class _Numbers:
    """A tokenizer of numbers; what ends and what pads is no token of the model's."""

    def __init__(self, size):
        self._size = size

    def encode(self, text):
        return [int(number) for number in text.split()]

    def decode(self, tokens):
        return " ".join(map(str, tokens))

    def bos_id(self):
        return 0

    def eos_id(self):
        return self._size

    def pad_id(self):
        return self._size + 1


def learn(given):
    """A step of its DPO trainer on given responses, with given reference log-probs.

    It has no IPO loss: the logistic one costs as much.
    """
    trainer = dpo_trainer.DPOTrainer(
        model=_read(_model(given)),
        ref_model=None,
        optimizer=optax.adamw(1e-6),
        training_config=dpo_trainer.DPOTrainingConfig(eval_every_n_steps=10**6),
    )
    prompts, pairs = np.asarray(given["prompts"]), np.asarray(given["completions"])
    ones = np.ones(pairs[:, 0].shape, np.int32)
    example = trainer._prepare_inputs(
        dpo_trainer.TrainingInput(
            prompt_ids=prompts,
            prompt_mask=np.ones(prompts.shape, np.int32),
            chosen_ids=pairs[:, 0],
            chosen_mask=ones,
            rejected_ids=pairs[:, 1],
            rejected_mask=ones,
        )
    )
    scores = jnp.full(len(prompts), -300.0)
    example = example.replace(ref_chosen_logps=scores, ref_rejected_logps=scores)
    train_step, _ = trainer.jit_train_and_eval_step()

    def run():
        found = jax.block_until_ready(train_step(example))
        return {"loss": float(jax.tree.leaves(found)[0])}

    return run


def _model(given):
    """What a model is loaded by: its folder and its shape, hashable."""
    config = given["config"]
    shape = llama.ModelConfig(
        num_layers=config["num_hidden_layers"],
        vocab_size=config["vocab_size"],
        embed_dim=config["hidden_size"],
        hidden_dim=config["intermediate_size"],
        num_heads=config["num_attention_heads"],
        head_dim=config["head_dim"],
        num_kv_heads=config["num_key_value_heads"],
        rope_theta=int(config["rope_theta"]),
        norm_eps=config["rms_norm_eps"],
    )
    return given["model"], shape


def _read(model):
    """A model of its own, in float32."""
    folder, shape = model
    return weights.create_model_from_safe_tensors(folder, shape, dtype=jnp.float32)


@functools.lru_cache(maxsize=2)
def _load(model):
    """A model that is loaded once."""
    return _read(model)


MEASURES = {"decode": decode, "learn": learn}
ANSWERS = {"logits": logits, "greedy": greedy, "versions": versions}
