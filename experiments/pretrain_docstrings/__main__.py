"""Pre-trains the start policy: from a function's code to its one-line summary.

What it shows: a Llama decoder of 2.4 M parameters, trained from nothing on the
docstrings of permissively licensed packages for less than an hour and a half on two
shared CPU cores, writes one-line summaries on topic. It is where every run of
`experiments.summarise` begins, shipped as the Hugging Face folder
`experiments/start_policy`, whose README.md says what it was trained on, for how long,
and how well it does on packages that it never saw.

Command (the corpus is a second environment, filled with `pip install --no-deps`):

    python -m experiments.pretrain_docstrings --site-packages CORPUS/site-packages

Only training packages are trained on (`data.split_of`), by the same hash as everywhere,
and a text that also occurs in a test or validation package is never a training text.
The schedule follows the clock, not the steps, so that a busy machine trains less, not
longer. Started again on the same output folder, it goes on from its last checkpoint.
"""

import dataclasses

import jax
import numpy as np
import rich.console
import tyro

from experiments import sample
from experiments.pretrain_docstrings import card, corpus, fit
from experiments.pretrain_docstrings.config import Config, llama_config
from experiments.pretrain_docstrings.sequences import encode
from nashalign import policies


def main(config: Config) -> None:
    """Harvests, encodes, trains until the time is up, and publishes the model."""
    console = rich.console.Console()
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
    samples = sample.summaries(
        policy,
        params,
        tokenizer,
        [pair.code for pair in held_out[:10]],
        prompt_length=config.prompt_length,
        response_length=config.response_length,
        seed=config.seed,
    )
    for pair, summary in zip(held_out, samples, strict=False):
        console.rule(f"{pair.package}: {pair.name}", align="left")
        console.print(pair.code, highlight=False, markup=False)
        console.print(f"-> {summary}", style="bold", markup=False)
    card.publish(config, config.destination, params, record)


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


if __name__ == "__main__":
    main(tyro.cli(Config))
