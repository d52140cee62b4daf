"""Prints a one-line summary for the functions and methods of a Python file.

Run: python -m experiments.docstrings.sample FOLDER FILE.py

FOLDER is a Hugging Face folder with its tokenizer: one of `policies/` in the output of
`experiments.summarise`, or `experiments/start_policy`. Takes a few seconds.
"""

import dataclasses
import pathlib
import sys

import jax
import numpy as np
import rich.text
import tyro

from experiments.docstrings import harvest
from nashalign import command_line, data, options, policies, sampling, terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A policy, a file, and how sharply to draw."""

    folder: tyro.conf.Positional[pathlib.Path]
    """Hugging Face folder of the policy."""
    file: tyro.conf.Positional[pathlib.Path]
    """Python file whose functions are summarised, those with a body on lines of its
    own; only code is read, no docstrings."""
    prompt_length: int = 48
    """Most tokens of a prompt; longer code is cut on the right."""
    response_length: int = 32
    """Most tokens of a summary."""
    temperature: float = 0.5
    """Of sampling: 1 is the policy itself, lower is more typical of it."""
    seed: int = 0
    """Of the draws."""


def main(config: Config) -> None:
    """Loads the policy, reads the file and prints a line for each function."""
    console = terminal.console()
    for name in ("prompt_length", "response_length", "temperature"):
        options.require(name, getattr(config, name))
    options.require_seed(config.seed)
    functions = _functions(config.file)
    start = policies.load_pretrained(config.folder)
    tokenizer = data.load_tokenizer(config.folder)
    policies.check_vocabulary(tokenizer.size, start.config)
    if config.prompt_length + config.response_length > start.policy.context:
        raise ValueError(
            f"--prompt-length {config.prompt_length} and --response-length "
            f"{config.response_length} exceed the {start.policy.context} tokens of the "
            f"context of {config.folder}; lower one."
        )
    encoded = data.prompt_ids(
        tokenizer,
        [code for _, code in functions],
        length=config.prompt_length,
        suffix=harvest.SUFFIX,
    )
    if encoded.cut:
        console.print(
            f"{encoded.cut} of {len(functions)} are longer than "
            f"{config.prompt_length} tokens and were cut on the right",
            style="dim",
        )
    written = summaries(
        start.policy,
        start.params,
        tokenizer,
        encoded,
        prompt_length=config.prompt_length,
        response_length=config.response_length,
        temperature=config.temperature,
        seed=config.seed,
    )
    for (name, _), summary in zip(functions, written, strict=True):
        console.print(rich.text.Text(f"{name}: ", "bold"), summary, sep="")


def summaries(
    policy: policies.Policy,
    params: policies.Params,
    tokenizer: data.Tokenizer,
    encoded: data.PromptIds,
    *,
    prompt_length: int,
    response_length: int,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """Returns one sampled summary for each prompt."""
    prompts = data.pad_prompts(
        encoded.tokens, encoded.ids, length=prompt_length, pad_id=tokenizer.pad_id
    )
    decoding = sampling.Decoding(
        max_length=response_length,
        eos_id=tokenizer.eos_id,
        pad_id=tokenizer.pad_id,
        temperature=temperature,
    )
    responses, _ = jax.jit(
        lambda params, key, prompts: sampling.sample(
            policy,
            {"policy": params},
            lambda logits: logits["policy"],
            key,
            prompts,
            num_responses=1,
            decoding=decoding,
        )
    )(params, jax.random.key(seed), prompts)
    return [
        tokenizer.decode(row.tolist()) for row in np.asarray(responses.tokens)[:, 0]
    ]


def _functions(file: pathlib.Path) -> list[tuple[str, str]]:
    """Names and code of the file's functions, or an error that says what is wrong."""
    try:
        functions = harvest.functions_of(harvest.decoded(file.read_bytes()))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}.") from error
    except SyntaxError as error:
        raise ValueError(f"{file} is not valid Python: {error}.") from error
    if not functions:
        raise ValueError(f"{file} has no function with a body on lines of its own.")
    return functions


command = command_line.command(
    main, Config, name="python -m experiments.docstrings.sample", about=__doc__
)

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
