"""What is measured of transformers and TRL, and of an exact mixture in torch.

Runs in an environment of its own, which has these libraries and not nashalign.
"""

import copy
import functools
import tempfile

import datasets
import tokenizers
import torch
import transformers
import trl

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
datasets.disable_progress_bars()


def logits(given):
    """Logits `[B, V]` after each prompt."""
    with torch.inference_mode():
        found = _load(given["model"])(_prompts(given)).logits
    return found[:, -1].tolist()


def greedy(given):
    """The likeliest tokens `[B, T]`, of the mixture where there is a reference."""
    if "reference" in given:
        return _mixed(given, _likeliest).tolist()
    return _generate(given, do_sample=False).tolist()


def versions(given):
    """Of what the figures depend on."""
    del given
    return {
        module.__name__: module.__version__ for module in (torch, transformers, trl)
    }


def decode(given):
    """Draws responses by `generate`."""
    return lambda: _nothing(_generate(given, do_sample=True, top_k=0, top_p=1.0))


def mixture(given):
    """Draws responses from the exact mixture, a cache for each model."""
    return lambda: _nothing(_mixed(given, _drawn))


def _generate(given, **options):
    """New tokens `[B N, T]`, none of which ends a response."""
    model, prompts = _load(given["model"]), _prompts(given)
    found = model.generate(
        input_ids=prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=given["new"],
        num_return_sequences=given.get("responses", 1),
        **options,
    )
    return found[:, prompts.shape[1] :]


@torch.inference_mode()
def _mixed(given, choose):
    """New tokens `[B, T]` of the geometric mixture of two models."""
    shares = ((given["model"], 1 - given["mix"]), (given["reference"], given["mix"]))
    models = [(_load(folder), share) for folder, share in shares]
    caches = [transformers.DynamicCache() for _ in models]
    tokens = _prompts(given)
    written = []
    for _ in range(given["new"]):
        mixed = 0.0
        for (model, share), cache in zip(models, caches, strict=True):
            found = model(
                tokens, past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            mixed = mixed + share * found.logits[:, -1]
        tokens = choose(mixed)
        written.append(tokens)
    return torch.cat(written, 1)


def _likeliest(logits):
    """Tokens `[B, 1]`."""
    return logits.argmax(-1, keepdim=True)


def _drawn(logits):
    """Tokens `[B, 1]`."""
    return torch.multinomial(logits.softmax(-1), 1)


def wrapped_greedy(given):
    """The likeliest tokens of the mixture that TRL's Nash-MD trainer draws from."""
    from trl.experimental.nash_md.nash_md_trainer import GeometricMixtureWrapper

    prompts = _prompts(given)
    config = _config(given, do_sample=False, use_cache=given["cache"])
    wrapped = GeometricMixtureWrapper(
        model=_load(given["model"]),
        ref_model=_load(given["reference"]),
        generation_config=config,
        mixture_coef=given["mix"],
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        found = wrapped.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            generation_config=config,
        )
    return found[:, prompts.shape[1] :].tolist()


def _config(given, **options):
    """Settings of `generate`; the end is no token of the model's."""
    end, pad = _outside(given)
    return transformers.GenerationConfig(
        max_new_tokens=given["new"],
        eos_token_id=end,
        pad_token_id=pad,
        bos_token_id=None,
        **options,
    )


def online_step(given):
    """A step of TRL's online DPO trainer with the IPO loss.

    Its gradient checkpointing is on by default, and then it decodes without a cache:
    it is off here, which is faster.
    """
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    def reward(completions, **others):
        del others
        return [float(number % 2) for number, _ in enumerate(completions)]

    trainer = OnlineDPOTrainer(
        model=_fresh(given["model"]),
        reward_funcs=reward,
        args=OnlineDPOConfig(
            **_arguments(given, gradient_checkpointing=False),
            loss_type="ipo",
            beta=[1.0],
            **_drawing(given),
        ),
        train_dataset=_dataset(given),
        processing_class=_tokenizer(given),
    )
    return _stepping(trainer, {"prompt": _texts(given["prompts"])})


def nash_step(given):
    """A step of TRL's Nash-MD trainer, the reward an instant one.

    With gradient checkpointing, its default, it decodes without a cache.
    """
    from trl.experimental.nash_md import NashMDConfig, NashMDTrainer

    trainer = NashMDTrainer(
        model=_fresh(given["model"]),
        ref_model=_fresh(given["model"]),
        reward_funcs=_Reward(),
        args=NashMDConfig(
            **_arguments(given, gradient_checkpointing=not given["cache"]),
            mixture_coef=[given["mix"]],
            beta=[0.008],
            **_drawing(given),
        ),
        train_dataset=_dataset(given),
        processing_class=_tokenizer(given),
    )
    return _stepping(trainer, {"prompt": _texts(given["prompts"])})


def learn(given):
    """A step of TRL's DPO trainer with the IPO loss, on given responses.

    Their reference log-probabilities are given as well, as after
    `precompute_ref_log_probs`.
    """
    texts = _texts(given["prompts"])
    trainer = trl.DPOTrainer(
        model=_fresh(given["model"]),
        args=trl.DPOConfig(
            **_arguments(given, gradient_checkpointing=False),
            loss_type="ipo",
            beta=1.0,
        ),
        train_dataset=datasets.Dataset.from_dict(
            {"prompt": texts, "chosen": texts, "rejected": texts}
        ),
        processing_class=_tokenizer(given),
    )
    batch = trainer.data_collator(
        [
            {
                "prompt_ids": prompt,
                "chosen_ids": chosen,
                "rejected_ids": rejected,
                "ref_chosen_logps": -300.0,
                "ref_rejected_logps": -300.0,
            }
            for prompt, (chosen, rejected) in zip(
                given["prompts"], given["completions"], strict=True
            )
        ]
    )
    trainer.precompute_ref_logps = True
    trainer.ref_model = None
    return _stepping(trainer, batch)


def _stepping(trainer, batch):
    """Whole steps of a trainer: `training_step`, which goes backward, and AdamW."""
    trainer.create_optimizer_and_scheduler(1000)
    # What `train` sets before it steps.
    trainer.current_gradient_accumulation_steps = 1

    def run():
        loss = trainer.training_step(trainer.model, copy.copy(batch))
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
        trainer.optimizer.zero_grad()
        return {"loss": float(loss)}

    return run


def _arguments(given, **others):
    """What the trainers have in common; nothing is clipped, as in ours."""
    return {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": len(given["prompts"]),
        "learning_rate": 1e-6,
        "max_grad_norm": 0.0,
        "bf16": False,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "max_length": len(given["prompts"][0]) + given["new"] + 1,
        **others,
    }


def _drawing(given):
    """How the online trainers draw: from all tokens, at temperature 1."""
    return {
        "max_new_tokens": given["new"],
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "missing_eos_penalty": None,
    }


class _Reward(torch.nn.Module):
    """A reward model that answers at once, in the form that the trainer asks for."""

    base_model_prefix = "backbone"

    def __init__(self):
        super().__init__()
        self.config = transformers.LlamaConfig(hidden_size=8, num_attention_heads=1)
        self.score = torch.nn.Linear(8, 1, bias=False)
        self.backbone = _Backbone()


class _Backbone(torch.nn.Module):
    """Hidden states that tell odd tokens from even ones."""

    def forward(self, input_ids, **others):
        del others
        odd = (input_ids % 2).float()[..., None].expand(-1, -1, 8)
        return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=odd)


def _tokenizer(given):
    """A word for each token; what ends and what pads is never drawn."""
    end, pad = _outside(given)
    words = {f"t{number}": number for number in range(end)}
    words |= {"<end>": end, "<pad>": pad}
    model = tokenizers.models.WordLevel(words, unk_token="t0")
    own = tokenizers.Tokenizer(model)
    own.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, eos_token="<end>", pad_token="<pad>", padding_side="left"
    )


def _outside(given):
    """Two numbers that are no tokens of the model."""
    size = _load(given["model"]).config.vocab_size
    return size, size + 1


def _texts(rows):
    """The texts of tokens."""
    return [" ".join(f"t{token}" for token in row) for row in rows]


def _dataset(given):
    """The prompts as a data set, which the trainers look at when they are made."""
    return datasets.Dataset.from_dict({"prompt": _texts(given["prompts"])})


def _prompts(given):
    """The given prompts, `[B, L]`."""
    return torch.tensor(given["prompts"])


def _fresh(folder):
    """A model to train, in float32; no token ends a response."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model = model.to(torch.float32)
    ends = {"eos_token_id": None, "bos_token_id": None, "pad_token_id": None}
    model.generation_config.update(**ends)
    model.config.update(ends)
    return model


@functools.lru_cache(maxsize=2)
def _load(folder):
    """A model to decode from, loaded once."""
    return _fresh(folder).eval()


def _nothing(tensors):
    """Nothing: what was drawn is not shown."""
    del tensors


MEASURES = {
    "decode": decode,
    "mixture": mixture,
    "online step": online_step,
    "nash step": nash_step,
    "learn": learn,
}
ANSWERS = {
    "logits": logits,
    "greedy": greedy,
    "wrapped greedy": wrapped_greedy,
    "versions": versions,
}
