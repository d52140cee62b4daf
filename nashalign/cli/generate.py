"""Write a policy's answers to a file of prompts.

    nashalign generate --policy FOLDER --prompts FILE.jsonl --output ANSWERS.jsonl

A line of the prompts is a JSON object with a `prompt`; its other fields are kept. A
line of the answers has them, and `responses`, a list of texts.
"""

import dataclasses
import functools
import json
import pathlib

import jax
import numpy as np
import tyro

from nashalign import (
    alignment,
    command_line,
    compiling,
    options,
    sampling,
    terminal,
    training,
)
from nashalign.cli import prompts
from nashalign.types import Prompts

_NAME = "nashalign generate"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A run of `nashalign generate`."""

    policy: pathlib.Path = tyro.MISSING
    """Hugging Face folder of the policy, with its tokenizer."""
    prompts: pathlib.Path = tyro.MISSING
    """JSON lines with a `prompt` or `messages` each, or what --format says; or a folder
    of such files."""
    format: str = "records"
    """How the prompts are written: a published format, such as `hh`, by its name."""
    skip_malformed: bool = False
    """Whether to leave out lines that are not of the format, instead of ending."""
    output: pathlib.Path = tyro.MISSING
    """File of answers, JSON lines; it must not exist yet."""
    num_responses: int = 1
    """Answers to each prompt."""
    temperature: float = 1.0
    """Of sampling: 1 is the policy itself, 0 its most probable token at each place."""
    top_p: float = 1.0
    """Only the most probable tokens are drawn that together have this probability."""
    batch_size: int = 32
    """Prompts that are answered at the same time."""
    seed: int = 0
    """Of the draws; a prompt's answers depend on nothing but it and its place."""
    text: alignment.Text = alignment.Text()


def main(config: Config) -> None:
    """Loads the policy, answers every prompt and writes the answers.

    Raises:
      ValueError: a setting is out of its range, or the output is there.
    """
    _check(config)
    records = prompts.read(config.prompts, config.format, config.skip_malformed)
    loaded = alignment.text_task(
        config.policy,
        records,
        text=config.text,
        splits=alignment.Splits(validation=0.0, test=0.0),
    )
    own, written = loaded.task.prompts["train"], {}
    write = _writer(config, loaded.task)
    with terminal.progress_bar("answers", len(own)) as advance:
        places = np.arange(len(own))
        for rows in alignment.chunks(places, config.batch_size):
            asked = loaded.task.batch("train", rows)
            texts = loaded.task.texts(write(loaded.task.start.params, asked))
            written |= dict(zip(asked.ids.tolist(), texts, strict=True))
            advance(len(set(rows.tolist())), "")
    lines = [
        json.dumps(records[index].shown() | {"responses": texts})
        for index, texts in sorted(written.items())
    ]
    training.write_text(config.output, "".join(line + "\n" for line in lines))
    terminal.console().print(f"{len(lines)} prompts answered in {config.output}")


def _check(config: Config) -> None:
    """Requires settings in their ranges."""
    for name in ("num_responses", "batch_size"):
        options.require(name, getattr(config, name))
    options.require_seed(config.seed)
    prompts.check_format(config.format)
    if not 0 <= config.temperature < float("inf"):
        raise ValueError(
            f"--temperature is {config.temperature}; it must be 0 or more."
        )
    if not 0 < config.top_p <= 1:
        raise ValueError(f"--top-p is {config.top_p}; it must be in (0, 1].")
    if config.output.exists():
        raise ValueError(f"{config.output} is there; give another --output.")


def _writer(config: Config, task: alignment.Task):
    """The compiled sampler: `(params, prompts) -> responses [B, N, T]`."""

    def behaviour(logits):
        return sampling.sharpen(
            logits["policy"], temperature=config.temperature, top_p=config.top_p
        )

    @functools.partial(jax.jit, compiler_options=compiling.compiler_options())
    def write(params, prompts: Prompts):
        responses, _ = sampling.sample(
            task.start.policy,
            {"policy": params},
            behaviour,
            jax.random.key(config.seed),
            prompts,
            num_responses=config.num_responses,
            decoding=task.decoding,
        )
        return responses

    return lambda params, prompts: jax.device_get(write(params, prompts))


command = command_line.command(main, Config, name=_NAME, about=__doc__)
