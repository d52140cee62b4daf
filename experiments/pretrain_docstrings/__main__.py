"""Pre-trains the start policy: from a function's code to its one-line summary.

What it shows: a Llama decoder of 2.4 M parameters, trained on the docstrings of
permissively licensed packages for two and a half hours on two CPU cores, writes
one-line summaries, mostly on topic. It is where every run of `experiments.summarise`
begins, shipped as the Hugging Face folder `experiments/start_policy`, whose README.md
says what it was trained on, for how long, and how well it does on packages that it
never saw.

Commands (the corpus is a second environment, filled with `pip install --no-deps`; the
second goes on from the model of the first):

    python -m experiments.pretrain_docstrings --site-packages CORPUS/site-packages
    python -m experiments.pretrain_docstrings --site-packages CORPUS/site-packages \
        --start MODEL --output runs/pretrain_on --destination experiments/start_policy

Only training packages are trained on (`data.split_of`), by the same hash as everywhere,
and a text that also occurs in a test or validation package is never a training text.
The schedule follows the clock, not the steps, so that a busy machine trains less, not
longer. Started again on the same output folder, it goes on from its last checkpoint.
"""

import dataclasses
import sys

import jax
import numpy as np

from experiments import door, sample
from experiments.pretrain_docstrings import card, corpus, fit
from experiments.pretrain_docstrings.config import Config, llama_config
from experiments.pretrain_docstrings.sequences import encode
from nashalign import data, policies, terminal, training


def main(config: Config) -> None:
    """Trains and publishes in an output folder that holds one configuration."""
    record = dataclasses.asdict(config)
    del record["output"], record["destination"]
    try:
        with training.open_run(config.output, record) as run:
            _train(config)
            run.finish()
    except training.RunFinished as finished:
        terminal.console().print(str(finished))


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
        data.prompt_ids(tokenizer, codes, length=config.prompt_length),
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


command = door.command(
    main, Config, name="experiments.pretrain_docstrings", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
