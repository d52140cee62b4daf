r"""Pre-trains the start policy: from a function's code to its one-line summary.

What it shows: a Llama decoder of 2.4 M parameters, trained on the docstrings of
permissively licensed packages for two and a half hours on two CPU cores, writes
one-line summaries, mostly on topic. It is where every run of `experiments.summarise`
begins, shipped as the Hugging Face folder `experiments/start_policy`, whose README.md
says what it was trained on, for how long, and how well it does on packages that it
never saw.

Commands (the corpus is a second environment, filled with `pip install --no-deps`; the
second starts from the model of the first):

    python -m experiments.docstrings.pretrain --site-packages CORPUS/site-packages
    python -m experiments.docstrings.pretrain --site-packages CORPUS/site-packages \
        --start MODEL --output runs/pretrain_on --destination experiments/start_policy

Only training packages are trained on (`harvest.split_of`), by the same hash as
everywhere, and a text that also occurs in a test or validation package is never a
training text. The schedule follows the clock, not the steps, so that a busy machine
trains less, not longer. Started again on the same output folder, it resumes from its
last checkpoint.
"""

import dataclasses
import sys

import jax
import numpy as np

from experiments import docstrings
from experiments.docstrings import sample
from experiments.docstrings.pretrain import card, corpus, fit
from experiments.docstrings.pretrain.config import Config, llama_config
from experiments.docstrings.pretrain.sequences import encode
from nashalign import command_line, data, options, policies, terminal, training


def main(config: Config) -> None:
    """Trains and publishes in an output folder that holds one configuration."""
    check(config)
    record = dataclasses.asdict(config)
    del record["output"], record["destination"]
    try:
        with training.open_run(config.output, record) as run:
            _train(config)
            run.finish("model" if config.destination is None else "latest")
    except training.RunFinished as finished:
        terminal.console().print(str(finished))


def check(config: Config) -> None:
    """Requires what the training can be done with, before its harvest.

    Raises:
      ValueError: naming the setting or the model, and what it must be.
      OSError: if a folder is not there or cannot be written.
    """
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, int | float) and name not in _MAY_BE_ZERO:
            options.require(name, value)
    options.require_seed(config.seed)
    for name in _MAY_BE_ZERO[1:]:
        if not 0 <= getattr(config, name) <= 1:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is {getattr(config, name)}, not in [0, 1].")
    if config.width % config.num_heads or config.num_heads % config.num_key_value_heads:
        raise ValueError(
            f"--num-heads is {config.num_heads}; it must divide --width {config.width} "
            f"and be a multiple of --num-key-value-heads {config.num_key_value_heads}."
        )
    longest = config.prompt_length + config.response_length
    context = llama_config(config).max_position_embeddings
    if longest > min(context, config.batch_tokens):
        raise ValueError(
            f"--prompt-length and --response-length are {longest} tokens together; at "
            f"most the context, {context}, and --batch-tokens, {config.batch_tokens}."
        )
    for folder in config.site_packages:
        if not folder.is_dir():
            raise ValueError(f"--site-packages {folder} is no folder.")
    if config.destination is not None:
        training.require_writable(config.destination.parent)
    if config.start is not None:
        _start(config, policies.llama(llama_config(config)))
        tokenizer = data.load_tokenizer(config.start)
        policies.check_vocabulary(tokenizer.size, llama_config(config))
        card.training_before(config)


_MAY_BE_ZERO = ("seed", "short_share", "code_weight", "scored", "weight_decay")


def _train(config: Config) -> None:
    """Harvests, encodes, trains until the time is up, and publishes the model."""
    console = terminal.console()
    pairs = corpus.corpus(config, console)
    tokenizer = corpus.tokenizer_of(config, pairs["train"])
    train = encode(config, tokenizer, pairs["train"])
    short = dataclasses.replace(config, prompt_length=config.short_prompt_length)
    short_train = encode(short, tokenizer, pairs["train"])
    chosen = np.random.default_rng(config.seed).permutation(len(pairs["validation"]))
    held_out = [pairs["validation"][i] for i in chosen[: config.num_validation]]
    console.print(
        f"{len(train.tokens):,} training sequences, {train.lengths.sum():,} tokens"
    )
    policy = policies.llama(llama_config(config))
    params, record = fit.fit(
        config,
        policy,
        _start(config, policy),
        (short_train, train),
        encode(config, tokenizer, held_out),
    )
    codes = [pair.code for pair in held_out[:10]]
    samples = sample.summaries(
        policy,
        params,
        tokenizer,
        data.prompt_ids(
            tokenizer, codes, length=config.prompt_length, suffix=docstrings.SUFFIX
        ),
        prompt_length=config.prompt_length,
        response_length=config.response_length,
        seed=config.seed,
    )
    for pair, summary in zip(held_out, samples, strict=False):
        console.rule(f"{pair.package}: {pair.name}", align="left")
        console.print(pair.code)
        console.print(f"-> {summary}", style="bold")
    destination = config.destination or config.output / "model"
    card.publish(config, destination, params, record)


def _start(config: Config, policy: policies.Policy) -> policies.Params:
    """Returns the parameters to begin with: fresh ones, or those of a model."""
    if config.start is None:
        return policy.init(jax.random.key(config.seed))
    start = policies.load_pretrained(config.start)
    if start.config != llama_config(config):
        raise ValueError(
            f"{config.start} is {start.config}, not the {llama_config(config)} that "
            "the settings describe; give its width, depth and vocabulary."
        )
    return start.params


command = command_line.command(
    main, Config, name="python -m experiments.docstrings.pretrain", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
